"""Messages of other versions: old ones are led to that of the class, and what nothing leads from is refused by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from flow_world import drained, inbox, rows_of
from kernel_world import Build, World

from mainstay import Event, Events, Module, Principal, anyone
from mainstay.adapters.memory.broker import MemoryBroker, MemoryExchange
from mainstay.kernel.flow.envelope import Envelope, encode
from mainstay.kernel.flow.principals import encode_principal
from mainstay.kernel.flow.records import OutboxMessage, State
from mainstay.model.conditions import TRUE
from mainstay.ports.broker import Incoming
from mainstay.ports.rows import Change


class Paid(Event, version=3):
    amount: Decimal
    currency: str


def paying(heard: list[Any], *, reads: tuple[int, ...] = (), steps: bool = True, attempts: int = 1) -> Module:
    module = Module("pay")

    @module.command("POST /pay", allow=anyone)
    async def pay(events: Events) -> None:
        events.emit(Paid(amount=Decimal(1), currency="EUR"))

    @module.on(Paid, reads=reads, attempts=attempts)
    async def note(event: Paid) -> None:
        heard.append((str(event.amount), event.currency))

    if steps:

        @module.upcast(Paid, 1)
        def with_units(members: dict[str, Any]) -> dict[str, Any]:
            return {"amount": Decimal(members["cents"]) / 100}

        @module.upcast(Paid, 2)
        def with_currency(members: dict[str, Any]) -> dict[str, Any]:
            return {**members, "currency": "EUR"}

    return module


@pytest.fixture
def heard() -> list[Any]:
    return []


async def told(world: World, version: int, body: bytes) -> None:
    """Have a message delivered that was emitted in another version."""
    await world.send("pay")
    transaction = world.store.begin(write=True)
    changes = {"dataversion": version, "payload": body.decode()}
    await transaction.rows(OutboxMessage).apply(Change(where=TRUE, changes=changes))
    await transaction.commit()
    await drained(world.worker())


@pytest.mark.parametrize(
    ("version", "body"),
    [
        (1, b'{"cents": 250}'),
        (2, b'{"amount": "2.5"}'),
        (3, b'{"amount": "2.5", "currency": "EUR"}'),
    ],
)
async def test_each_version_becomes_that_of_the_class(
    build: Build, heard: list[Any], version: int, body: bytes
) -> None:
    world = await build(paying(heard))
    await told(world, version, body)
    assert heard == [("2.5", "EUR")]
    assert [row.state for row in await inbox(world)] == [State.DONE]


async def test_a_message_says_its_version(build: Build, heard: list[Any]) -> None:
    world = await build(paying(heard))
    await world.send("pay")
    assert [row.dataversion for row in await rows_of(world, OutboxMessage)] == [3]


@pytest.mark.parametrize("version", [1, 4])
async def test_a_version_that_nothing_leads_from_is_a_dead_letter(build: Build, heard: list[Any], version: int) -> None:
    world = await build(paying(heard, steps=False))
    await told(world, version, b'{"amount": "2.5", "currency": "EUR"}')
    (row,) = await inbox(world)
    assert (row.state, row.cause, row.dataversion) == (State.DEAD, "event_version_unknown", version)
    assert row.detail == (
        f"the message has version {version}, and 3 can be taken. Deploy what takes this version: the class at it, an "
        "upcaster from it, or reads=. Then deliver it again."
    )
    assert heard == []


async def test_it_is_tried_again_as_a_roll_out_may_be_under_way(build: Build, heard: list[Any]) -> None:
    world = await build(paying(heard, attempts=2))
    await told(world, 4, b"{}")
    (row,) = await inbox(world)
    assert (row.state, row.attempts) == (State.PENDING, 1)


async def test_a_version_may_be_read_as_it_is(build: Build, heard: list[Any]) -> None:
    world = await build(paying(heard, reads=(4,)))
    await told(world, 4, b'{"amount": "1", "currency": "EUR", "more": 1}')
    assert heard == [("1", "EUR")]


@pytest.mark.parametrize("body", [b'{"amount": "x"}', b"[]", b"1"])
async def test_what_a_step_makes_is_validated(build: Build, heard: list[Any], body: bytes) -> None:
    world = await build(paying(heard))
    await told(world, 2, body)
    assert [(row.state, row.cause) for row in await inbox(world)] == [(State.DEAD, "invalid")]
    assert heard == []


async def test_a_step_that_returns_no_object_is_told(build: Build, heard: list[Any]) -> None:
    module = paying(heard, steps=False)
    module.upcast(Paid, 2)(lambda _members: None)  # type: ignore[arg-type, return-value]
    world = await build(module)
    await told(world, 2, b"{}")
    assert [row.cause for row in await inbox(world)] == ["internal_error"]
    (error,) = [call.error for call in world.ear.calls if call.error is not None]
    assert str(error) == "upcaster <lambda> returned no dict"


async def test_who_looks_at_no_event_takes_every_version(build: Build, heard: list[Any]) -> None:
    module = Module("pay")

    @module.command("POST /pay", allow=anyone)
    async def pay(events: Events) -> None:
        events.emit(Paid(amount=Decimal(1), currency="EUR"))

    @module.on(Paid)
    async def count() -> None:
        heard.append("counted")

    world = await build(module)
    await told(world, 9, b"{}")
    assert heard == ["counted"]


async def test_a_message_of_another_service_is_led_too(build: Build, heard: list[Any]) -> None:
    """Its emitter is behind: version 1 comes over the broker, and a later one that nobody here takes yet."""
    module = Module("book")

    @module.on("bank.Paid", attempts=1)
    async def note(event: Paid) -> None:
        heard.append((str(event.amount), event.currency))

    module.upcast(Paid, 1)(lambda members: {"amount": str(members["euros"])})
    module.upcast(Paid, 2)(lambda members: {**members, "currency": "EUR"})
    exchange = MemoryExchange()
    world = await build(module, broker=MemoryBroker(exchange))
    worker = world.worker()
    await drained(worker)
    for version, payload in ((1, '{"euros": 7}'), (4, "{}")):
        envelope = Envelope(
            id=UUID(int=version),
            source="bank",
            event="bank.Paid",
            key=None,
            payload=payload,
            principal=encode_principal(Principal.system),
            request_id="",
            traceparent=None,
            emitted_at=world.clock.now(),
            sequence=0,
            previous=0,
            dataversion=version,
        )
        exchange.groups["sample"].put(Incoming(topic="bank.Paid", body=encode(envelope)))
    await drained(worker)
    assert heard == [("7", "EUR")]
    assert {row.dataversion: row.state for row in await inbox(world)} == {1: State.DONE, 4: State.DEAD}
