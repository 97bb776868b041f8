"""What tests made in servers of brokers, taken away by the prefix of its names."""

from __future__ import annotations

from contextlib import suppress

import aio_pika
import nats
from nats.js.errors import NotFoundError
from redis.asyncio import Redis

from mainstay.adapters.rabbitmq.names import Names

GROUPS = ("billing", "shipping", "mail", "shop")


async def clear_redis(url: str, prefix: str) -> None:
    """Take away the keys of a prefix."""
    async with Redis.from_url(url, protocol=2) as client:
        if keys := await client.keys(f"{prefix}:*"):
            await client.delete(*keys)


async def clear_nats(url: str, prefix: str) -> None:
    """Take away the streams of a prefix."""
    client = await nats.connect(url)
    for stream in (prefix, f"{prefix}-dead"):
        with suppress(NotFoundError):
            await client.jetstream().delete_stream(stream)
    await client.close()


async def clear_rabbitmq(url: str, prefix: str) -> None:
    """Take away the queues and exchanges of a prefix."""
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        for names in (Names(prefix, group) for group in GROUPS):
            for queue in (names.queue, names.refused_queue, names.record_queue):
                await channel.queue_delete(queue)
            for exchange in (names.exchange, names.refused_exchange):
                await channel.exchange_delete(exchange)
