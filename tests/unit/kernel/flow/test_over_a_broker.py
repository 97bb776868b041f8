"""Events over a broker: published once they are committed, taken into the inbox once, whatever comes in between."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

import pytest
from flow_world import Talk, Unheard, drained, inbox, number_of, records, rows_of, say
from kernel_world import Build, World

from mainstay import Events, Module, anyone
from mainstay.adapters.memory.broker import MemoryBroker, MemoryExchange
from mainstay.kernel.flow import intake, line, relay
from mainstay.kernel.flow.envelope import decode
from mainstay.kernel.flow.judging import GAP, LOOK
from mainstay.kernel.flow.records import ASIDE, OutboxMessage, State
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.broker import BrokerAway, BrokerTraits, Incoming, Outgoing, Subscription


class Moody(MemoryBroker):
    """A broker that is away while it is told to be, keeps what was published, and confirms what it is told to."""

    def __init__(self) -> None:
        super().__init__(MemoryExchange())
        self.away = False
        self.confirms: int | None = None
        self.opened = 0
        self.published: list[Outgoing] = []

    async def open(self, topics: Collection[str]) -> None:
        self.opened += 1
        if self.away:
            raise BrokerAway("gone")

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        if self.away:
            raise BrokerAway("gone")
        kept = messages[: self.confirms]
        self.published += kept
        return await super().publish(kept)

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        if self.away:
            raise BrokerAway("gone")
        return await super().subscribe(group, topics)

    def hand(self, bodies: Sequence[bytes]) -> None:
        """Hand messages to the service in some order of the test's own."""
        for body in bodies:
            self.exchange.groups["sample"].put(Incoming(topic="talk.Happened", body=body))


@pytest.fixture
def broker() -> Moody:
    return Moody()


async def subscribed(build: Build, talk: Talk, broker: Moody) -> tuple[World, Any]:
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await worker.step()  # it has joined its group
    return world, worker


async def emitted(world: World, worker: Any, broker: Moody, *numbers: int, key: str = "k") -> list[bytes]:
    """Emit numbers, take what was published out of the broker, and return it."""
    await say(world, *numbers, key=key)
    await worker.shares.step()
    await worker.relay.step()
    waiting = broker.exchange.groups["sample"].waiting
    bodies = [one.body for one in waiting]
    waiting.clear()
    return bodies


def notices(world: World) -> list[str]:
    return [notice.event for notice in world.ear.notices]


async def test_an_event_goes_through_the_broker_and_is_done_once(build: Build, broker: Moody) -> None:
    talk = Talk(second=True)
    world, worker = await subscribed(build, talk, broker)
    await say(world, 1, 2, key="k")
    await drained(worker)
    assert await records(world) == [(1, "first"), (1, "second"), (2, "first"), (2, "second")]
    assert await rows_of(world, OutboxMessage) == []
    assert [(one.topic, one.key) for one in broker.published] == [("talk.Happened", "k")] * 2
    broker.hand([one.body for one in broker.published])
    await drained(worker)
    assert len(await records(world)) == 4
    counted = worker.counters
    assert (counted.relayed, counted.taken, counted.done, counted.refused) == (2, 4, 4, 0)


async def test_what_one_service_emits_reaches_another(build: Build, broker: Moody) -> None:
    sender, receiver = Talk(), Talk()
    world, worker = await subscribed(build, sender, broker)
    other = await build(receiver.module, broker=broker)
    other.bound.service.name = "billing"
    taking = other.worker()
    await taking.step()
    await say(world, 1)
    await drained(worker)
    await drained(taking)
    assert sender.heard == receiver.heard == [1]
    assert [row.source for row in await inbox(other)] == ["sample"]


async def test_while_the_broker_is_away_events_wait_and_it_is_said_once(build: Build, broker: Moody) -> None:
    talk = Talk()
    broker.away = True
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await say(world, 1)
    for _ in range(20):
        await worker.step()
        world.clock.advance(1.0)
    assert broker.opened < 15  # with pauses that grow
    assert worker.counters.broker_away
    assert len(await rows_of(world, OutboxMessage)) == 1
    broker.away = False
    world.clock.advance(line.MAX_PAUSE * 2)
    await worker.step()
    await drained(worker)
    assert not worker.counters.broker_away
    assert talk.heard == [1]
    assert notices(world) == ["broker_away", "broker_back"]
    broker.away = True
    await say(world, 2)
    await worker.step()
    assert notices(world) == ["broker_away", "broker_back", "broker_away"]
    await worker.close()


