"""A commit that stored events wakes the worker of its process, and those of other processes where they may have it."""

from __future__ import annotations

from typing import Any

from flow_world import Talk, say
from kernel_world import Build

from mainstay import Module
from mainstay.kernel.flow.shares import RENEW, WAITING


async def test_others_are_rung_for_where_they_may_hold_the_partition(build: Build) -> None:
    world = await build(Talk().module)
    store: Any = world.store
    rings: list[str] = []
    heard: list[Any] = []
    store.ring = lambda: rings.append("rung")
    store.listen = heard.append
    worker = world.worker()
    worker.listen(world.bound)
    assert heard == [worker.heard]
    await say(world, 1)
    assert rings == ["rung"]
    await worker.shares.step()
    rings.clear()
    await say(world, 2)
    assert rings == []  # it holds everything


async def test_a_store_of_one_process_rings_for_nobody(build: Build) -> None:
    world = await build(Module("m"))
    world.store.ring()
    world.store.listen(lambda: None)


async def test_a_worker_that_hears_others_looks_for_what_they_gave(build: Build) -> None:
    world = await build(Module("m"))
    worker = world.worker()
    await worker.shares.step()
    assert worker.shares.due_in() == RENEW
    worker.heard()
    worker.heard()
    assert worker.shares.due_in() == WAITING
