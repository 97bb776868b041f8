"""A key with very many messages delays no other: not those of its partition, nor those that wait for the consumer."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from flow_world import Talk, drained, number_of, rows_of, say
from kernel_world import Build, World

from mainstay.kernel.flow import sweeping
from mainstay.kernel.flow.places import partition_of
from mainstay.kernel.flow.queues import BATCH, LANE_BATCH, TURN
from mainstay.kernel.flow.records import InboxMessage
from mainstay.kernel.worker import EventWorker

MANY = 900
HOT = "hot"


def neighbours(count: int) -> list[str]:
    """Return keys of the partition that the hot one is in."""
    nowhere = UUID(int=0)
    keys = (f"key {number}" for number in range(10_000))
    found = [key for key in keys if partition_of(key, nowhere) == partition_of(HOT, nowhere)]
    return found[:count]


async def stored(world: World, *keys: str, many: int = MANY) -> EventWorker:
    """Have very many messages of the hot key in the inbox, and behind them one of each of the others."""
    await say(world, *range(many), key=HOT)
    for number, key in enumerate(keys):
        world.clock.advance(0.001)
        await say(world, many + number, key=key)
    worker = world.worker()
    await worker.shares.step()
    while await worker.relay.step():
        pass
    return worker


async def steps(worker: EventWorker, count: int) -> None:
    """Read in so many times, without waiting for what runs."""
    for _ in range(count):
        await worker.runner.step()


async def test_what_is_behind_a_key_of_very_many_is_done_long_before_them(build: Build) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = await stored(world, *neighbours(5))
    for _ in range(3):
        await worker.step()
    assert len(talk.heard) < MANY // 2
    assert [number for number in talk.heard if number >= MANY] == list(range(MANY, MANY + 5))
    await drained(worker, rounds=200)
    assert [number for number in talk.heard if number < MANY] == list(range(MANY))


async def test_only_so_many_of_a_key_are_in_memory_and_nothing_is_written_of_the_others(build: Build) -> None:
    talk, go = Talk(), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    worker = await stored(world, *neighbours(3))
    before = {row.id: row for row in await rows_of(world, InboxMessage)}
    await steps(worker, 20)
    queue = worker.runner._queues["first"]
    assert len(queue) == LANE_BATCH + 3
    assert {row.id: row for row in await rows_of(world, InboxMessage)} == before
    go.set()
    await worker.runner.settled()
    await drained(worker, rounds=200)
    assert sorted(talk.heard) == list(range(MANY + 3))


async def test_a_sweep_begins_once_a_second_and_ends_at_the_end(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    talk, go = Talk(), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    worker = await stored(world)
    looks: list[int] = []
    whole = sweeping.Sweep._read

    async def read(sweep: Any, transaction: Any, held: Any, at: Any) -> list[InboxMessage]:
        looks.append(at.place)
        return await whole(sweep, transaction, held, at)

    monkeypatch.setattr(sweeping.Sweep, "_read", read)
    await steps(worker, 10)
    assert len(looks) == -(-MANY // sweeping.STRETCH)
    await say(world, MANY, key=neighbours(1)[0])
    await worker.relay.step()
    await steps(worker, 5)
    assert len(looks) == 2
    world.clock.advance(sweeping.PAUSE)
    await steps(worker, 5)
    assert looks[2] == 0
    assert worker.runner._queues["first"].running()
    assert {number_of(row) for row in worker.runner._queues["first"].running()} == {0, MANY}
    go.set()
    await worker.runner.settled()


async def test_keys_that_fill_the_memory_leave_room_for_what_is_behind_them(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "ROOM", 2)
    talk, go = Talk(), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    other, *calm = neighbours(6)
    await say(world, *range(1000, 1000 + MANY), key=other)
    worker = await stored(world, *calm)
    await steps(worker, 20)
    assert len(worker.runner._queues["first"]) == BATCH + sweeping.ROOM
    go.set()
    await worker.runner.settled()
    await drained(worker, rounds=400)
    assert [number for number in talk.heard if number < MANY] == list(range(MANY))
    assert [number for number in talk.heard if number >= 1000] == list(range(1000, 1000 + MANY))
    assert len(talk.heard) == 2 * MANY + 5


async def test_a_key_lets_others_have_their_turn_where_few_may_run_at_once(build: Build) -> None:
    talk = Talk(concurrency=1)
    world = await build(talk.module)
    await say(world, *range(40), key="a")
    await say(world, *range(100, 140), key="b")
    await say(world, 200, key="c")
    await drained(world.worker())
    first = talk.heard[: 2 * TURN + 1]
    assert first == [*range(TURN), *range(100, 100 + TURN), 200]
    assert sorted(talk.heard) == [*range(40), *range(100, 140), 200]


async def test_where_very_many_have_one_place_a_sweep_gets_on(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "STRETCH", 50)
    talk = Talk()
    world = await build(talk.module)
    worker = await stored(world, *neighbours(2))
    await steps(worker, 20)
    await worker.runner.settled()
    assert {MANY, MANY + 1} <= set(talk.heard)


async def test_a_sweep_goes_through_the_partitions_that_are_held_and_no_others(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeping, "STRETCH", 50)
    talk, crowd = Talk(), partition_of(HOT, UUID(int=0))
    world = await build(talk.module)
    worker = await stored(world, *neighbours(2))
    held = worker.shares._held
    worker.shares._held = {number: held[number] for number in (crowd - 2, crowd)}  # two spans
    await steps(worker, 20)
    await worker.runner.settled()
    assert {MANY, MANY + 1} <= set(talk.heard)
