"""What goes wrong while messages are run: exceptions, what cannot be read or written, and others that are quicker."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from flow_world import Talk, begun, change, drained, failing, inbox, number_of, rows_of, say
from kernel_world import Build

from mainstay.kernel.call import Reply
from mainstay.kernel.flow.records import ConsumerState, InboxMessage, OutboxMessage, State
from mainstay.kernel.flow.shares import LeaseLost


async def test_an_exception_leaves_where_to_look_and_none_of_its_words(build: Build) -> None:
    talk = Talk(attempts=1)

    async def broken(_: int) -> None:
        raise RuntimeError("secret 4711")

    talk.waits = broken
    world = await build(talk.module)
    await say(world, 1)
    await drained(world.worker())
    (dead,) = await inbox(world)
    assert (dead.state, dead.cause) == (State.DEAD, "internal_error")
    assert dead.detail is not None
    assert "r-1" in dead.detail
    assert "4711" not in dead.detail


async def test_a_message_for_whom_nobody_can_read_is_given_up_in_the_end(build: Build) -> None:
    talk = Talk(attempts=1)
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1)
    await worker.shares.step()
    await worker.relay.step()
    (row,) = await inbox(world)
    await change(world, InboxMessage, row.id, principal="{")
    await drained(worker)
    assert [(dead.state, dead.cause) for dead in await inbox(world)] == [(State.DEAD, "malformed")]
    assert talk.heard == []


async def test_what_another_has_moved_meanwhile_is_not_moved_again(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2)
    await worker.shares.step()
    whole = worker.relay._waiting

    async def twice(spans: Any) -> Any:
        found = await whole(spans)
        return [*found, found[0]]

    with monkeypatch.context() as patched:
        patched.setattr(worker.relay, "_waiting", twice)
        assert await worker.relay.step() is True
    assert worker.counters.conflicts == 1
    assert len(await rows_of(world, OutboxMessage)) == 2


async def test_what_cannot_be_decided_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    talk.refuses = {1: 1}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, key="k")
    await drained(worker)
    await say(world, 2, key="k")
    await worker.shares.step()
    await worker._relay()
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await worker.runner.step()
    world.clock.advance(5)
    await drained(worker)
    assert talk.heard == [1, 1, 2]


async def test_consumers_that_another_replica_has_noted_are_known(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await build(Talk(second=True).module)
    one, other = world.worker("one"), world.worker("other")
    whole, first = other.known._add, []

    async def later(names: Any) -> None:
        if not first:
            first.append(await one.known.refresh())
        await whole(names)

    monkeypatch.setattr(other.known, "_add", later)
    assert await other.known.refresh()
    assert other.known.horizon("first") == one.known.horizon("first")
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", failing(world, OSError("disk")))
        with pytest.raises(OSError, match="disk"):
            await whole(["third"])


async def test_a_consumer_that_is_not_there_has_nothing_looked_at(build: Build) -> None:
    world = await build(Talk().module)
    world.worker().runner.look(["nobody"])


async def test_what_waits_in_memory_is_let_go_of_when_its_consumer_is_paused(build: Build) -> None:
    talk, go = Talk(concurrency=1), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, 3)
    await worker.shares.step()
    await worker._relay()
    await worker.runner.step()
    await begun(world)
    (state,) = await rows_of(world, ConsumerState)
    await change(world, ConsumerState, state.id, paused=True)
    world.clock.advance(1)
    await worker.runner.step()
    go.set()
    await worker.runner.settled()
    assert len(talk.heard) == 1
    await change(world, ConsumerState, state.id, paused=False)
    world.clock.advance(1)
    await drained(worker)
    assert sorted(talk.heard) == [1, 2, 3]


async def test_what_was_decided_while_another_took_over_is_left_to_that_one(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    talk.refuses = {1: 1}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, key="k")
    await drained(worker)
    await say(world, 2, key="k")
    await worker.shares.step()
    await worker._relay()

    async def lost(*_: Any) -> None:
        raise LeaseLost

    with monkeypatch.context() as patched:
        patched.setattr(worker.shares, "check", lost)
        await worker.runner.step()
    assert worker.counters.conflicts == 1
    (second,) = [row for row in await inbox(world) if number_of(row) == 2]
    assert second.place is not None
    world.clock.advance(5)
    await drained(worker)
    assert talk.heard == [1, 1, 2]


async def test_what_another_has_done_meanwhile_is_not_counted(build: Build) -> None:
    talk = Talk()
    world = await build(talk.module)
    worker = world.worker()

    async def replayed(call: Any) -> Reply:
        (row,) = await inbox(world)
        await change(world, InboxMessage, row.id, state=State.DONE, place=None)
        return Reply(replayed=True)

    world.names["first"].invoke = replayed
    await say(world, 1)
    await drained(worker)
    assert worker.counters.done == 0
