"""A commit that stored events wakes the relay of its process, and those of other processes where theirs leads."""

from __future__ import annotations

from typing import Any

from kernel_world import Build

from mainstay import Event, Events, Module, anyone
from mainstay.kernel.call import Reply


class Made(Event):
    number: int


async def test_others_are_rung_for_where_one_of_them_delivers(build: Build) -> None:
    module = Module("m")

    @module.command("POST /made", allow=anyone)
    async def make(events: Events) -> int:
        events.emit(Made(number=1))
        return 1

    @module.on(Made)
    async def take(event: Made) -> None: ...

    world = await build(module)
    store: Any = world.store
    rings: list[str] = []
    heard: list[Any] = []
    store.ring = lambda: rings.append("rung")
    store.listen = heard.append
    relay = world.bound.relay("host")
    assert heard == [relay.wake]
    assert isinstance(await world.send("make"), Reply)
    assert rings == ["rung"]
    relay.counters.leading = True
    assert isinstance(await world.send("make"), Reply)
    assert rings == ["rung"]


async def test_a_store_of_one_process_rings_for_nobody(build: Build) -> None:
    world = await build(Module("m"))
    world.store.ring()
    world.store.listen(lambda: None)
