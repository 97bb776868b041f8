"""What only the Kafka broker does: offsets, partitions and transactions, and how it meets a server that is away."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions
from cut_connections import CuttingProxy
from own_service import own_service
from tests.conformance.test_kafka_broker import address, take_away

from mainstay.adapters.kafka.broker import KafkaBroker
from mainstay.adapters.kafka.producer import Record
from mainstay.ports.broker import BrokerAway, Incoming
from mainstay.testing.conformance.broker import (
    PAID,
    PATIENCE,
    PLACED,
    TOPICS,
    bodies,
    nothing,
    numbered,
    outgoing,
    published,
    taken,
)

BILLING = "billing"


@pytest_asyncio.fixture
async def prefix() -> AsyncIterator[str]:
    name = f"t{uuid4().hex[:12]}"
    yield name
    await asyncio.to_thread(take_away, name)


@pytest_asyncio.fixture
async def broker(prefix: str) -> AsyncIterator[KafkaBroker]:
    made = KafkaBroker(address(), prefix=prefix, partitions=2)
    await made.open(TOPICS)
    yield made
    await made.close()


def read(topic: str, count: int, isolation: str = "read_committed", seconds: float = 30.0) -> list[Message]:
    """Read a topic from its beginning, as a reader that has nothing to do with Mainstay does."""
    config = {"bootstrap.servers": address(), "group.id": f"reader-{uuid4()}", "isolation.level": isolation}
    consumer = Consumer(config)
    try:
        listed = consumer.list_topics(topic, timeout=30).topics[topic].partitions
        consumer.assign([TopicPartition(topic, number, 0) for number in listed])
        found: list[Message] = []
        for _ in range(int(seconds * 10)):
            found += [one for one in consumer.consume(count, 0.1) if one.error() is None]
            if len(found) >= count:
                break
        return found
    finally:
        consumer.close()


def offsets(prefix: str, topic: str = PLACED, partitions: Sequence[int] = (0, 1)) -> list[int]:
    """What the group has on record."""
    consumer = Consumer({"bootstrap.servers": address(), "group.id": f"{prefix}.{BILLING}"})
    try:
        places = [TopicPartition(f"{prefix}.{topic}", number) for number in partitions]
        return [one.offset for one in consumer.committed(places, timeout=30)]
    finally:
        consumer.close()


async def recorded(prefix: str, partition: int, offset: int) -> None:
    """Wait until an offset is on record."""
    deadline = time.monotonic() + PATIENCE
    while (found := (await asyncio.to_thread(offsets, prefix))[partition]) != offset:
        assert time.monotonic() < deadline, f"{found} is on record, not {offset}"


async def test_what_was_acknowledged_is_on_record_at_the_end(
    broker: KafkaBroker, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstay.adapters.kafka.member._RECORD", 1000.0)  # by nothing but the end
    member = await broker.subscribe(BILLING, TOPICS)
    await published(broker, numbered(6, key="a"))
    await member.acknowledge(await taken(member, 6))
    await member.close()
    assert sorted(await asyncio.to_thread(offsets, prefix)) == [0, 6]


async def test_the_lowest_offset_that_is_not_acknowledged_is_on_record(broker: KafkaBroker, prefix: str) -> None:
    member = await broker.subscribe(BILLING, TOPICS)
    assert await asyncio.to_thread(offsets, prefix) == [0, 0]
    await published(broker, numbered(6, key="a"))
    found = await taken(member, 6)
    partition = found[0].handle.partition
    await member.acknowledge([found[0], found[1], found[4], found[5]])
    await recorded(prefix, partition, 2)
    await member.close()
    again = await broker.subscribe(BILLING, TOPICS)
    assert await bodies(again, 4) == [b"2", b"3", b"4", b"5"]  # 4 and 5 once more: they stood above
    await recorded(prefix, partition, 6)
    await again.close()


async def test_what_was_acknowledged_is_on_record_before_its_partition_goes(
    broker: KafkaBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mainstay.adapters.kafka.member._RECORD", 1000.0)  # by nothing but the going
    one = await broker.subscribe(BILLING, [PLACED])
    await published(broker, [outgoing(b"before", key=f"key {n}") for n in range(40)])
    await one.acknowledge(await taken(one, 40))
    joining = asyncio.ensure_future(broker.subscribe(BILLING, [PLACED]))
    while not joining.done():
        await one.take(10, 0.1)
    two = await joining
    await published(broker, [outgoing(b"after", key=f"key {n}") for n in range(40)])
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < 40:
            found += [each.body for member in (one, two) for each in await member.take(40, 0.1)]
    assert found == [b"after"] * 40
    await one.close()
    await two.close()


async def test_a_group_begins_where_a_topic_ended_when_it_joined(broker: KafkaBroker) -> None:
    await published(broker, numbered(10))
    member = await broker.subscribe(BILLING, TOPICS)
    await nothing(member)
    await published(broker, [outgoing(b"after")])
    assert await bodies(member, 1) == [b"after"]
    await member.close()


async def test_a_topic_that_is_new_to_a_group_begins_at_its_end(broker: KafkaBroker) -> None:
    old = await broker.subscribe(BILLING, [PAID])
    await published(broker, [outgoing(b"before")])
    joining = asyncio.ensure_future(broker.subscribe(BILLING, TOPICS))
    while not joining.done():
        await old.take(10, 0.1)
    new = await joining
    await published(broker, [outgoing(b"after")])
    found: list[bytes] = []
    async with asyncio.timeout(30):
        while not found:
            await old.take(10, 0.1)
            found = [one.body for one in await new.take(10, 0.2)]
    assert found == [b"after"]
    await old.close()
    await new.close()


async def test_partitions_that_are_added_are_read_from_their_beginning(broker: KafkaBroker, prefix: str) -> None:
    await (await broker.subscribe(BILLING, [PLACED])).close()

    def add() -> None:
        client = AdminClient({"bootstrap.servers": address()})
        for future in client.create_partitions([NewPartitions(f"{prefix}.{PLACED}", 4)]).values():
            future.result(30)
        producer = Producer({"bootstrap.servers": address(), "topic.metadata.refresh.interval.ms": 100})
        producer.list_topics(timeout=30)
        producer.produce(f"{prefix}.{PLACED}", b"in the new one", partition=3)
        producer.flush(30)

    await asyncio.to_thread(add)
    member = await broker.subscribe(BILLING, [PLACED])
    assert await bodies(member, 1) == [b"in the new one"]
    await member.close()


async def test_records_are_events_with_their_key(broker: KafkaBroker, prefix: str) -> None:
    await published(broker, [outgoing(b"{}", key="\u00e4"), outgoing(b"alone")])
    found = await asyncio.to_thread(read, f"{prefix}.{PLACED}", 2)
    assert {one.key() for one in found} == {"\u00e4".encode(), None}
    assert found[0].headers() == [("content-type", b"application/cloudevents+json")]


async def test_what_was_refused_is_kept_with_its_cause(broker: KafkaBroker, prefix: str) -> None:
    member = await broker.subscribe(BILLING, TOPICS)
    await published(broker, [outgoing(b"no event")])
    (found,) = await taken(member, 1)
    await member.refuse(found, "it is no CloudEvent")
    await member.close()
    (kept,) = await asyncio.to_thread(read, f"{prefix}.{BILLING}.refused", 1)
    headers = dict(kept.headers() or [])
    assert kept.value() == b"no event"
    assert (headers["cause"], headers["topic"]) == (b"it is no CloudEvent", PLACED.encode())
    assert headers["offset"] == b"0"


async def test_what_went_to_another_member_cannot_be_acknowledged(broker: KafkaBroker) -> None:
    one = await broker.subscribe(BILLING, [PLACED])
    await published(broker, [outgoing(b"%d" % n, key=f"key {n}") for n in range(20)])
    held = await taken(one, 20)
    joining = asyncio.ensure_future(broker.subscribe(BILLING, [PLACED]))
    while not joining.done():
        await one.take(10, 0.1)
    two = await joining
    moved: list[Incoming] = []
    async with asyncio.timeout(30):
        while not moved:
            await one.take(10, 0.1)
            moved = list(await two.take(10, 0.1))
    with pytest.raises(BrokerAway, match="another member"):
        await one.acknowledge(held)
    await one.close()
    await two.close()


async def test_a_message_that_is_too_large_holds_up_no_other(broker: KafkaBroker) -> None:
    large, behind, other = outgoing(b"x" * (2 << 20), key="a"), outgoing(b"y", key="a"), outgoing(b"z", key="b")
    assert await broker.publish([large, behind, other]) == {other.id}
    with pytest.raises(BrokerAway, match="too large"):
        await broker.publish([large])


async def test_a_batch_that_fails_in_part_is_seen_by_nobody(prefix: str) -> None:
    broker = KafkaBroker(address(), prefix=prefix, partitions=2, transactions=True)
    await broker.open(TOPICS)
    large = outgoing(b"x" * (2 << 20))
    with pytest.raises(BrokerAway, match="too large"):
        await broker.publish([outgoing(b"in vain"), large])
    kept = numbered(3)
    assert await broker.publish(kept) == {one.id for one in kept}
    found = await asyncio.to_thread(read, f"{prefix}.{PLACED}", 4, seconds=2.0)
    assert sorted(one.value() or b"" for one in found) == [b"0", b"1", b"2"]
    await broker.close()


async def test_a_server_that_is_away_is_told_and_found_again(prefix: str) -> None:
    async with CuttingProxy(int(address().rpartition(":")[2]), kafka=True).open() as proxy:
        broker = KafkaBroker(f"127.0.0.1:{proxy.port}", prefix=prefix, partitions=2, patience=3.0)
        member = await broker.subscribe(BILLING, TOPICS)
        await published(broker, numbered(5))
        assert len(await bodies(member, 5)) == 5
        proxy.refusing = True
        proxy.cut()
        async with asyncio.timeout(30):
            with pytest.raises(BrokerAway):
                while True:
                    await member.take(1, 1.0)
        with pytest.raises(BrokerAway):
            await broker.publish(numbered(1))
        proxy.refusing = False
        await published(broker, [outgoing(b"after")])
        assert (await taken(member, 1))[0].body == b"after"
        await member.close()
        await broker.close()


async def test_a_member_can_be_closed_while_the_server_is_away(prefix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.adapters.kafka.member._FAREWELL", 1.0)
    async with CuttingProxy(int(address().rpartition(":")[2]), kafka=True).open() as proxy:
        broker = KafkaBroker(f"127.0.0.1:{proxy.port}", prefix=prefix, partitions=2, patience=2.0)
        member = await broker.subscribe(BILLING, TOPICS)
        await published(broker, numbered(5))
        held = await taken(member, 5)
        proxy.refusing = True
        proxy.cut()
        await member.acknowledge(held)  # it is noted, and cannot be put on record
        (thread,) = (each for each in threading.enumerate() if each.name == f"kafka-{BILLING}")
        begun = asyncio.get_running_loop().time()
        await member.close()
        assert asyncio.get_running_loop().time() - begun < 10
        proxy.refusing = False  # its thread ends now
        await asyncio.to_thread(thread.join, 60)
        await broker.close()


async def test_a_server_that_cannot_be_reached_is_told_without_the_password() -> None:
    security = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "me",
        "sasl.password": "hunter2",
    }
    broker = KafkaBroker("127.0.0.1:9", security=security, patience=2.0)
    with pytest.raises(BrokerAway) as refused:
        await broker.open(TOPICS)
    assert "hunter2" not in f"{refused.value}{refused.value.__cause__!r}"
    await broker.close()


async def test_what_was_confirmed_survives_the_kill_of_the_server(tmp_path: Path) -> None:
    with own_service("kafka", tmp_path) as own:
        broker = KafkaBroker(own.url.removeprefix("kafka://"), patience=5.0)
        await broker.open(TOPICS)
        member = await broker.subscribe(BILLING, TOPICS)
        sent = numbered(100)
        await published(broker, sent[:50])
        await member.acknowledge(await taken(member, 20))
        own.kill()
        with pytest.raises(BrokerAway):
            await broker.publish(sent[50:])
        await asyncio.to_thread(own.start_again)
        await published(broker, sent[50:])
        found: set[int] = set()
        async with asyncio.timeout(60):
            while not found >= set(range(20, 100)):
                found |= {int(body) for body in await bodies(member, 1)}
        await member.close()
        await broker.close()


def test_a_key_is_sent_as_its_bytes_and_no_key_as_none() -> None:
    assert Record("t", b"", "\u00e4", {}).key == "\u00e4".encode()
    assert Record("t", b"", "", {}).key is None