async def test_what_is_not_confirmed_stays_and_is_published_again(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    broker.confirms = 2
    await say(world, 1, 2, 3, key="k")
    await worker.step()
    assert [number_of(row) for row in await rows_of(world, OutboxMessage)] == [3]
    broker.confirms = None
    world.clock.advance(line.MAX_PAUSE * 2)
    await worker.step()
    await drained(worker)
    assert talk.heard == [1, 2, 3]


async def test_an_event_that_is_too_large_for_the_broker_is_refused_where_it_is_emitted(
    build: Build, broker: Moody
) -> None:
    broker.traits = BrokerTraits(durable=False, ordered=True, max_bytes=1200, keeps_refused=True)
    world, _ = await subscribed(build, Talk(), broker)
    await say(world, 1, key="k" * 100)
    assert "the broker takes 1200" in str(world.ear.calls[-1].error)
    assert await rows_of(world, OutboxMessage) == []


async def test_what_a_broker_takes_no_more_is_set_aside_and_in_nobodys_way(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    await say(world, 1, key="k" * 400)
    await say(world, 2)
    broker.traits = BrokerTraits(durable=False, ordered=True, max_bytes=700, keeps_refused=True)
    await drained(worker)
    assert talk.heard == [2]
    (aside,) = await rows_of(world, OutboxMessage)
    assert (number_of(aside), aside.place) == (1, ASIDE)
    assert notices(world) == ["event_too_large"]
    await drained(worker)
    assert notices(world) == ["event_too_large"]


async def test_only_messages_that_are_all_too_large_are_set_aside(build: Build, broker: Moody) -> None:
    world, worker = await subscribed(build, Talk(), broker)
    await say(world, 1)
    broker.traits = BrokerTraits(durable=False, ordered=True, max_bytes=7, keeps_refused=True)
    await drained(worker)
    assert [row.place for row in await rows_of(world, OutboxMessage)] == [ASIDE]
    assert broker.published == []


async def test_what_cannot_be_read_is_refused_with_its_cause_and_holds_nothing_up(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    (good,) = await emitted(world, worker, broker, 1)
    broker.hand([b"\x00 no json", good, b"{}"])
    await drained(worker)
    assert talk.heard == [1]
    assert [cause for _, cause in broker.exchange.refused] == [
        "it is no CloudEvent in JSON, or one of its attributes is of another type"
    ] * 2
    assert notices(world) == ["message_refused"] * 2
    assert worker.counters.refused == 2
    broker.hand([b"nothing else"])
    await drained(worker)
    assert len(broker.exchange.refused) == 3


async def test_shuffled_messages_of_a_key_are_done_in_order(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3, 4)
    broker.hand([bodies[0]])
    await drained(worker)
    broker.hand([bodies[3], bodies[2]])
    await drained(worker)
    assert talk.heard == [1]
    broker.hand([bodies[1]])
    await drained(worker)
    world.clock.advance(LOOK)
    await drained(worker)
    world.clock.advance(LOOK)
    await drained(worker)
    assert talk.heard == [1, 2, 3, 4]


async def test_a_gap_that_stays_becomes_a_dead_letter_and_parks_its_key(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3, 4)
    broker.hand([bodies[0], bodies[2], bodies[3]])
    await drained(worker)
    world.clock.advance(GAP)
    await drained(worker)
    assert talk.heard == [1]
    rows = {number_of(row): row for row in await inbox(world)}
    assert (rows[3].state, rows[3].cause) == (State.DEAD, "gap")
    assert (rows[4].state, rows[4].place, rows[4].due_at) == (State.PENDING, None, None)


async def test_a_consumer_that_has_seen_nothing_of_a_key_begins_at_the_gap(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3)
    broker.hand(bodies[1:])
    await drained(worker)
    assert talk.heard == []
    world.clock.advance(GAP)
    await drained(worker)
    assert talk.heard == [2, 3]
    broker.hand(bodies[:1])
    await drained(worker)
    rows = {number_of(row): row for row in await inbox(world)}
    assert (rows[1].state, rows[1].cause) == (State.DEAD, "late")
    assert talk.heard == [2, 3]


async def test_what_was_emitted_before_the_consumer_was_there_is_not_waited_for(build: Build, broker: Moody) -> None:
    sender = Talk()
    world, worker = await subscribed(build, sender, broker)
    bodies = await emitted(world, worker, broker, 1)
    world.clock.advance(60)
    bodies += await emitted(world, worker, broker, 2)
    late = Talk()
    other = await build(late.module, broker=broker)
    other.clock.advance(60)
    taking = other.worker()
    await taking.step()
    broker.hand(bodies[1:])
    await drained(taking)
    assert late.heard == [2]


async def test_a_consumer_of_the_latest_passes_over_what_comes_late(build: Build, broker: Moody) -> None:
    talk = Talk(latest_only=True)
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3)
    broker.hand([bodies[1]])
    await drained(worker)
    broker.hand([bodies[0], bodies[2]])
    await drained(worker)
    assert talk.heard == [2, 3]
    assert [number_of(row) for row in await inbox(world, State.DROPPED)] == [1]
    assert worker.counters.of("first").dropped == 1


async def test_what_comes_late_while_a_later_one_runs_is_not_run_behind_it(build: Build, broker: Moody) -> None:
    talk, go = Talk(latest_only=True), asyncio.Event()
    talk.waits = lambda _: go.wait()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2)
    broker.hand([bodies[1]])
    await worker._take_in()
    await worker.runner.step()
    async with asyncio.timeout(30):
        while not world.names["first"].running:
            await asyncio.sleep(0)
    broker.hand([bodies[0]])
    await worker._take_in()
    await worker.runner.step()
    go.set()
    await worker.runner.settled()
    world.clock.advance(LOOK)
    await drained(worker)
    assert talk.heard == [2]


@pytest.mark.parametrize("lost", [UniqueConflict, SerializationConflict])
async def test_what_another_member_stores_at_the_same_time_is_looked_for_again(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch, lost: Any
) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1)
    whole, left = world.store.begin, [intake.ATTEMPTS - 1]

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)
        if given["write"] and left[0]:
            left[0] -= 1

            async def commit() -> None:
                raise lost

            transaction.commit = commit
        return transaction

    monkeypatch.setattr(world.store, "begin", begin)
    broker.hand(bodies)
    await worker._take_in()
    assert len(await inbox(world)) == 1
    left[0] = intake.ATTEMPTS
    broker.hand(bodies)
    with pytest.raises(lost):
        await worker._take_in()
    left[0] = 0


