"""What was judged may be old when it runs: the order of a key does not hang on it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from flow_world import Talk, begun, change, drained, inbox, number_of, records, say
from kernel_world import Build, World
from moody_broker import Moody, emitted, subscribed

from mainstay.kernel.call import Reply
from mainstay.kernel.flow.judging import LOOK
from mainstay.kernel.flow.records import InboxMessage, State


async def changed(world: World, number: int, **changes: Any) -> None:
    """Have another replica change a message."""
    (row,) = [row for row in await inbox(world) if number_of(row) == number]
    await change(world, InboxMessage, row.id, **changes)


def meanwhile(patch: pytest.MonkeyPatch, on: Any, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Have something happen at the end of a method, the next time that it is called."""
    whole = getattr(on, name)

    async def method(*given: Any) -> Any:
        patch.setattr(on, name, whole)
        found = await whole(*given)
        await work()
        return found

    patch.setattr(on, name, method)


async def test_a_message_does_not_overtake_one_that_fails_while_it_is_judged(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk, go = Talk(), asyncio.Event()
    talk.refuses = {1: 1}
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, key="k")
    await worker.shares.step()
    await worker._relay()
    await worker.runner.step()
    await begun(world)
    await say(world, 2, key="k")
    await worker._relay()

    async def fails() -> None:
        go.set()
        await worker.runner.settled()

    meanwhile(monkeypatch, worker.runner._judge, "_before", fails)
    await drained(worker)
    assert talk.heard == [1]
    world.clock.advance(5)
    await drained(worker)
    assert talk.heard == [1, 1, 2]


@pytest.mark.parametrize("latest_only", [True, False])
async def test_a_message_that_was_judged_before_a_later_one_was_done_is_late_all_the_same(
    build: Build, latest_only: bool
) -> None:
    broker, talk = Moody(), Talk(latest_only=latest_only)
    world, worker = await subscribed(build, talk, broker)
    broker.hand(await emitted(world, worker, broker, 1, 2))
    await worker._take_in()
    await worker.runner.step()
    await changed(world, 2, state=State.DONE, place=None, due_at=None)
    await worker.runner.settled()
    await drained(worker)
    assert await records(world) == []  # whatever it was that it heard
    (late,) = [row for row in await inbox(world) if number_of(row) == 1]
    assert (late.state, late.cause) == (State.DROPPED if latest_only else State.DEAD, "late")
    assert worker.counters.of("first").done == 0


async def test_a_message_that_begins_at_a_gap_of_before_the_consumer_may_be_late_as_well(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, sender = Moody(), Talk()
    world, worker = await subscribed(build, sender, broker)
    bodies = await emitted(world, worker, broker, 1)
    world.clock.advance(60)
    bodies += await emitted(world, worker, broker, 2, 3)
    late = Talk()
    other = await build(late.module, broker=broker)
    other.clock.advance(60)
    taking = other.worker()
    await taking.step()
    broker.hand(bodies[1:])
    await taking._take_in()
    with monkeypatch.context() as patched:
        patched.setattr(taking.runner, "_start", lambda _: False)
        for _ in range(2):  # the gap is noted, then it is read in
            await taking.runner.step()
    assert len(taking.runner._queues["first"]) == 2
    await changed(other, 3, state=State.DONE, place=None, due_at=None)
    await drained(taking)
    assert await records(other) == []


async def test_a_message_is_not_put_before_a_later_one_that_has_begun_while_it_was_judged(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker, talk, go = Moody(), Talk(latest_only=True), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2)
    queue = worker.runner._queues["first"]
    with monkeypatch.context() as patched:
        patched.setattr(worker.runner, "_start", lambda _: False)
        broker.hand(bodies[1:])
        await worker._take_in()
        await worker.runner.step()
    broker.hand(bodies[:1])
    await worker._take_in()

    async def begins() -> None:
        worker.runner._start(queue)
        await begun(world)

    meanwhile(monkeypatch, worker.runner._judge, "judge", begins)
    await worker.runner.step()
    go.set()
    await worker.runner.settled()
    world.clock.advance(LOOK)
    await drained(worker)
    assert talk.heard == [2]
    assert [number_of(row) for row in await inbox(world, State.DROPPED)] == [1]


async def test_behind_a_message_that_is_not_as_it_was_read_nothing_runs(build: Build) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = world.worker()
    whole = world.names["first"].invoke

    async def put_off(call: Any) -> Reply:
        world.names["first"].invoke = whole
        await changed(world, 1, place=None, due_at=world.clock.now() + timedelta(seconds=3))
        return Reply(replayed=True)

    world.names["first"].invoke = put_off  # as a consumer that reaches outside sees it
    await say(world, 1, 2, key="k")
    await drained(worker)
    assert talk.heard == []
    world.clock.advance(5)
    await drained(worker)
    assert talk.heard == [1, 2]
