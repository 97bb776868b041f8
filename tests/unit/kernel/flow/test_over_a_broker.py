"""Events over a broker: published once they are committed, taken into the inbox once, whatever comes in between."""

from __future__ import annotations

import pytest
from flow_world import Talk, drained, inbox, number_of, records, rows_of, say
from kernel_world import Build
from moody_broker import Moody, emitted, notices, subscribed

from mainstay.kernel.flow import line
from mainstay.kernel.flow.judging import GAP, LOOK
from mainstay.kernel.flow.records import ASIDE, OutboxMessage, State
from mainstay.ports.broker import BrokerTraits


@pytest.fixture
def broker() -> Moody:
    return Moody()


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
