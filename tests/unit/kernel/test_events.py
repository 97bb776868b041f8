"""Events: stored with what they tell of, delivered after the commit, with one effect, in order, in the end."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import msgspec
import pytest
from kernel_world import ANN, Build, World

from mainstay import Dto, Entity, Event, Events, Module, Principal, Repository, anyone
from mainstay.kernel.flow import relay as relay_module
from mainstay.kernel.flow.lease import TERM, Lease
from mainstay.kernel.flow.records import IdempotencyRecord, InboxMark, OutboxMessage, RelayLease
from mainstay.kernel.flow.relay import Relay
from mainstay.model.conditions import TRUE
from mainstay.model.problem import Conflict
from mainstay.ports.rows import Query


class Happened(Event):
    number: int


class Unheard(Event):
    number: int


class Record(Entity):
    number: int
    consumer: str
    who: UUID


class Say(Dto):
    numbers: list[int]
    key: str | None = None
    fail: bool = False


def speaking(heard: list[Any] | None = None, fails: dict[int, int] | None = None) -> Module:
    module = Module("talk")
    fails = {} if fails is None else fails

    @module.command("POST /say", allow=anyone)
    async def say(body: Say, events: Events) -> None:
        for number in body.numbers:
            events.emit(Happened(number=number), key=body.key)
        if body.fail:
            raise Conflict

    @module.command("POST /unheard", allow=anyone)
    async def unheard(events: Events) -> None:
        events.emit(Unheard(number=1))

    @module.on(Happened, attempts=3)
    async def first(event: Happened, rows: Repository[Record], who: Principal) -> None:
        if heard is not None:
            heard.append(event.number)
        await rows.add(Record(number=event.number, consumer="first", who=who.id))
        if fails.get(event.number, 0) > 0:
            fails[event.number] -= 1
            raise Conflict("not now")

    @module.on("talk.Happened")
    async def second(event: Happened, rows: Repository[Record], who: Principal) -> None:
        await rows.add(Record(number=event.number, consumer="second", who=who.id))

    return module


async def say(world: World, *numbers: int, **more: Any) -> None:
    body = {"numbers": list(numbers), **more}
    await world.send("say", body=msgspec.json.encode(body), credentials=b"ann")


async def rows_of(world: World, entity: Any) -> list[Any]:
    transaction = world.store.begin(write=False)
    found = await transaction.rows(entity).fetch(Query(where=TRUE))
    await transaction.rollback()
    return found


async def records(world: World) -> list[tuple[int, str]]:
    return sorted((r.number, r.consumer) for r in await rows_of(world, Record))


async def test_an_event_reaches_every_consumer_once(build: Build) -> None:
    world = await build(speaking())
    await say(world, 1)
    assert await records(world) == []
    relay = world.bound.relay("me")
    assert await relay.deliver() is False
    assert await records(world) == [(1, "first"), (1, "second")]
    assert {r.who for r in await rows_of(world, Record)} == {ANN.id}
    assert await rows_of(world, OutboxMessage) == []
    await relay.deliver()
    assert len(await records(world)) == 2
    assert (relay.counters.delivered, relay.counters.pending) == (1, 0)


async def test_an_event_without_a_commit_was_never_told(build: Build) -> None:
    world = await build(speaking())
    await say(world, 1, fail=True)
    assert await rows_of(world, OutboxMessage) == []


async def test_an_event_without_consumers_leaves_the_outbox(build: Build) -> None:
    world = await build(speaking())
    await world.send("unheard")
    await world.bound.relay("me").deliver()
    assert await rows_of(world, OutboxMessage) == []


async def test_a_consumer_that_fails_is_tried_again_alone(build: Build) -> None:
    world = await build(speaking(fails={1: 1}))
    relay = world.bound.relay("me")
    await say(world, 1)
    await say(world, 2)
    await relay.deliver()
    assert await records(world) == [(2, "first"), (2, "second")]
    (waiting,) = await rows_of(world, OutboxMessage)
    assert (waiting.attempts, waiting.cause, waiting.dead) == (1, "first: conflict", False)
    await relay.deliver()
    assert len(await records(world)) == 2
    world.clock.advance(1.0)
    await relay.deliver()
    assert await records(world) == [(1, "first"), (1, "second"), (2, "first"), (2, "second")]


async def test_a_message_that_keeps_failing_becomes_a_dead_letter(build: Build) -> None:
    world = await build(speaking(fails={1: 99}))
    relay = world.bound.relay("me")
    await say(world, 1)
    for _ in range(5):
        await relay.deliver()
        world.clock.advance(10.0)
    (dead,) = await rows_of(world, OutboxMessage)
    assert (dead.dead, dead.attempts) == (True, 3)
    assert [n.event for n in world.ear.notices] == ["dead_letter"]
    assert relay.counters.dead == 1


async def test_what_has_one_key_is_told_in_order(build: Build) -> None:
    heard: list[int] = []
    world = await build(speaking(heard, fails={1: 1}))
    relay = world.bound.relay("me")
    await say(world, 1, 2, key="k")
    await say(world, 3, key="other")
    await relay.deliver()
    assert sorted(heard) == [1, 3]
    await relay.deliver()
    assert sorted(heard) == [1, 3]
    world.clock.advance(1.0)
    await relay.deliver()
    assert [h for h in heard if h != 3] == [1, 1, 2]


async def test_a_mark_keeps_a_second_delivery_from_a_second_effect(build: Build) -> None:
    world = await build(speaking())
    await say(world, 1)
    relays = [world.bound.relay(name) for name in ("a", "b")]
    await asyncio.gather(*(relay.deliver() for relay in relays), return_exceptions=True)
    assert await records(world) == [(1, "first"), (1, "second")]
    assert len(await rows_of(world, InboxMark)) == 2


async def test_a_message_older_than_the_marks_is_not_risked(build: Build) -> None:
    world = await build(speaking())
    await say(world, 1)
    world.clock.advance(relay_module.INBOX_RETENTION)
    await world.bound.relay("me").deliver()
    assert await records(world) == []
    (dead,) = await rows_of(world, OutboxMessage)
    assert (dead.dead, dead.cause) == (True, "too_old")


async def test_an_event_that_is_declared_nowhere_is_a_bug(build: Build) -> None:
    module = Module("talk")
    hidden = type("Hidden", (Event,), {"__module__": __name__, "__annotations__": {}})

    @module.command("POST /hidden", allow=anyone)
    async def emit(events: Events) -> None:
        events.emit(hidden())

    world = await build(module)
    await world.send("emit")
    assert "declared in no module" in str(world.ear.calls[-1].error)


async def test_one_lease_has_one_holder_until_its_end(build: Build) -> None:
    world = await build(speaking())
    ports = world.bound.ports
    first, second = Lease(ports, "relay", "first"), Lease(ports, "relay", "second")
    assert await first.hold() is True
    assert await second.hold() is False
    assert await second.hold() is False
    world.clock.advance(5)
    assert await first.hold() is True
    world.clock.advance(7)
    assert await second.hold() is False
    world.clock.advance(TERM)
    assert await second.hold() is True
    assert await first.hold() is False
    await second.release()
    await second.release()
    world.clock.advance(4)
    assert await first.hold() is True
    assert [lease.holder for lease in await rows_of(world, RelayLease)] == ["first"]


async def test_the_relay_runs_until_it_is_stopped(build: Build) -> None:
    world = await build(speaking())
    relay = world.bound.relay("me")
    running = asyncio.create_task(relay.run())
    await say(world, 1)
    async with asyncio.timeout(5):
        while len(await records(world)) < 2:
            await asyncio.sleep(0.01)
    relay.stop()
    async with asyncio.timeout(5):
        await running
    assert await rows_of(world, RelayLease) == []


async def test_a_fault_of_the_store_does_not_end_the_relay(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "POLL", 0.01)
    world = await build(speaking())
    relay = world.bound.relay("me")
    whole, calls = Relay.deliver, 0

    async def broken(self: Relay) -> bool:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise OSError("disk")
        return await whole(self)

    monkeypatch.setattr(Relay, "deliver", broken)
    await say(world, 1)
    running = asyncio.create_task(relay.run())
    async with asyncio.timeout(5):
        while len(await records(world)) < 2:
            await asyncio.sleep(0.01)
    relay.stop()
    await running
    assert "relay_waits" in [n.event for n in world.ear.notices]


async def test_what_is_past_its_time_is_purged(build: Build) -> None:
    world = await build(speaking())
    relay = world.bound.relay("me")
    await say(world, 1)
    await relay.deliver()
    body = b'{"numbers": []}'
    await world.send("say", body=body, idempotency_key="k")
    assert len(await rows_of(world, IdempotencyRecord)) == 1
    world.clock.advance(relay_module.INBOX_RETENTION + timedelta(days=1))
    await relay.housekeeping()
    assert await rows_of(world, IdempotencyRecord) == []
    assert await rows_of(world, InboxMark) == []
    await relay.housekeeping()