async def test_what_cannot_be_stored_is_not_acknowledged(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1)
    broker.hand(bodies)

    async def broken(*_: Any, **__: Any) -> Any:
        raise OSError("disk")

    with monkeypatch.context() as patched:
        patched.setattr("mainstay.kernel.flow.filing.Filing.put", broken)
        with pytest.raises(OSError, match="disk"):
            await worker._take_in()
    await worker.close()  # it leaves its group: another member gets it
    assert len(broker.exchange.groups["sample"].waiting) == 1
    other = world.worker("other")
    await drained(other)
    world.clock.advance(60)
    await drained(other)
    assert talk.heard == [1]


async def test_a_full_inbox_leaves_the_rest_with_the_broker(build: Build, broker: Moody) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1)
    broker.hand(bodies)
    worker.counters.of("first").pending = intake.BACKLOG + 1
    assert not await worker._take_in()
    assert await inbox(world) == []
    worker.counters.of("first").pending = 0
    await drained(worker)
    assert talk.heard == [1]


async def test_a_batch_that_is_full_is_followed_by_another(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "BATCH", 2)
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    await say(world, 1, 2, 3)
    await worker.shares.step()
    assert await worker.relay.step() is True
    assert await worker.relay.step() is False
    assert {decode(one.body, world.clock.now()).event for one in broker.published} == {"talk.Happened"}


