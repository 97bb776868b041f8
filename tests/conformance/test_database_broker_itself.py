"""What the broker on a database does beyond what every broker must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from mainstay.adapters.database.broker import DatabaseBroker
from mainstay.adapters.database.records import BrokerDelivery, BrokerPlace
from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.local.ids import SystemIds
from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import TRUE
from mainstay.ports.broker import BrokerAway
from mainstay.ports.clock import Clock
from mainstay.ports.rows import Query
from mainstay.testing.conformance.broker import (
    PAID,
    PLACED,
    TOPICS,
    bodies,
    nothing,
    numbered,
    outgoing,
    published,
    taken,
)
from mainstay.testing.fixed import FixedClock
from mainstay.testing.recorder import Recorder


def on_file(path: Path, clock: Clock, **more: float | timedelta) -> DatabaseBroker:
    given = {"poll_seconds": 0.05, **more}
    return DatabaseBroker(
        SqliteStore(path, create=True),
        clock=clock,
        ids=SystemIds(),
        observer=Recorder(),
        **given,  # type: ignore[arg-type]
    )


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest_asyncio.fixture
async def broker(tmp_path: Path, clock: FixedClock) -> AsyncIterator[DatabaseBroker]:
    made = on_file(tmp_path / "broker.sqlite", clock)
    await made.open(TOPICS)
    yield made
    await made.close()


async def rows(broker: DatabaseBroker, kind: type) -> list[BrokerDelivery]:
    reading = broker.store.begin(write=False)
    found: list[BrokerDelivery] = await reading.rows(kind).fetch(Query(where=TRUE))
    await reading.rollback()
    return found


async def test_what_was_acknowledged_leaves_no_row(broker: DatabaseBroker) -> None:
    member = await broker.subscribe("billing", TOPICS)
    await published(broker, numbered(3))
    found = list(await member.take(10, 0))
    assert len(await rows(broker, BrokerDelivery)) == 3
    await member.acknowledge(found)
    assert await rows(broker, BrokerDelivery) == []
    await member.close()


async def test_one_keys_messages_keep_their_order_over_all_topics(broker: DatabaseBroker) -> None:
    member = await broker.subscribe("billing", TOPICS)
    await published(broker, [outgoing(b"%d" % n, (PLACED, PAID)[n % 2], key="a") for n in range(20)])
    assert [one.body for one in await member.take(20, 0)] == [b"%d" % n for n in range(20)]
    await member.close()


async def test_what_a_member_took_that_died_goes_to_another_after_a_while(
    broker: DatabaseBroker, clock: FixedClock
) -> None:
    dead, alive = await broker.subscribe("billing", TOPICS), await broker.subscribe("billing", TOPICS)
    await published(broker, numbered(3))
    assert [one.times for one in await dead.take(5, 0)] == [1] * 3
    assert list(await alive.take(5, 0)) == []
    clock.advance(20)
    assert [one.times for one in await alive.take(5, 0)] == [2] * 3
    await alive.close()
    await dead.close()


async def test_what_was_refused_is_kept_with_its_cause(broker: DatabaseBroker) -> None:
    member = await broker.subscribe("billing", TOPICS)
    await published(broker, [outgoing(b"no event")])
    (found,) = await member.take(1, 0)
    await member.refuse(found, "it is no CloudEvent")
    (row,) = await rows(broker, BrokerDelivery)
    assert (row.cause, row.body, row.topic) == ("it is no CloudEvent", b"no event", PLACED)
    await member.close()


async def test_what_is_older_than_the_retention_is_taken_away_and_told_of(
    broker: DatabaseBroker, clock: FixedClock
) -> None:
    gone = await broker.subscribe("gone", (PLACED,))
    await published(broker, numbered(2))
    (first, _) = await gone.take(2, 0)
    await gone.refuse(first, "it is no CloudEvent")
    await gone.close()
    clock.advance(timedelta(days=20))
    there = await broker.subscribe("there", (PLACED,))
    await published(broker, [outgoing(b"young")])
    clock.advance(timedelta(days=11))
    assert [one.body for one in await there.take(5, 0)] == [b"young"]
    assert {(row.audience, row.body) for row in await rows(broker, BrokerDelivery)} == {
        ("gone", b"young"),
        ("there", b"young"),
    }
    assert {row.audience for row in await rows(broker, BrokerPlace)} == {"there"}
    observer = broker._observer
    assert isinstance(observer, Recorder)
    (notice,) = observer.notices
    assert notice.facts == {"messages": 1, "places": 1}
    await there.close()


async def test_a_topic_that_no_living_member_asks_for_is_given_up(broker: DatabaseBroker, clock: FixedClock) -> None:
    old, new = await broker.subscribe("billing", TOPICS), await broker.subscribe("billing", (PAID,))
    await published(broker, [outgoing(b"placed")])
    clock.advance(70)
    await old.take(0, 0)  # it marks that it is there
    await new.take(1, 0)
    assert {row.topic for row in await rows(broker, BrokerPlace)} == set(TOPICS)
    await old.close()
    clock.advance(70)
    await new.take(1, 0)
    assert {row.topic for row in await rows(broker, BrokerPlace)} == {PAID}
    assert await rows(broker, BrokerDelivery) == []
    await new.close()


async def test_a_member_whose_place_was_taken_away_makes_it_again(broker: DatabaseBroker, clock: FixedClock) -> None:
    member = await broker.subscribe("billing", TOPICS)
    clock.advance(timedelta(days=40))
    await broker.purge()
    assert await rows(broker, BrokerPlace) == []
    await member.take(1, 0)
    await published(broker, [outgoing(b"after")])
    assert [one.body for one in await member.take(1, 0)] == [b"after"]
    await member.close()


async def test_many_members_share_and_none_has_what_another_has(tmp_path: Path) -> None:
    brokers = [on_file(tmp_path / "broker.sqlite", SystemClock()) for _ in range(3)]
    for each in brokers:
        await each.open(TOPICS)
    members = [await each.subscribe("billing", TOPICS) for each in brokers]
    await published(brokers[0], numbered(300))
    found: list[bytes] = []

    async def drain(number: int) -> None:
        while len(found) < 300:
            got = await members[number].take(7, 0.1)
            found.extend(one.body for one in got)
            await members[number].acknowledge(got)

    async with asyncio.timeout(30):
        await asyncio.gather(*map(drain, range(3)))
    assert sorted(map(int, found)) == list(range(300))
    await nothing(members[0])
    for member, each in zip(members, brokers, strict=True):
        await member.close()
        await each.close()


async def test_a_member_that_was_closed_twice_or_whose_broker_is_closed_says_nothing(broker: DatabaseBroker) -> None:
    member = await broker.subscribe("billing", TOPICS)
    await member.close()
    await member.close()
    await broker.close()
    await member.close()


async def test_a_member_without_topics_gets_nothing(broker: DatabaseBroker) -> None:
    member = await broker.subscribe("billing", ())
    await published(broker, numbered(2))
    assert list(await member.take(5, 0)) == []
    await member.close()


async def test_before_it_is_open_it_is_away(tmp_path: Path) -> None:
    closed = on_file(tmp_path / "broker.sqlite", SystemClock())
    with pytest.raises(BrokerAway, match="not reached yet"):
        await closed.publish(numbered(1))
    with pytest.raises(BrokerAway):
        await closed.subscribe("billing", TOPICS)


async def test_a_server_that_is_not_there_is_away_and_its_password_is_not_told() -> None:
    store = PostgresStore("postgresql://broker:hunter2@127.0.0.1:9/events", create=True)
    away = DatabaseBroker(store, clock=SystemClock(), ids=SystemIds(), observer=Recorder())
    with pytest.raises(BrokerAway) as told:
        await away.open(TOPICS)
    assert "hunter2" not in str(told.value)
    await away.close()


async def test_taken_messages_come_by_themselves_while_another_publishes(tmp_path: Path) -> None:
    one, two = (on_file(tmp_path / "broker.sqlite", SystemClock()) for _ in range(2))
    await one.open(TOPICS)
    await two.open(TOPICS)
    member = await two.subscribe("billing", TOPICS)
    waiting = asyncio.ensure_future(taken(member, 1))
    await published(one, [outgoing(b"told")])
    (found,) = await waiting
    await member.acknowledge([found])
    assert await bodies(member, 0) == []
    await member.close()
    await two.close()
    await one.close()
