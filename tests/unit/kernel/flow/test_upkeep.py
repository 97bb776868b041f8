"""Upkeep: what is past its time goes, what was done is remembered long enough, and what waits is counted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flow_world import Talk, drained, failing, inbox, records, rows_of, say
from kernel_world import Build

from mainstay.kernel.flow import upkeep as upkeep_module
from mainstay.kernel.flow.records import (
    ConsumerState,
    IdempotencyRecord,
    InboxMessage,
    KeySequence,
    OutboxMessage,
    State,
    mark_of,
)
from mainstay.kernel.flow.upkeep import CLEAN_SECONDS, COUNT_SECONDS, Keeping, Upkeep
from mainstay.model.problem import SerializationConflict
from mainstay.model.structs import EPOCH

WEEK = timedelta(days=7)


async def test_what_is_past_its_time_is_purged_behind_the_floor(build: Build) -> None:
    world = await build(Talk().module)
    worker = world.worker()
    await say(world, 1, key="k")
    await drained(worker)
    await world.send("say", body=b'{"numbers": []}', idempotency_key="k")
    assert len(await rows_of(world, IdempotencyRecord)) == 1
    world.clock.advance(WEEK + timedelta(days=1))
    await worker.upkeep.clean()
    assert await rows_of(world, IdempotencyRecord) == []
    assert await rows_of(world, KeySequence) == []
    assert len(await inbox(world)) == 1  # the floor is raised first, and heeded by everybody before anything goes
    (state,) = await rows_of(world, ConsumerState)
    assert state.floor == world.clock.now() - WEEK
    await worker.upkeep.clean()
    assert await inbox(world) == []


async def test_what_is_not_done_is_never_purged(build: Build) -> None:
    talk = Talk()
    talk.refuses = {1: None}
    world = await build(talk.module)
    worker = world.worker()
    await say(world, 1, 2, key="k")
    for _ in range(3):
        await drained(worker)
        world.clock.advance(10)
    for _ in range(3):
        world.clock.advance(WEEK * 2)
        await worker.upkeep.clean()
    assert {row.state for row in await inbox(world)} == {State.DEAD, State.PENDING}


async def test_more_than_may_be_kept_is_purged_before_its_time_but_nothing_of_late(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep_module, "PORTION", 3)
    world = await build(Talk().module)
    worker = world.worker()
    upkeep = Upkeep(world.bound.ports, worker.shares, worker.counters, Keeping(WEEK, 5))
    for number in range(20):
        await say(world, number)
        await drained(worker)
        world.clock.advance(600)
    for _ in range(6):
        await upkeep.clean()
    left = await inbox(world)
    assert 5 <= len(left) <= 7
    youngest = world.clock.now() - upkeep_module.LEAST_AGE
    assert all(row.created_at <= youngest or row in left for row in await inbox(world))
    assert sum(row.created_at > youngest for row in left) == 5


async def test_marks_of_before_there_were_states_are_heeded_and_go_in_the_end(build: Build) -> None:
    world = await build(Talk(second=True).module)
    worker = world.worker()
    await say(world, 1)
    (message,) = await rows_of(world, OutboxMessage)
    transaction = world.store.begin(write=True)
    now = world.clock.now()
    old = InboxMessage(
        id=world.bound.ports.ids.next(), version=1, created_at=now, updated_at=now, mark=mark_of("first", message.id)
    )
    transaction.rows(InboxMessage).insert([old])
    await transaction.commit()
    assert (old.state, old.place, old.emitted_at) == (State.DONE, None, EPOCH)
    await drained(worker)
    assert await records(world) == [(1, "second")]
    world.clock.advance(WEEK * 2)
    await worker.upkeep.clean()
    assert [row.consumer for row in await inbox(world)] == ["second"]


async def test_it_counts_and_cleans_when_that_is_due_and_only_where_the_first_partition_is(build: Build) -> None:
    talk = Talk()
    talk.refuses = {1: None}
    world = await build(talk.module)
    worker = world.worker()
    await worker.upkeep.step()
    await say(world, 1)
    await drained(worker)
    await say(world, 2)
    world.clock.advance(COUNT_SECONDS)
    await worker.upkeep.step()
    assert worker.counters.outbox == 0  # its term was over: nobody knows whether it still holds anything
    await worker.shares.step()
    await worker.upkeep.step()
    counted = worker.counters
    assert (counted.outbox, counted.outbox_lag) == (1, COUNT_SECONDS)
    assert (counted.of("first").pending, counted.of("first").lag) == (1, COUNT_SECONDS)
    cleaned: list[int] = []

    async def clean() -> None:
        cleaned.append(1)

    worker.upkeep.clean = clean  # type: ignore[method-assign]
    await worker.upkeep.step()
    world.clock.advance(CLEAN_SECONDS)
    await worker.shares.step()
    for _ in range(2):
        await worker.upkeep.step()
    assert cleaned == [1]


@pytest.mark.parametrize("error", [OSError("disk"), SerializationConflict()])
async def test_what_cannot_be_purged_stays(build: Build, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    world = await build(Talk().module)
    worker = world.worker()
    await world.send("say", body=b'{"numbers": []}', idempotency_key="k")
    world.clock.advance(WEEK)
    monkeypatch.setattr(world.store, "begin", failing(world, error))
    if isinstance(error, OSError):
        with pytest.raises(OSError, match="disk"):
            await worker.upkeep.clean()
    else:
        await worker.upkeep.clean()
    monkeypatch.undo()
    assert len(await rows_of(world, IdempotencyRecord)) == 1
