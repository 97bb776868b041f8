"""Provisions: what a team provides is made once for the service, or for each call, and cleaned up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from kernel_world import Build

from mainstay import Clock, Entity, Event, Ids, Module, Repository, Service, anyone
from mainstay.kernel.bind import bind
from mainstay.kernel.call import Reply
from mainstay.model.problem import Problem


class Row(Entity):
    number: int


class Made(Event):
    number: int


class Tool:
    def __init__(self, name: str = "tool") -> None:
        self.name = name


def told(outcome: Reply | Problem) -> Any:
    return outcome.code if isinstance(outcome, Problem) else msgspec.json.decode(outcome.body)


def using() -> Module:
    module = Module("tools")
    module.entity(Row)

    @module.query("GET /tool", allow=anyone)
    async def use(tool: Tool) -> str:
        return tool.name

    return module


async def test_what_is_made_for_the_service_may_need_the_ports(build: Build) -> None:
    class Stamp:
        def __init__(self, clock: Clock, ids: Ids) -> None:
            self.text = f"{clock.monotonic()} {ids.next()}"

    module = Module("stamps")

    async def stamp(one: Any) -> str:
        return str(one.text)

    stamp.__annotations__["one"] = Stamp
    module.query("GET /stamp", allow=anyone)(stamp)
    Stamp.__init__.__annotations__.update(clock=Clock, ids=Ids)
    world = await build(module, provide=lambda s: s.provide(Stamp, Stamp, outside=False))
    assert world.bound.faults == []
    assert told(await world.send("stamp")).startswith("0.0 ")
    assert not world.names["stamp"].inline


async def test_what_is_made_for_the_service_may_not_need_what_is_of_a_call(build: Build) -> None:
    def per_call() -> Tool:
        return Tool()

    def other(tool: Tool) -> Row:
        return Row(number=1)

    def stored(rows: Repository[Row]) -> Tool:
        return Tool()

    def provide(service: Service) -> None:
        service.provide(Tool, per_call, scope="call")
        service.provide(Row, other)

    world = await build(using(), provide=provide)
    (fault,) = world.bound.faults
    assert fault.subject == "provide(Row)"
    assert "Row is made once for the service, and its tool anew for each call" in fault.message
    assert fault.source.file == __file__
    again = await build(using(), provide=lambda s: s.provide(Tool, stored))
    assert any("its rows anew for each call" in f.message for f in again.bound.faults)


async def test_what_was_made_is_cleaned_up_where_the_start_fails(build: Build) -> None:
    heard: list[str] = []

    async def tool() -> AsyncIterator[Tool]:
        heard.append("open")
        yield Tool()
        heard.append("close")

    def broken(tool: Tool) -> Row:
        raise OSError("no disk")

    def provide(service: Service) -> None:
        service.provide(Row, broken)
        service.provide(Tool, tool, outside=False)

    with pytest.raises(OSError, match="no disk"):
        await build(using(), provide=provide)
    assert heard == ["open", "close"]


async def test_a_factory_may_wait_and_have_defaults(build: Build) -> None:
    async def tool(name: str = "default", *others: Any, **more: Any) -> Tool:
        await asyncio.sleep(0)
        return Tool(name)

    module = Module("tools")

    @module.query("GET /name", allow=anyone)
    async def name(tool: Tool) -> str:
        return tool.name

    for scope in ("service", "call"):
        world = await build(module, provide=lambda s, scope=scope: s.provide(Tool, tool, scope=scope, outside=False))
        assert told(await world.send("name")) == "default"


async def test_binding_notes_what_cannot_be_resolved(build: Build) -> None:
    class Lost(Entity):
        thing: Nowhere  # type: ignore[name-defined]  # noqa: F821 - that is the fault

    module = Module("lost")
    module.resource(Lost, path="/lost", read=anyone)
    world = await build(module)
    assert [f.subject for f in world.bound.faults] == ["Lost"]
    assert bind(world.bound.service, world.bound.ports).faults


async def test_what_is_made_for_a_call_is_cleaned_up_last_first(build: Build) -> None:
    heard: list[str] = []

    async def tool() -> AsyncIterator[Tool]:
        heard.append("open tool")
        yield Tool()
        heard.append("close tool")

    async def row(tool: Tool) -> AsyncIterator[Row]:
        heard.append("open row")
        yield Row(number=1)
        heard.append("close row")

    module = Module("both")

    @module.query("GET /both", allow=anyone)
    async def both(row: Row, tool: Tool) -> int:
        return row.number

    def provide(service: Service) -> None:
        service.provide(Tool, tool, scope="call", outside=False)
        service.provide(Row, row, scope="call", outside=False)

    world = await build(module, provide=provide)
    assert told(await world.send("both")) == 1
    assert heard == ["open tool", "open row", "close row", "close tool"]


async def test_a_consumer_may_reach_outside(build: Build) -> None:
    """Its effects outside are at least once, and said to be."""
    module = using()

    @module.on(Made)
    async def tell(event: Made, tool: Tool) -> None: ...

    world = await build(module, provide=lambda s: s.provide(Tool, Tool))
    assert world.bound.faults == []
