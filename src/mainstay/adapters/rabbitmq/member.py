"""A member of a group: the group's quorum queue, and what of it this member holds."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import suppress
from itertools import takewhile
from ssl import SSLContext
from typing import Any

import msgspec
from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractChannel, AbstractQueue
from aio_pika.exceptions import CONNECTION_EXCEPTIONS
from aiormq.abc import DeliveredMessage
from aiormq.channel import Channel

from mainstay.adapters.rabbitmq.link import LOST, Link, reason, underlay
from mainstay.adapters.rabbitmq.names import Names
from mainstay.ports.broker import BrokerAway, Incoming, Subscription

_CAUSE_CHARACTERS = 8000  # headers have to fit into one frame
_PAUSE = 0.5  # seconds before a message that another member wants is given back
_QUORUM: dict[str, Any] = {"x-queue-type": "quorum"}


class RabbitMqSubscription(Subscription):
    """Reads ahead as the server sends, up to the prefetch; what is read ahead is this member's."""

    def __init__(self, names: Names, topics: frozenset[str], *, prefetch: int, delivery_limit: int) -> None:
        self._names = names
        self._topics = topics
        self._prefetch = prefetch
        self._delivery_limit = delivery_limit
        self._link: Link
        self._queue: AbstractQueue
        self._frames: Channel
        self._joined = False
        self._moved = False
        self._epoch = 0  # raised with each channel: what came by one cannot be acknowledged by another
        self._held: dict[int, None] = {}  # the tags that are not acknowledged, in rising order
        self._arrived: deque[Incoming] = deque()
        self._woken = asyncio.Event()

    async def join(self, url: str, tls: SSLContext | None, patience: float) -> None:
        """Connect, and make what is missing in the server. Raises ``BrokerAway``."""
        self._link = Link(url, tls, patience, self._names.queue, self._prepare)
        await self._link.channel()
        self._joined = True

    async def _prepare(self, channel: AbstractChannel) -> None:
        self._epoch += 1
        self._moved = False
        self._held.clear()
        self._arrived.clear()
        channel.close_callbacks.add(self._wake)
        self._frames = await underlay(channel)
        self._frames.on_consumer_cancel_callbacks.add(self._cancelled)
        await channel.set_qos(prefetch_count=self._prefetch)
        await self._declare(channel)
        if not self._joined:
            await self._forget_topics(channel)
        await self._frames.basic_consume(self._queue.name, self._arrive)

    async def _declare(self, channel: AbstractChannel) -> None:
        names = self._names
        exchange = await channel.declare_exchange(names.exchange, ExchangeType.TOPIC, durable=True)
        refused = await channel.declare_exchange(names.refused_exchange, ExchangeType.DIRECT, durable=True)
        kept = await channel.declare_queue(names.refused_queue, durable=True, arguments=dict(_QUORUM))
        await kept.bind(refused, names.queue)
        arguments: dict[str, Any] = {
            **_QUORUM,
            "x-delivery-limit": self._delivery_limit,
            "x-dead-letter-exchange": names.refused_exchange,
            "x-dead-letter-routing-key": names.queue,
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",  # what that strategy asks for; the queue has no length to overflow
        }
        self._queue = await channel.declare_queue(names.queue, durable=True, arguments=arguments)
        for topic in self._topics:
            await self._queue.bind(exchange, topic)

    async def _forget_topics(self, channel: AbstractChannel) -> None:
        """Take away the bindings that nobody asks for any more.

        The server does not tell a client what it has bound, so the group's topics are on record beside its queue.
        """
        for topic in await self._recorded(channel, self._topics) - self._topics:
            await self._queue.unbind(self._names.exchange, topic)

    async def _recorded(self, channel: AbstractChannel, put: Collection[str] = ()) -> frozenset[str]:
        """Return the topics on record, nothing where another member looks just now; leave these, or those, there."""
        arguments: dict[str, Any] = {**_QUORUM, "x-max-length": 1}  # the last one stays
        queue = await channel.declare_queue(self._names.record_queue, durable=True, arguments=arguments)
        found = await queue.get(fail=False)
        if found is not None or put:
            body = msgspec.json.encode(sorted(put)) if put or found is None else found.body
            await channel.default_exchange.publish(Message(body, delivery_mode=DeliveryMode.PERSISTENT), queue.name)
        if found is None:
            return frozenset()
        await found.ack()
        return frozenset(msgspec.json.decode(found.body, type=list[str]))

    def _wake(self, *_: object) -> None:
        self._woken.set()

    def _cancelled(self, _: object) -> None:
        """Begin anew: the queue has moved to another node, or is gone."""
        self._moved = True
        self._wake()

    async def _arrive(self, message: DeliveredMessage) -> None:
        tag, topic = message.delivery_tag, message.routing_key or ""
        assert tag is not None
        self._held[tag] = None
        if topic not in self._topics:
            await self._pass_over(tag, topic)
            del self._held[tag]
            return
        earlier = (message.header.properties.headers or {}).get("x-delivery-count", 0)
        times = 1 + (earlier if isinstance(earlier, int) else 0)
        self._arrived.append(Incoming(topic=topic, body=message.body, times=times, handle=(self._epoch, tag)))
        self._wake()

    async def _pass_over(self, tag: int, topic: str) -> None:
        """Leave a message of a topic that this member did not ask for.

        While versions are replaced, another member may have asked for it. Where none has, it is from before.
        """
        frames = self._frames  # of the channel that it came by
        recorded = await self._recorded(await self._link.channel())
        if not recorded or topic in recorded:
            await asyncio.sleep(_PAUSE)
            await frames.basic_nack(tag)
            return
        await self._queue.unbind(self._names.exchange, topic)
        await frames.basic_ack(tag)

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        await self._link.channel()
        self._woken.clear()
        if not self._arrived:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._woken.wait()
        if self._link.open_channel is None or self._moved:
            await self._link.drop()
            raise BrokerAway("the connection to RabbitMQ was lost, or the queue has moved")
        return [self._arrived.popleft() for _ in range(min(limit, len(self._arrived)))]

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        """Acknowledge with one word where nothing earlier is still held, else each by itself."""
        tags = {tag for epoch, tag in (one.handle for one in taken) if epoch == self._epoch}
        if tags:
            last = max(tags)
            until = list(takewhile(lambda tag: tag <= last, self._held))
            together = tags.issuperset(until)
            await self._acknowledge([last] if together else sorted(tags), together)
            for tag in tags:
                self._held.pop(tag, None)
        if len(tags) < len(taken):
            raise BrokerAway("the connection to RabbitMQ was lost since these messages were handed out")

    async def _acknowledge(self, tags: Sequence[int], together: bool) -> None:
        """Hand the words over. Nobody answers them, so that nothing is waited for but room among what is to be sent."""
        if self._link.open_channel is None:
            raise BrokerAway(LOST)
        try:
            async with asyncio.timeout(self._link.patience):
                for tag in tags:
                    await self._frames.basic_ack(tag, multiple=together, wait=False)
        except TimeoutError as late:
            raise BrokerAway(f"RabbitMQ has taken nothing within {self._link.patience:g} s") from late
        except CONNECTION_EXCEPTIONS as error:
            raise BrokerAway(reason(error)) from error

    async def refuse(self, taken: Incoming, cause: str) -> None:
        """Leave a copy with the cause among the refused ones, and acknowledge: a rejection could not say why."""
        headers = {"cause": cause[:_CAUSE_CHARACTERS], "topic": taken.topic, "group": self._names.group}
        copy = Message(taken.body, headers=dict(headers), delivery_mode=DeliveryMode.PERSISTENT)

        async def leave(channel: AbstractChannel) -> None:
            exchange = await channel.get_exchange(self._names.refused_exchange, ensure=False)
            await exchange.publish(copy, self._names.queue, mandatory=True)

        await self._link.ask(leave)
        await self.acknowledge((taken,))

    async def close(self) -> None:
        await self._link.leave()