async def test_nothing_is_published_before_the_services_own_group_is_there(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await say(world, 1)
    await worker.shares.step()
    assert await worker.relay.step() is False
    assert broker.published == []
    await drained(worker)
    assert talk.heard == [1]


async def test_a_service_without_consumers_publishes_and_joins_nothing(build: Build, broker: Moody) -> None:
    module = Module("talk")

    @module.command("POST /unheard", allow=anyone)
    async def unheard(events: Events) -> None:
        events.emit(Unheard(number=1))

    world = await build(module, broker=broker)
    worker = world.worker()
    await world.send("unheard")
    await drained(worker)
    assert [one.topic for one in broker.published] == ["talk.Unheard"]
    assert broker.exchange.groups == {}
    assert not await worker._take_in()
    await worker.close()


async def test_a_group_that_cannot_be_joined_is_joined_later(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    await worker.line.ready()  # type: ignore[union-attr]
    broker.away = True
    await worker.step()
    assert notices(world) == ["broker_away"]
    broker.away = False
    world.clock.advance(line.MAX_PAUSE * 2)
    await say(world, 1)
    await drained(worker)
    assert talk.heard == [1]


async def test_a_broker_that_is_lost_while_it_is_listened_to_is_away(build: Build, broker: Moody) -> None:
    world, worker = await subscribed(build, Talk(), broker)

    async def take(*_: Any) -> Sequence[Incoming]:
        raise BrokerAway("cut")

    worker.intake._subscription.take = take
    await worker.step()
    assert notices(world) == ["broker_away"]


async def test_what_is_taken_in_rings_for_others_where_they_may_run_it(build: Build, broker: Moody) -> None:
    world, worker = await subscribed(build, Talk(), broker)
    bodies = await emitted(world, worker, broker, 1)
    store: Any = world.store
    rings: list[str] = []
    store.ring = lambda: rings.append("rung")
    broker.hand(bodies)
    world.clock.advance(60)  # it holds nothing for sure
    await worker._take_in()
    assert rings == ["rung"]


async def test_a_worker_runs_over_a_broker_until_it_is_stopped(build: Build, broker: Moody) -> None:
    talk = Talk()
    world = await build(talk.module, broker=broker)
    worker = world.worker()
    worker.listen(world.bound)
    failed: list[BaseException] = []
    async with asyncio.timeout(30), worker.running(failed.append):
        await say(world, 1, 2, key="k")
        while len(await inbox(world, State.DONE)) < 2:
            await asyncio.sleep(0.01)
    assert talk.heard == [1, 2]
    assert failed == []


async def test_behind_a_gap_that_stays_a_consumer_that_continues_goes_on(build: Build, broker: Moody) -> None:
    talk = Talk(on_dead="continue")
    world, worker = await subscribed(build, talk, broker)
    bodies = await emitted(world, worker, broker, 1, 2, 3, 4)
    broker.hand([bodies[0], bodies[2], bodies[3]])
    await drained(worker)
    world.clock.advance(GAP)
    await drained(worker)
    world.clock.advance(LOOK)
    await drained(worker)
    assert talk.heard == [1, 4]
    assert [number_of(row) for row in await inbox(world, State.DEAD)] == [3]


async def test_what_was_published_and_cannot_be_removed_is_published_again(
    build: Build, broker: Moody, monkeypatch: pytest.MonkeyPatch
) -> None:
    talk = Talk()
    world, worker = await subscribed(build, talk, broker)
    await say(world, 1)
    await worker.shares.step()
    whole = world.store.begin

    def begin(**given: Any) -> Any:
        transaction: Any = whole(**given)

        async def commit() -> None:
            raise OSError("disk")

        transaction.commit = commit
        return transaction

    with monkeypatch.context() as broken:
        broken.setattr(world.store, "begin", begin)
        with pytest.raises(OSError, match="disk"):
            await worker.relay.step()
    await drained(worker)
    assert len(broker.published) == 2
    assert talk.heard == [1]


async def test_a_line_is_opened_once_and_closed_where_it_was_open(build: Build, broker: Moody) -> None:
    world = await build(Talk().module, broker=broker)
    own = world.worker().line
    assert own is not None
    await own.close()
    assert await asyncio.gather(own.ready(), own.ready()) == [True, True]
    assert broker.opened == 1
    await own.close()
    await own.close()
