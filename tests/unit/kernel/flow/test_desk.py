"""The desk: looking at messages, pausing consumers, trying dead letters again, and doing again what was done."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flow_world import Talk, change, drained, inbox, number_of, records, say
from kernel_world import Build, World

from mainstay.adapters.memory.broker import MemoryBroker
from mainstay.kernel.flow import desk as desk_module
from mainstay.kernel.flow.consumers import FRESH
from mainstay.kernel.flow.desk import EventDesk, Moved
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.problem import NotFound


async def made(build: Build, talk: Talk, **more: Any) -> tuple[World, Any, EventDesk]:
    world = await build(talk.module, **more)
    return world, world.worker(), EventDesk(world.bound.ports, ["first"])


async def given_up(world: World, worker: Any, talk: Talk, *numbers: int, key: str | None = None) -> None:
    """Have messages of which the first is a dead letter."""
    talk.refuses = {numbers[0]: None}
    await say(world, *numbers, key=key)
    for _ in range(3):
        await drained(worker)
        world.clock.advance(10)
    talk.refuses = {}
    talk.heard.clear()


async def test_messages_are_listed_and_shown(build: Build) -> None:
    talk = Talk()
    world, worker, desk = await made(build, talk)
    await given_up(world, worker, talk, 1, 2, key="k")
    await say(world, 3)
    await drained(worker)
    dead, parked, done = await desk.messages()
    assert (dead.state, dead.cause, dead.attempts, dead.parked) == ("dead", "conflict", 3, False)
    assert (parked.state, parked.parked, parked.previous) == ("pending", True, dead.sequence)
    assert (done.state, done.payload, done.principal) == ("done", None, None)
    assert [one.id for one in await desk.messages(state=State.DEAD)] == [dead.id]
    assert [one.id for one in await desk.messages(key="k", event="talk.Happened", consumer="first")] == [
        dead.id,
        parked.id,
    ]
    assert [one.id for one in await desk.messages(limit=1, after=dead.id)] == [parked.id]
    (whole,) = await desk.message(dead.id)
    assert (whole.payload, await desk.message(dead.message)) == ('{"number":1}', [whole])
    assert await desk.message(UUID(int=1)) == []


async def test_a_paused_consumer_begins_nothing_until_it_is_resumed(build: Build) -> None:
    talk = Talk(second=True)
    world, worker, desk = await made(build, talk)
    await desk.pause("first")
    await say(world, 1)
    await drained(worker)
    assert await records(world) == [(1, "second")]
    assert worker.counters.of("first").paused
    await desk.resume("first")
    world.clock.advance(FRESH)
    await drained(worker)
    assert await records(world) == [(1, "first"), (1, "second")]
    await desk.pause("first")
    world.clock.advance(FRESH)
    await say(world, 2)
    await drained(worker)
    assert (2, "first") not in await records(world)
    with pytest.raises(NotFound):
        await desk.pause("nobody")


async def test_a_dead_letter_is_tried_again_before_what_waits_behind_it(build: Build) -> None:
    talk = Talk()
    world, worker, desk = await made(build, talk)
    await given_up(world, worker, talk, 1, 2, 3, key="k")
    (dead,) = await desk.messages(state=State.DEAD)
    assert await desk.redrive(ids=[dead.id]) == Moved(messages=1, unparked=2)
    world.clock.advance(1)
    await drained(worker)
    assert talk.heard == [1, 2, 3]
    assert await desk.redrive() == Moved(messages=0)


async def test_dead_letters_are_chosen_by_consumer_and_event(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "PORTION", 2)
    talk = Talk()
    world, worker, desk = await made(build, talk)
    for number in range(5):
        await given_up(world, worker, talk, number)
    assert await desk.redrive(consumer="second") == Moved(messages=0)
    assert await desk.redrive(consumer="first", event="talk.Other") == Moved(messages=0)
    assert await desk.redrive(consumer="first", event="talk.Happened") == Moved(messages=5)
    world.clock.advance(1)
    await drained(worker)
    assert sorted(talk.heard) == list(range(5))


async def test_a_dead_letter_that_is_discarded_lets_its_key_go_on(build: Build) -> None:
    talk = Talk()
    world, worker, desk = await made(build, talk)
    await given_up(world, worker, talk, 1, 2, key="k")
    (dead,) = await desk.messages(state=State.DEAD)
    assert await desk.discard([dead.id]) == Moved(messages=1, unparked=1)
    await drained(worker)
    assert talk.heard == [2]
    assert [row.cause for row in await inbox(world, State.DROPPED)] == ["discarded"]


@pytest.mark.parametrize("over", [False, True])
@pytest.mark.parametrize("latest_only", [False, True])
async def test_a_consumer_does_again_what_it_has_done_since_a_moment(
    build: Build, *, over: bool, latest_only: bool
) -> None:
    talk = Talk(latest_only=latest_only)
    world, worker, desk = await made(build, talk, **({"broker": MemoryBroker()} if over else {}))
    await worker.step()
    await say(world, 1, key="k")
    world.clock.advance(60)
    moment = world.clock.now()
    for number in (2, 3):
        await say(world, number, key="k")
    await drained(worker)
    talk.heard.clear()
    assert await desk.replay("first", moment) == Moved(messages=2)
    world.clock.advance(FRESH)
    await drained(worker)
    assert talk.heard == [2, 3]
    assert await desk.replay("first", moment - timedelta(hours=1), event="talk.Happened") == Moved(messages=3)
    world.clock.advance(FRESH)
    await drained(worker)
    assert talk.heard == [2, 3, 1, 2, 3]
    assert len(await inbox(world, State.DONE)) == 3


async def test_what_is_not_as_it_was_found_is_left_alone(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    world, worker, desk = await made(build, talk)
    for number in (1, 2):
        await given_up(world, worker, talk, number)
    whole, first = desk._fetch, []

    async def meddled(entity: Any, query: Any) -> list[Any]:
        rows = await whole(entity, query)
        if not first:
            first.append(rows[0])
            await change(world, InboxMessage, rows[0].id, state=State.DROPPED)
        return rows

    monkeypatch.setattr(desk, "_fetch", meddled)
    assert await desk.redrive() == Moved(messages=1)
    states = {number_of(row): row.state for row in await inbox(world)}
    assert sorted(states.values()) == ["dropped", "pending"]


async def test_a_store_that_fails_is_told(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    talk = Talk()
    world, worker, desk = await made(build, talk)
    await given_up(world, worker, talk, 1)

    async def broken(*_: Any, **__: Any) -> int:
        raise OSError("disk")

    monkeypatch.setattr(desk_module, "unpark", broken)
    with pytest.raises(OSError, match="disk"):
        await desk.redrive()
    assert [row.state for row in await inbox(world)] == [State.DEAD]


async def test_what_waits_and_what_was_done_is_counted(build: Build) -> None:
    talk = Talk()
    world, worker, desk = await made(build, talk)
    await given_up(world, worker, talk, 1, 2, key="k")
    await say(world, 3)
    await drained(worker)
    await say(world, 4)
    figures = await desk.figures()
    assert (figures.outbox, figures.set_aside, figures.keys) == (1, 0, 1)
    assert figures.outbox_oldest == world.clock.now()
    (first,) = figures.consumers
    assert (first.name, first.known, first.paused) == ("first", True, False)
    assert (first.pending, first.parked, first.done, first.dead, first.dropped) == (1, 1, 1, 1, 0)
    assert first.oldest is not None
    other = EventDesk(world.bound.ports, ["unheard"])
    names = {each.name: each for each in (await other.figures()).consumers}
    assert (names["first"].known, names["unheard"].known, names["unheard"].since) == (False, True, None)
