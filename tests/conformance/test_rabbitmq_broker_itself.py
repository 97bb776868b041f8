"""What only the RabbitMQ broker does: what it makes in the server, and how it meets one that is away."""

from __future__ import annotations

import asyncio
import gc
import json
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import aio_pika
import pytest
import pytest_asyncio
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from broker_leftovers import clear_rabbitmq
from certificates import make_pair
from cut_connections import CuttingProxy
from own_service import OwnService, own_service
from tests.conformance.servers import server
from yarl import URL

from mainstay.adapters.rabbitmq.broker import RabbitMqBroker
from mainstay.adapters.rabbitmq.names import Names
from mainstay.app.rabbitmq import broker_of
from mainstay.ports.broker import Broker, BrokerAway
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

BILLING = "billing"
TLS = """
listeners.ssl.1 = 127.0.0.1:{port.tls}
ssl_options.certfile = {data}/tls.crt
ssl_options.keyfile = {data}/tls.key
ssl_options.verify = verify_none
"""


class Own(NamedTuple):
    """A server of these tests' own, which listens with TLS as well."""

    server: OwnService
    certificate: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def tls_url(self) -> str:
        return str(URL(self.url).with_scheme("amqps").with_port(self.server.port("tls")))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    folder = tmp_path_factory.mktemp("rabbitmq")
    pair = make_pair(folder)
    files = {"rabbitmq.conf": TLS, "tls.crt": pair.certificate.read_text(), "tls.key": pair.key.read_text()}
    with own_service("rabbitmq", folder, files) as made:
        yield Own(made, pair.certificate)


@pytest_asyncio.fixture
async def prefix() -> AsyncIterator[str]:
    name = f"t{uuid4().hex[:12]}"
    yield name
    await clear_rabbitmq(server("MAINSTAY_TEST_RABBITMQ"), name)


@pytest_asyncio.fixture
async def channel() -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(server("MAINSTAY_TEST_RABBITMQ")) as connection:
        yield await connection.channel()


@pytest_asyncio.fixture
async def broker(prefix: str) -> AsyncIterator[Broker]:
    made = RabbitMqBroker(server("MAINSTAY_TEST_RABBITMQ"), prefix=prefix, delivery_limit=2, prefetch=50)
    await made.open(TOPICS)
    yield made
    await made.close()


async def first(channel: AbstractChannel, queue: str) -> AbstractIncomingMessage:
    """The first message to come to a queue, taken off it."""
    found = await channel.get_queue(queue)
    async with asyncio.timeout(30):
        while (message := await found.get(fail=False)) is None:
            await asyncio.sleep(0.05)
    await message.ack()
    return message


async def test_messages_of_one_member_come_in_order(broker: Broker) -> None:
    member = await broker.subscribe(BILLING, TOPICS)
    await published(broker, [outgoing(b"%d" % n, TOPICS[n % 2], key=f"key {n % 3}") for n in range(200)])
    found: list[bytes] = []
    while len(found) < 200:
        found += await bodies(member, 40)
    assert found == [b"%d" % n for n in range(200)]
    await member.close()


async def test_messages_are_persistent_events(broker: Broker, prefix: str, channel: AbstractChannel) -> None:
    await (await broker.subscribe(BILLING, TOPICS)).close()
    sent = outgoing(b"{}", key="a")
    await published(broker, [sent])
    found = await first(channel, Names(prefix, BILLING).queue)
    assert found.delivery_mode == aio_pika.DeliveryMode.PERSISTENT
    assert (found.message_id, found.type) == (str(sent.id), PLACED)
    assert found.content_type == "application/cloudevents+json"


