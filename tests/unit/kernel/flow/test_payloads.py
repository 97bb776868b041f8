"""The data of messages fits the schema of their event: what breaks its own rules is told where it is emitted."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from flow_world import drained, rows_of
from kernel_world import Build, World

from mainstay import Dto, Event, Events, Module, anyone, field
from mainstay.kernel.call import Reply
from mainstay.kernel.flow.records import OutboxMessage


class Line(Dto):
    price: Decimal = field(ge=0)


class Sold(Event):
    total: Decimal
    note: str = field(max_length=5, default="")
    lines: list[Line] = field(default_factory=list)


async def emitting(build: Build, **given: Any) -> World:
    shop = Module("shop")

    @shop.command("POST /sell", allow=anyone)
    async def sell(events: Events) -> None:
        events.emit(Sold(**given))

    return await build(shop)


@pytest.mark.parametrize(
    ("total", "written"),
    [
        ("12.50", '"12.50"'),
        ("1E+2", '"100"'),
        ("-0", '"-0"'),
        ("0E-5", '"0.00000"'),
        ("1E-6", '"0.000001"'),
    ],
)
async def test_a_decimal_is_written_with_digits_and_a_point(build: Build, total: str, written: str) -> None:
    world = await emitting(build, total=Decimal(total), lines=[Line(price=Decimal("3E+1"))])
    assert isinstance(await world.send("sell"), Reply)
    (row,) = await rows_of(world, OutboxMessage)
    assert f'"total":{written},' in row.payload
    assert '"price":"30"' in row.payload


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"total": Decimal(1) / 3}, "/total must have at most 6 digits after the point"),
        ({"total": Decimal("NaN")}, "/total must be a finite number"),
        ({"total": Decimal(1), "note": "secret"}, "/note must be at most 5 long"),
        ({"total": Decimal(1), "lines": [Line(price=Decimal(-1))]}, "/lines/0/price must be at least 0"),
        ({"total": "1,5"}, "/total must be a decimal number"),
    ],
)
async def test_an_event_that_breaks_its_rules_is_not_emitted(build: Build, given: Any, told: str) -> None:
    world = await emitting(build, **given)
    await world.send("sell")
    assert await rows_of(world, OutboxMessage) == []
    (call,) = world.ear.calls
    assert str(call.error).startswith(f"shop.Sold is emitted and breaks its own rules: {told}")
    assert "secret" not in str(call.error)


class Stamped(Event):
    number: int = field(read_only=True)


async def test_what_no_body_sets_is_there_in_an_event_for_its_consumers(build: Build) -> None:
    shop, heard = Module("shop"), list[int]()

    @shop.command("POST /stamp", allow=anyone)
    async def stamp(events: Events) -> None:
        events.emit(Stamped(number=3))

    @shop.on(Stamped)
    async def note(event: Stamped) -> None:
        heard.append(event.number)

    world = await build(shop)
    assert isinstance(await world.send("stamp"), Reply)
    await drained(world.worker())
    assert heard == [3]
