"""FastStream's brokers as its users set them up to keep what they confirm: where events go, and how a batch is sent."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from faststream import AckPolicy
from shared import BROKER, CONCURRENCY, PLAIN, URL

NAME = "plain" if PLAIN else "safe"  # both may be on one broker
TOPIC = f"orders.{NAME}"
GROUP = f"shipping-{NAME}"
_LATE = AckPolicy.NACK_ON_ERROR  # acknowledged once the effect is committed
PARTITIONS = 16


def _nats() -> tuple[Any, Any, Callable[..., Any]]:
    from faststream.nats import JStream, NatsBroker, PullSub
    from nats.js.api import RetentionPolicy, StorageType

    stream = JStream(f"orders-{NAME}", subjects=[TOPIC], storage=StorageType.FILE, retention=RetentionPolicy.INTEREST)
    broker = NatsBroker(URL, logger=None)
    sub = broker.subscriber(
        TOPIC,
        stream=stream,
        durable=GROUP,
        pull_sub=PullSub(batch_size=CONCURRENCY),  # a batch runs side by side: quicker here than ``max_workers``
        ack_policy=_LATE,
    )

    async def send(messages: Sequence[tuple[Any, str]]) -> None:
        one = [
            broker.publish(text.encode(), TOPIC, stream=f"orders-{NAME}", headers={"Nats-Msg-Id": str(id)}, timeout=10)
            for id, text in messages
        ]
        await asyncio.gather(*one)

    return broker, sub, send


def _rabbitmq() -> tuple[Any, Any, Callable[..., Any]]:
    from faststream.rabbit import Channel, ExchangeType, QueueType, RabbitBroker, RabbitExchange, RabbitQueue

    broker = RabbitBroker(URL, logger=None)
    exchange = RabbitExchange(f"orders-{NAME}", type=ExchangeType.TOPIC, durable=True)
    queue = RabbitQueue(GROUP, queue_type=QueueType.QUORUM, durable=True, routing_key=TOPIC)
    sub = broker.subscriber(queue, exchange, channel=Channel(prefetch_count=CONCURRENCY), ack_policy=_LATE)

    async def send(messages: Sequence[tuple[Any, str]]) -> None:
        one = [
            broker.publish(text.encode(), exchange=exchange, routing_key=TOPIC, persist=True, message_id=str(id))
            for id, text in messages
        ]
        await asyncio.gather(*one)

    return broker, sub, send


def _redis() -> tuple[Any, Any, Callable[..., Any]]:
    from faststream.redis import RedisBroker, StreamSub

    broker = RedisBroker(URL, logger=None)
    stream = StreamSub(TOPIC, group=GROUP, consumer="one", max_records=2 * CONCURRENCY, last_id=">")
    sub = broker.subscriber(stream=stream, max_workers=CONCURRENCY, ack_policy=_LATE)
    publisher = broker.publisher(stream=TOPIC)

    async def send(messages: Sequence[tuple[Any, str]]) -> None:
        async with broker._connection.pipeline(transaction=False) as pipeline:
            for _, text in messages:
                await publisher.publish(text.encode(), pipeline=pipeline)
            await pipeline.execute()

    return broker, sub, send


def _kafka() -> tuple[Any, Any, Callable[..., Any]]:
    from faststream.kafka import KafkaBroker

    broker = KafkaBroker(URL.removeprefix("kafka://"), acks="all", enable_idempotence=True, logger=None)
    sub = broker.subscriber(
        TOPIC, group_id=GROUP, auto_offset_reset="earliest", ack_policy=_LATE, max_workers=PARTITIONS
    )

    async def send(messages: Sequence[tuple[Any, str]]) -> None:
        sent = [await broker.publish(text.encode(), TOPIC, key=id.bytes, no_confirm=True) for id, text in messages]
        await asyncio.gather(*sent)

    return broker, sub, send


def link() -> tuple[Any, Any, Callable[..., Any]]:
    """Return the broker, the decorator of the consumer, and what sends a batch and returns once all is confirmed."""
    return {"nats": _nats, "rabbitmq": _rabbitmq, "redis": _redis, "kafka": _kafka}[BROKER]()


async def prepare() -> None:
    """Make what is not made by itself: a topic of Kafka with as many partitions as are worked on at once."""
    if BROKER != "kafka":
        return
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic
    from aiokafka.errors import TopicAlreadyExistsError

    admin = AIOKafkaAdminClient(bootstrap_servers=URL.removeprefix("kafka://"))
    await admin.start()
    try:
        with contextlib.suppress(TopicAlreadyExistsError):
            await admin.create_topics([NewTopic(TOPIC, PARTITIONS, 1)])
    finally:
        await admin.close()