async def test_what_was_refused_is_kept_with_its_cause(broker: Broker, prefix: str, channel: AbstractChannel) -> None:
    member = await broker.subscribe(BILLING, TOPICS)
    await published(broker, [outgoing(b"no event")])
    (found,) = await taken(member, 1)
    await member.refuse(found, "it is no CloudEvent: " + "x" * 200_000)
    await member.close()
    kept = await first(channel, Names(prefix, BILLING).refused_queue)
    assert kept.body == b"no event"
    assert str(kept.headers["cause"]).startswith("it is no CloudEvent: xxx")
    assert (kept.headers["topic"], kept.headers["group"]) == (PLACED, BILLING)


async def test_what_is_handed_out_too_often_is_kept_aside(
    broker: Broker, prefix: str, channel: AbstractChannel
) -> None:
    await (await broker.subscribe(BILLING, TOPICS)).close()
    await published(broker, [outgoing(b"deadly")])
    for times in (1, 2, 3):
        member = await broker.subscribe(BILLING, TOPICS)
        (found,) = await taken(member, 1)
        assert found.times == times
        await member.close()
    kept = await first(channel, Names(prefix, BILLING).refused_queue)
    assert kept.body == b"deadly"
    assert "delivery_limit" in str(kept.headers)
    member = await broker.subscribe(BILLING, TOPICS)
    await nothing(member)
    await member.close()


async def test_bindings_that_nobody_asks_for_are_taken_away(
    broker: Broker, prefix: str, channel: AbstractChannel
) -> None:
    names = Names(prefix, BILLING)
    await (await broker.subscribe(BILLING, TOPICS)).close()
    await (await broker.subscribe(BILLING, [PAID])).close()
    await published(broker, [outgoing(b"placed"), outgoing(b"paid", PAID)])
    assert (await first(channel, names.queue)).body == b"paid"
    record = await first(channel, names.record_queue)
    assert json.loads(record.body) == [PAID]


async def test_what_was_left_of_a_topic_from_before_is_passed_over(broker: Broker) -> None:
    await (await broker.subscribe(BILLING, TOPICS)).close()
    await published(broker, [outgoing(b"placed"), outgoing(b"paid", PAID)])
    member = await broker.subscribe(BILLING, [PAID])
    assert await bodies(member, 1) == [b"paid"]
    await nothing(member)
    await member.close()
    again = await broker.subscribe(BILLING, TOPICS)
    await nothing(again)  # it was not only kept back
    await again.close()


async def test_a_topic_that_only_the_new_version_asks_for_reaches_it(broker: Broker) -> None:
    old = await broker.subscribe(BILLING, [PAID])
    new = await broker.subscribe(BILLING, TOPICS)
    await published(broker, [outgoing(b"placed")])
    found: list[bytes] = []
    async with asyncio.timeout(30):
        while not found:
            assert list(await old.take(10, 0.1)) == []
            got = await new.take(10, 0.1)
            found += [one.body for one in got]
            await new.acknowledge(got)
    assert found == [b"placed"]
    await old.close()
    await new.close()


async def test_a_message_that_is_too_large_holds_up_no_other(prefix: str) -> None:
    broker = RabbitMqBroker(server("MAINSTAY_TEST_RABBITMQ"), prefix=prefix, max_bytes=1000)
    large, behind, other = outgoing(b"x" * 1001, key="a"), outgoing(b"y", key="a"), outgoing(b"z", key="b")
    assert await broker.publish([large, behind, other]) == {other.id}
    with pytest.raises(BrokerAway, match="1000 bytes"):
        await broker.publish([large])
    await broker.close()


async def test_a_server_that_is_away_is_told_and_found_again(prefix: str) -> None:
    url = URL(server("MAINSTAY_TEST_RABBITMQ"))
    async with CuttingProxy(url.port or 5672).open() as proxy:
        broker = RabbitMqBroker(str(url.with_port(proxy.port)), prefix=prefix)
        member = await broker.subscribe(BILLING, TOPICS)
        await published(broker, numbered(3))
        held = await taken(member, 3)
        proxy.refusing = True
        proxy.cut()
        for _ in range(3):
            with pytest.raises(BrokerAway):
                await member.take(1, 1.0)
            with pytest.raises(BrokerAway):
                await broker.publish(numbered(1))
        with pytest.raises(BrokerAway):
            await member.refuse(held[0], "no")
        proxy.refusing = False
        again = await taken(member, 3)
        with pytest.raises(BrokerAway, match="since these messages were handed out"):
            await member.acknowledge(held)
        await member.acknowledge(again)
        await nothing(member)
        await member.close()
        await broker.close()


