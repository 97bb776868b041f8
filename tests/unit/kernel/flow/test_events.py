"""Events: stored with what they tell of, delivered after the commit, with one effect, in order, in the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from flow_world import Record, Talk, drained, inbox, number_of, records, rows_of, say
from kernel_world import ANN, Build

from mainstay import Event, Events, Module, anyone
from mainstay.kernel.flow.records import OutboxMessage, State


async def test_an_event_reaches_every_consumer_once(build: Build) -> None:
    world = await build(Talk(second=True).module)
    await say(world, 1)
    assert await records(world) == []
    worker = world.worker()
    await drained(worker)
    assert await records(world) == [(1, "first"), (1, "second")]
    assert {r.who for r in await rows_of(world, Record)} == {ANN.id}
    assert await rows_of(world, OutboxMessage) == []
    assert [(row.consumer, row.state) for row in await inbox(world)] == [("first", "done"), ("second", "done")]
    await drained(worker)
    assert len(await records(world)) == 2
    assert (worker.counters.relayed, worker.counters.done) == (1, 2)


async def test_an_event_without_a_commit_was_never_told(build: Build) -> None:
    world = await build(Talk().module)
    await say(world, 1, fail=True)
    assert await rows_of(world, OutboxMessage) == []


async def test_an_event_without_consumers_leaves_the_outbox(build: Build) -> None:
    world = await build(Talk().module)
    await world.send("unheard")
    await drained(world.worker())
    assert await rows_of(world, OutboxMessage) == []
    assert await inbox(world) == []


async def test_a_consumer_that_fails_is_tried_again_alone(build: Build) -> None:
    talk = Talk(second=True)
    talk.refuses = {1: 1}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1)
    await say(world, 2)
    await drained(worker)
    assert await records(world) == [(1, "second"), (2, "first"), (2, "second")]
    (waiting,) = await inbox(world, State.PENDING)
    assert (waiting.attempts, waiting.cause, waiting.place) == (1, "conflict", None)
    await drained(worker)
    assert len(await records(world)) == 3
    world.clock.advance(1.0)
    await drained(worker)
    assert await records(world) == [(1, "first"), (1, "second"), (2, "first"), (2, "second")]
    assert worker.counters.of("first").failed == 1


async def test_a_message_that_keeps_failing_becomes_a_dead_letter_that_tells_no_values(build: Build) -> None:
    talk = Talk()
    talk.refuses = {1: None}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1)
    for _ in range(5):
        await drained(worker)
        world.clock.advance(10.0)
    (dead,) = await inbox(world)
    assert (dead.state, dead.attempts, dead.cause) == (State.DEAD, 3, "conflict")
    assert dead.detail is not None
    assert "4711" not in dead.detail
    (notice,) = world.ear.notices
    assert notice.event == "dead_letter"
    assert (notice.facts["consumer"], notice.facts["attempts"]) == ("first", 3)
    assert worker.counters.dead == 1
    assert talk.heard == [1, 1, 1]


async def test_what_has_one_key_is_told_in_order(build: Build) -> None:
    talk = Talk()
    talk.refuses = {1: 1}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, key="k")
    await say(world, 3, key="other")
    await drained(worker)
    assert sorted(talk.heard) == [1, 3]
    await say(world, 4, key="k")
    await drained(worker)
    assert sorted(talk.heard) == [1, 3]
    world.clock.advance(1.0)
    await drained(worker)
    assert [heard for heard in talk.heard if heard != 3] == [1, 1, 2, 4]


async def test_two_workers_at_once_make_one_effect(build: Build) -> None:
    world = await build(Talk(second=True).module)
    await say(world, *range(40))
    workers = [world.worker(name) for name in ("a", "b")]
    for _ in range(4):
        await asyncio.gather(*(worker.step() for worker in workers))
        world.clock.advance(1.0)
    assert await records(world) == sorted((n, c) for n in range(40) for c in ("first", "second"))
    assert len(await inbox(world, State.DONE)) == 80


async def test_a_message_from_behind_the_floor_is_not_risked(build: Build) -> None:
    world = await build(Talk().module)
    worker = world.worker()
    await drained(worker)
    await say(world, 1)
    world.clock.advance(timedelta(days=8))
    await worker.upkeep.clean()
    await drained(worker)
    assert await records(world) == []
    (dead,) = await inbox(world)
    assert (dead.state, dead.cause) == (State.DEAD, "too_old")
    assert [n.event for n in world.ear.notices] == ["dead_letter"]


async def test_an_event_that_is_declared_nowhere_is_a_bug(build: Build) -> None:
    module = Module("talk")
    hidden = type("Hidden", (Event,), {"__module__": __name__, "__annotations__": {}})

    @module.command("POST /hidden", allow=anyone)
    async def emit(events: Events) -> None:
        events.emit(hidden())

    world = await build(module)
    await world.send("emit")
    assert "declared in no module" in str(world.ear.calls[-1].error)


async def test_a_worker_runs_until_it_is_stopped(build: Build) -> None:
    world = await build(Talk(second=True).module)
    worker = world.worker()
    worker.listen(world.bound)
    running = asyncio.create_task(worker.run())
    await say(world, 1)
    async with asyncio.timeout(30):
        while len(await records(world)) < 2:
            await asyncio.sleep(0.01)
    worker.stop()
    async with asyncio.timeout(30):
        await running
    assert worker.shares.held == {}


@pytest.mark.parametrize("key", [None, "k"])
async def test_many_events_of_one_command_come_in_the_order_of_their_emission(build: Build, key: str | None) -> None:
    talk = Talk(concurrency=1)
    world = await build(talk.module)
    await say(world, *range(300), key=key)
    await drained(world.worker())
    assert sorted(talk.heard) == list(range(300))
    if key is not None:
        assert talk.heard == list(range(300))
        assert [number_of(row) for row in sorted(await inbox(world), key=lambda row: row.sequence)] == talk.heard
