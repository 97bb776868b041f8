"""The edges of delivery: a consumer that hangs, a key that waits, a store that fails, a partition that is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flow_world import Record, Talk, begun, change, drained, failing, inbox, number_of, records, rows_of, say
from kernel_world import Build

from mainstay.kernel import worker as worker_module
from mainstay.kernel.dispatch import dispatch
from mainstay.kernel.flow import calling, judging, queues
from mainstay.kernel.flow.fates import REST_SECONDS
from mainstay.kernel.flow.records import InboxMessage, OutboxMessage, State
from mainstay.model.problem import TooMany


async def test_what_waits_behind_its_key_hides_nothing_else(build: Build) -> None:
    talk = Talk(attempts=9)
    talk.refuses = {0: 1}
    world = await build(talk.module)
    worker = world.worker()
    many = range(queues.BATCH * 2 + 10)
    await say(world, *many, key="k")
    await say(world, 1000)
    await say(world, 1001, key="other")
    await drained(worker)
    assert sorted(talk.heard) == [0, 1000, 1001]
    assert {row.place for row in await inbox(world, State.PENDING)} == {None}  # nobody looks at them now
    world.clock.advance(5)
    await drained(worker, 100)
    assert [number for number in talk.heard if number < 1000] == [0, *many]


async def test_a_poison_message_parks_its_key_and_nothing_else(build: Build) -> None:
    talk = Talk(attempts=2)
    talk.refuses = {2: None}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, 3, key="k")
    await say(world, 20, key="other")
    for _ in range(4):
        await drained(worker)
        world.clock.advance(10)
    await say(world, 4, key="k")
    await drained(worker)
    assert [n for n in talk.heard if n != 20] == [1, 2, 2]
    states = {number_of(row): (row.state, row.place, row.due_at) for row in await inbox(world)}
    assert states[2] == (State.DEAD, None, None)
    assert states[3] == states[4] == (State.PENDING, None, None)
    assert states[20][0] is State.DONE


async def test_a_consumer_that_continues_leaves_a_dead_letter_behind(build: Build) -> None:
    talk = Talk(attempts=2, on_dead="continue")
    talk.refuses = {1: None}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, key="k")
    await drained(worker)
    assert talk.heard == [1]
    world.clock.advance(10)
    await drained(worker)
    await say(world, 3, key="k")
    await drained(worker)
    assert talk.heard == [1, 1, 2, 3]
    assert [number_of(row) for row in await inbox(world, State.DEAD)] == [1]


async def test_a_problem_says_when_to_try_again(build: Build) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = world.worker()

    async def busy(_: int) -> None:
        raise TooMany(retry_after=600.0)

    talk.waits = busy
    await say(world, 1)
    await drained(worker)
    (row,) = await inbox(world)
    assert row.due_at is not None
    assert (row.due_at - world.clock.now()).total_seconds() >= 600


async def test_pauses_grow_and_have_an_end(build: Build) -> None:
    world = await build(Talk().module)
    problem = TooMany()
    pauses = [calling.pause_after(attempts, problem, world.bound.ports) for attempts in range(1, 60)]
    assert 0.25 <= pauses[0] < 0.75
    assert max(pauses) < calling.MAX_DELAY * 1.5
    assert min(pauses[12:]) >= calling.MAX_DELAY * 0.5


async def test_a_consumer_that_hangs_holds_up_nobody_for_ever(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "MARGIN", 0.0)
    talk = Talk()
    talk.waits = lambda _: asyncio.Event().wait()
    world = await build(talk.module)
    world.names["first"].deadline = 0.01
    await say(world, 1)
    async with asyncio.timeout(30):
        await drained(world.worker())
    (waiting,) = await inbox(world)
    assert (waiting.cause, waiting.attempts) == ("deadline_exceeded", 1)
    assert await rows_of(world, Record) == []


async def test_a_consumer_that_commits_is_left_to_end(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "MARGIN", 0.0)
    world = await build(Talk().module)
    world.names["first"].deadline = 0.01
    whole = world.names["first"].invoke

    async def slow(call: Any) -> Any:
        call.committing = True
        await asyncio.sleep(0.05)
        return await whole(call)

    world.names["first"].invoke = slow
    await say(world, 1)
    await drained(world.worker())
    assert await records(world) == [(1, "first")]


async def test_a_slow_consumer_holds_up_its_own_messages_only(build: Build) -> None:
    talk, slow = Talk(second=True, concurrency=2), asyncio.Event()
    talk.waits = lambda _: slow.wait()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, *range(5))
    await worker.shares.step()
    await worker.relay.step()
    await worker.runner.step()
    async with asyncio.timeout(30):
        while len(await records(world)) < 5:
            await asyncio.sleep(0)
    assert await records(world) == [(n, "second") for n in range(5)]
    assert world.names["first"].running == 2  # as many as its concurrency lets it
    assert worker.counters.of("first").running == 2
    assert any(worker.runner.is_busy(partition) for partition in range(16))
    slow.set()
    await worker.runner.settled()
    assert sorted(talk.heard) == list(range(5))
    assert not any(worker.runner.is_busy(partition) for partition in range(16))


async def test_one_key_runs_one_message_at_a_time_while_more_come_in(build: Build) -> None:
    talk, go = Talk(), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    worker = world.worker()
    await worker.shares.step()
    for number in range(3):
        await say(world, number, key="k")
        await worker._relay()
        await worker.runner.step()
        await begun(world)
        assert world.names["first"].running == 1
    go.set()
    await worker.runner.settled()
    assert talk.heard == [0, 1, 2]


async def test_a_worker_that_stops_waits_for_its_consumers_and_not_for_ever(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "DRAIN", 0.01)
    talk = Talk()
    talk.waits = lambda _: asyncio.Event().wait()
    world = await build(talk.module)
    await say(world, 1)
    worker = world.worker()
    running = asyncio.create_task(worker.run())
    async with asyncio.timeout(30):
        while not world.names["first"].running:
            await asyncio.sleep(0.001)
        worker.stop()
        await running
    assert world.names["first"].running == 0
    assert [row.state for row in await inbox(world)] == [State.PENDING]


async def test_a_move_that_fails_is_done_again_to_no_effect(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, 3)
    await worker.shares.step()
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await worker.relay.step()
    assert len(await rows_of(world, OutboxMessage)) == 3
    await drained(worker)
    assert sorted(talk.heard) == [1, 2, 3]
    assert await rows_of(world, OutboxMessage) == []


async def test_what_a_failed_delivery_cannot_note_is_told_and_its_consumer_rests(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    talk.refuses = {1: 1}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1)

    async def broken(*_: Any) -> bool:
        raise OSError("disk")

    with monkeypatch.context() as patched:
        patched.setattr(worker.runner, "_fenced", broken)
        await drained(worker)
    assert [notice.event for notice in world.ear.notices] == ["consumer_waits"]
    await drained(worker)
    assert talk.heard == [1]  # it rests
    world.clock.advance(REST_SECONDS)
    await drained(worker)
    assert talk.heard == [1, 1]
    assert [row.state for row in await inbox(world)] == [State.DONE]


async def test_what_was_changed_by_another_while_it_failed_is_left_as_it_is(build: Build) -> None:
    talk = Talk()
    world = await build(talk.module)

    async def meddle(_: int) -> None:
        (row,) = await inbox(world)
        await change(world, InboxMessage, row.id, state=State.DROPPED, place=None)
        raise TooMany

    talk.waits = meddle
    await say(world, 1)
    worker = world.worker()
    await drained(worker)
    (row,) = await inbox(world)
    assert (row.state, row.attempts) == (State.DROPPED, 0)
    assert worker.counters.conflicts == 1


async def test_a_partition_that_was_lost_is_worked_on_no_more(build: Build) -> None:
    talk, go = Talk(), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, key="k")
    await worker.shares.step()
    await worker._relay()
    await worker.runner.step()
    await begun(world)
    world.clock.advance(60)  # its term is over, and it does not know whether another has taken over
    go.set()
    await worker.runner.settled()
    assert talk.heard == [1]
    await worker.runner.step()
    assert talk.heard == [1]
    await drained(worker)
    assert talk.heard == [1, 2]


async def test_a_consumer_that_is_called_without_a_message_steps_nothing(build: Build) -> None:
    world = await build(Talk().module)
    await dispatch(world.call("first", body=b'{"number": 5}'))
    assert await records(world) == [(5, "first")]
    assert await inbox(world) == []


async def test_a_message_whose_predecessor_is_on_its_way_is_looked_at_soon(build: Build) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, key="k")
    await say(world, 2, key="k")
    await worker.shares.step()
    await worker.relay.step()
    first, second = sorted(await inbox(world), key=number_of)
    await change(world, InboxMessage, first.id, place=None, due_at=world.clock.now() + judging.LOOK)
    await drained(worker)
    assert talk.heard == []
    (second,) = [row for row in await inbox(world) if number_of(row) == 2]
    assert second.due_at == world.clock.now() + judging.LOOK
    world.clock.advance(judging.LOOK)
    await drained(worker)
    assert talk.heard == [1, 2]
