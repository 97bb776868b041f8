"""What every broker must do, whatever carries its messages.

Subclass ``BrokerConformance`` in a test file and give it ``make_broker``::

    class TestMyBroker(BrokerConformance):
        def make_broker(self):
            return MyBroker(URL, prefix=self.name)

``name`` is the test's own, so that tests can share a server: name queues and groups by it, and take them away in
``clear``. ``interrupt`` cuts the connections that there are; a broker that has none leaves it as it is.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from itertools import product
from uuid import UUID, uuid4

import pytest
import pytest_asyncio

from mainstay.ports.broker import Broker, BrokerAway, Incoming, Outgoing, Subscription

PATIENCE = 30.0  # seconds: the machine may be busy
NOTHING = 0.5  # seconds without a message after which none is expected
PLACED, PAID = "orders.OrderPlaced", "orders.OrderPaid"
TOPICS = (PLACED, PAID)


def outgoing(body: bytes, topic: str = PLACED, key: str = "") -> Outgoing:
    """Return a message with an id of its own."""
    return Outgoing(id=uuid4(), topic=topic, key=key, body=body)


def numbered(count: int, key: str = "") -> list[Outgoing]:
    """Return messages whose bodies are their numbers from 0 on."""
    return [outgoing(b"%d" % number, key=key) for number in range(count)]


async def published(broker: Broker, messages: Sequence[Outgoing]) -> None:
    """Publish messages until all are confirmed, as the relay does."""
    left, deadline = list(messages), time.monotonic() + PATIENCE
    while left:
        assert time.monotonic() < deadline, f"{len(left)} are not confirmed"
        done: frozenset[UUID] = frozenset()
        try:
            done = frozenset(await broker.publish(left))
        except BrokerAway:
            await asyncio.sleep(0.05)  # what is away may be told at once, and comes back while others run
        left = [one for one in left if one.id not in done]


async def taken(member: Subscription, count: int, limit: int = 100) -> list[Incoming]:
    """Take until there are ``count`` messages, and acknowledge nothing."""
    found: list[Incoming] = []
    deadline = time.monotonic() + PATIENCE
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} came"
        try:
            found.extend(await member.take(min(limit, count - len(found)), 1.0))
        except BrokerAway:
            await asyncio.sleep(0.1)
    return found


async def bodies(member: Subscription, count: int) -> list[bytes]:
    """Take messages, acknowledge them, and return what is in them."""
    found = await taken(member, count)
    await member.acknowledge(found)
    return [one.body for one in found]


async def nothing(member: Subscription) -> None:
    """See that no message comes."""
    assert list(await member.take(10, NOTHING)) == []


class BrokerConformance(ABC):
    """publish, subscribe, take, acknowledge, refuse and close."""

    @abstractmethod
    def make_broker(self) -> Broker:
        """Return a broker that is not open, on the same server each time it is called within a test."""

    async def interrupt(self) -> None:  # noqa: B027 - a broker within the process has none
        """Cut all connections to the server; it takes others at once."""

    async def clear(self) -> None:  # noqa: B027 - what ends with the process is not in the way
        """Take away what the test made in the server."""

    @pytest.fixture(autouse=True)
    def name(self) -> str:
        """Return a name of the test's own."""
        self.prefix: str = f"t{uuid4().hex[:12]}"
        return self.prefix

    @pytest_asyncio.fixture
    async def broker(self, name: str) -> AsyncIterator[Broker]:  # noqa: ARG002 - it is set before
        """Return a broker that is open."""
        made = self.make_broker()
        await made.open(TOPICS)
        yield made
        await made.close()
        await self.clear()

    async def test_what_was_published_is_handed_over_as_it_was(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        texts = [b"{}", b'{"name": "\xc3\xa4\xe2\x82\xac"}', bytes(range(256)), b"x"]
        await published(broker, [outgoing(text) for text in texts])
        found = await taken(member, len(texts))
        assert sorted(one.body for one in found) == sorted(texts)
        assert {one.topic for one in found} == {PLACED}
        await member.acknowledge(found)
        await nothing(member)
        await member.close()

    async def test_all_of_a_batch_are_confirmed_in_one_call(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        batch = numbered(300)
        assert set(await broker.publish(batch)) == {one.id for one in batch}
        assert await broker.publish([]) == frozenset()
        assert sorted(map(int, await bodies(member, 300))) == list(range(300))
        await member.close()

    async def test_calls_at_once_are_each_confirmed_in_its_own_order(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        calls = [[outgoing(b"%d %d" % (call, n), key=f"{call} {n % 3}") for n in range(60)] for call in range(4)]
        confirmed = await asyncio.gather(*(broker.publish(batch) for batch in calls))
        assert [set(ids) for ids in confirmed] == [{one.id for one in batch} for batch in calls]
        found = [tuple(map(int, body.split())) for body in await bodies(member, 240)]
        assert sorted(found) == [(call, n) for call in range(4) for n in range(60)]
        if broker.traits.ordered:
            for call, key in product(range(4), range(3)):
                assert [n for of, n in found if (of, n % 3) == (call, key)] == list(range(key, 60, 3))
        await member.close()

    async def test_a_call_that_is_cancelled_leaves_the_next(self, broker: Broker) -> None:
        for moment in (0.0, 0.001, 0.01):
            with suppress(TimeoutError):
                async with asyncio.timeout(moment):
                    await broker.publish(numbered(20))
        batch = numbered(20)
        assert set(await broker.publish(batch)) == {one.id for one in batch}

    async def test_what_nobody_has_subscribed_to_is_confirmed_as_well(self, broker: Broker) -> None:
        await published(broker, numbered(3))

    async def test_one_keys_messages_come_in_order(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await published(
            broker, [one for n in range(50) for one in (outgoing(b"a%d" % n, key="a"), outgoing(b"b", key="b"))]
        )
        found = [body for body in await bodies(member, 100) if body.startswith(b"a")]
        if broker.traits.ordered:
            assert found == [b"a%d" % n for n in range(50)]
        assert sorted(found) == sorted(b"a%d" % n for n in range(50))
        await member.close()

    async def test_a_group_gets_the_topics_it_asked_for_and_no_others(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", (PAID,))
        await published(broker, [outgoing(b"placed"), outgoing(b"paid", PAID)])
        (found,) = await taken(member, 1)
        assert (found.topic, found.body) == (PAID, b"paid")
        await member.acknowledge([found])
        await nothing(member)
        await member.close()

    async def test_a_topic_that_a_group_asks_for_no_more_brings_nothing(self, broker: Broker) -> None:
        await (await broker.subscribe("billing", TOPICS)).close()
        member = await broker.subscribe("billing", (PAID,))
        await published(broker, [outgoing(b"placed"), outgoing(b"paid", PAID)])
        assert await bodies(member, 1) == [b"paid"]
        await nothing(member)
        await member.close()

    async def test_each_group_gets_every_message(self, broker: Broker) -> None:
        members = [await broker.subscribe(group, TOPICS) for group in ("billing", "shipping", "mail")]
        await published(broker, numbered(20))
        for member in members:
            assert sorted(map(int, await bodies(member, 20))) == list(range(20))
            await member.close()

    async def test_members_of_a_group_share_its_messages(self, broker: Broker) -> None:
        other = self.make_broker()
        await other.open(TOPICS)
        one, two = await broker.subscribe("billing", TOPICS), await other.subscribe("billing", TOPICS)
        found: list[int] = []

        async def drain(member: Subscription) -> None:
            while len(found) < 60:
                got = await member.take(5, 0.2)
                await member.acknowledge(got)
                found.extend(int(message.body) for message in got)

        await published(broker, [outgoing(b"%d" % n, key=f"key {n}") for n in range(60)])
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(drain(one), drain(two))
        assert sorted(found) == list(range(60))
        await one.close()
        await two.close()
        await other.close()

    async def test_a_group_keeps_what_came_while_no_member_was_there(self, broker: Broker) -> None:
        await (await broker.subscribe("billing", TOPICS)).close()
        await published(broker, numbered(5))
        member = await broker.subscribe("billing", TOPICS)
        assert sorted(await bodies(member, 5)) == [b"%d" % n for n in range(5)]
        await member.close()

    async def test_what_was_not_acknowledged_goes_to_another_member(self, broker: Broker) -> None:
        first = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(6))
        found = await taken(first, 6)
        await first.acknowledge(found[:2])
        await first.close()
        second = await broker.subscribe("billing", TOPICS)
        assert sorted(await bodies(second, 4)) == sorted(one.body for one in found[2:])
        await nothing(second)
        await second.close()

    async def test_what_was_acknowledged_comes_no_more_however_soon_the_member_leaves(self, broker: Broker) -> None:
        # Few, since RabbitMQ drops what it holds back of more than 32 single words with the channel: such come again.
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(20))
        found = await taken(member, 20)
        for one in reversed(found):
            await member.acknowledge([one])
        await member.close()
        again = await broker.subscribe("billing", TOPICS)
        await nothing(again)
        await again.close()

    async def test_what_a_member_took_is_no_other_members(self, broker: Broker) -> None:
        first, second = [await broker.subscribe("billing", TOPICS) for _ in range(2)]
        await published(broker, [outgoing(b"%d" % n, key=f"key {n}") for n in range(40)])
        mine: list[Incoming] = []
        while len(mine) < 40:
            mine.extend(await first.take(40, 0.2))
            mine.extend(await second.take(40, 0.2))
        assert len({one.body for one in mine}) == 40
        await first.close()
        await second.close()

    async def test_what_was_refused_comes_no_more(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, [outgoing(b"no event"), outgoing(b"good")])
        found = {one.body: one for one in await taken(member, 2)}
        await member.refuse(found[b"no event"], "it is no CloudEvent")
        await member.acknowledge([found[b"good"]])
        await member.close()
        again = await broker.subscribe("billing", TOPICS)
        await nothing(again)
        await again.close()

    async def test_a_large_message_is_carried(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        body = b"y" * min(broker.traits.max_bytes, 1 << 20)
        await published(broker, [outgoing(body), outgoing(b"small")])
        assert sorted(await bodies(member, 2), key=len) == [b"small", body]
        await member.close()

    async def test_taking_waits_for_the_first_and_not_for_more(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await nothing(member)
        begun = time.monotonic()
        waiting = asyncio.ensure_future(taken(member, 1))
        await asyncio.sleep(0.1)
        await published(broker, numbered(1))
        await member.acknowledge(await waiting)
        assert time.monotonic() - begun < PATIENCE / 2
        await member.close()

    async def test_no_more_are_taken_than_were_asked_for(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(20))
        left = 20
        async with asyncio.timeout(PATIENCE):
            while left:
                got = await member.take(3, 1.0)
                assert len(got) <= 3
                await member.acknowledge(got)
                left -= len(got)
        await member.close()

    async def test_what_is_acknowledged_while_a_take_waits_comes_no_more(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(4))
        found = await taken(member, 4)
        waiting = asyncio.ensure_future(member.take(10, 1.0))
        await asyncio.sleep(0.1)
        for part in (found[1::2], found[::2]):
            await member.acknowledge(part)
        assert not await waiting
        await member.close()
        again = await broker.subscribe("billing", TOPICS)
        await nothing(again)
        await again.close()

    async def test_it_goes_on_after_its_connections_were_cut(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        await published(broker, numbered(3))
        await self.interrupt()
        await published(broker, [outgoing(b"3"), outgoing(b"4")])
        found: set[bytes] = set()
        async with asyncio.timeout(PATIENCE):
            while len(found) < 5:
                with suppress(BrokerAway):
                    got = await member.take(10, 1.0)
                    found.update(one.body for one in got)
                    await member.acknowledge(got)
        assert found == {b"%d" % n for n in range(5)}
        await member.close()

    async def test_a_take_that_is_cancelled_loses_nothing(self, broker: Broker) -> None:
        member = await broker.subscribe("billing", TOPICS)
        for _ in range(5):
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await member.take(10, 5.0)
        await published(broker, numbered(5))
        assert sorted(await bodies(member, 5)) == [b"%d" % n for n in range(5)]
        await member.close()