async def test_a_server_that_cannot_be_reached_is_told_without_the_password() -> None:
    broker = RabbitMqBroker("amqp://me:hunter2@127.0.0.1:9/", patience=2.0)
    with pytest.raises(BrokerAway) as refused:
        await broker.open(TOPICS)
    assert "hunter2" not in str(refused.value)
    url = str(URL(server("MAINSTAY_TEST_RABBITMQ")).with_password("hunter2"))
    with pytest.raises(BrokerAway) as refused:
        await RabbitMqBroker(url).open(TOPICS)
    assert "ACCESS_REFUSED" in str(refused.value)
    assert "hunter2" not in f"{refused.value}{refused.value.__cause__!r}"
    del refused
    gc.collect()


async def test_other_settings_of_a_queue_are_refused_by_name(broker: Broker, prefix: str) -> None:
    await (await broker.subscribe(BILLING, TOPICS)).close()
    other = RabbitMqBroker(server("MAINSTAY_TEST_RABBITMQ"), prefix=prefix, delivery_limit=7)
    with pytest.raises(BrokerAway, match="x-delivery-limit"):
        await other.subscribe(BILLING, TOPICS)
    await other.close()


async def test_a_queue_that_is_deleted_is_made_anew(broker: Broker, prefix: str, channel: AbstractChannel) -> None:
    member = await broker.subscribe(BILLING, TOPICS)
    await channel.queue_delete(Names(prefix, BILLING).queue)
    with pytest.raises(BrokerAway):
        async with asyncio.timeout(30):
            while True:
                await member.take(1, 1.0)
    assert list(await member.take(1, 0.1)) == []
    await published(broker, [outgoing(b"after")])
    assert await bodies(member, 1) == [b"after"]
    await member.close()


async def test_what_was_confirmed_survives_the_kill_of_the_server(own: Own) -> None:
    broker = RabbitMqBroker(own.url)
    member = await broker.subscribe(BILLING, TOPICS)
    sent = numbered(100)
    await published(broker, sent[:50])
    await member.acknowledge(await taken(member, 20))
    own.server.kill()
    with pytest.raises(BrokerAway):
        await broker.publish(sent[50:])
    await asyncio.to_thread(own.server.start_again)
    await published(broker, sent[50:])
    found: set[int] = set()
    async with asyncio.timeout(30):
        while not found >= set(range(20, 100)):  # of those that were acknowledged the server may not have heard
            found |= {int(body) for body in await bodies(member, 1)}
    await nothing(member)
    await member.close()
    await broker.close()


async def test_tls_and_a_password(own: Own, tmp_path: Path) -> None:
    broker = broker_of(f"{own.tls_url}?ca={own.certificate}&prefix=tls", "here", tmp_path)
    member = await broker.subscribe(BILLING, TOPICS)
    await published(broker, numbered(3))
    found = await taken(member, 3)
    await member.acknowledge(found)
    await member.close()
    await broker.close()
    trusting = ssl.create_default_context(cafile=own.certificate)
    wrong = str(URL(own.tls_url).with_password("hunter2"))
    plain = own.tls_url.replace("amqps:", "amqp:")
    for url, tls in ((own.tls_url, ssl.create_default_context()), (wrong, trusting), (plain, None)):
        refused = RabbitMqBroker(url, tls=tls, patience=3.0)
        with pytest.raises(BrokerAway) as told:
            await refused.open(TOPICS)
        assert "hunter2" not in str(told.value)
        await refused.close()
    del told
    gc.collect()
