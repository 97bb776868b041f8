"""Messages through RabbitMQ 3.10 and newer: each topic is a routing key of one topic exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from ssl import SSLContext
from uuid import UUID

from aio_pika import DeliveryMode, ExchangeType, Message
from aio_pika.abc import AbstractChannel, AbstractExchange

from mainstay.adapters.rabbitmq.link import LOST, Link, reason
from mainstay.adapters.rabbitmq.member import RabbitMqSubscription
from mainstay.adapters.rabbitmq.names import Names
from mainstay.ports.broker import Broker, BrokerAway, BrokerTraits, Outgoing, Subscription
from mainstay.ports.confirmed import unbroken

CONTENT_TYPE = "application/cloudevents+json"
"""The structured mode of the AMQP binding of CloudEvents."""

MAX_BYTES = 1 << 24
"""``max_message_size`` of RabbitMQ 4, where its configuration says nothing else."""

PREFETCH = 500
DELIVERY_LIMIT = 100
PATIENCE = 10.0
PREFIX = "mainstay"


class RabbitMqBroker(Broker):
    """Publishes on a connection of its own: one that the server holds back must not keep members from reading.

    ``url`` has no query. ``prefetch`` is how many messages a member may hold, ``delivery_limit`` how often one is
    handed out before it goes to the refused ones, ``patience`` the seconds that an answer may take.
    """

    def __init__(
        self,
        url: str,
        *,
        tls: SSLContext | None = None,
        prefix: str = PREFIX,
        prefetch: int = PREFETCH,
        delivery_limit: int = DELIVERY_LIMIT,
        max_bytes: int = MAX_BYTES,
        patience: float = PATIENCE,
    ) -> None:
        # Handed out in order; which of two members is done first is another matter.
        self.traits = BrokerTraits(durable=True, ordered=True, max_bytes=max_bytes, keeps_refused=True)
        self._url = url
        self._tls = tls
        self._prefix = prefix
        self._prefetch = prefetch
        self._delivery_limit = delivery_limit
        self._patience = patience
        self._link = Link(url, tls, patience, f"{prefix} publisher", self._prepare)
        self._exchange: AbstractExchange | None = None

    async def _prepare(self, channel: AbstractChannel) -> None:
        name = Names(self._prefix).exchange
        self._exchange = await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)

    async def open(self, topics: Collection[str]) -> None:  # noqa: ARG002 - the exchange takes any
        await self._link.channel()

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        """Send all at once, in order, and wait for the confirms.

        A message larger than ``max_bytes`` is not sent: the server would end the channel, and all that is under way.
        """
        fitting = [one for one in messages if len(one.body) <= self.traits.max_bytes]
        if not fitting:
            return self._none_fits(messages)
        await self._link.channel()
        sending = {one.id: asyncio.ensure_future(self._send(one)) for one in fitting}
        try:
            _, late = await asyncio.wait(sending.values(), timeout=self._patience)
        finally:
            for task in sending.values():
                task.cancel()
        faults = {id: self._fault(task) for id, task in sending.items()}
        if late:  # what comes of them now is of no use to anyone
            await self._link.drop()
        confirmed = unbroken(messages, [id for id, fault in faults.items() if fault is None])
        if not confirmed:
            raise BrokerAway(next(fault for fault in faults.values() if fault is not None))
        return confirmed

    def _none_fits(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        if messages:
            raise BrokerAway(f"no message is sent that is larger than {self.traits.max_bytes} bytes")
        return frozenset()

    async def _send(self, message: Outgoing) -> None:
        assert self._exchange is not None
        sent = Message(
            message.body,
            message_id=str(message.id),
            type=message.topic,
            content_type=CONTENT_TYPE,
            delivery_mode=DeliveryMode.PERSISTENT,
        )
        # Not mandatory: where nobody has subscribed there is nobody to lose it.
        await self._exchange.publish(sent, message.topic, mandatory=False)

    @staticmethod
    def _fault(task: asyncio.Future[None]) -> str | None:
        if not task.done():
            return "RabbitMQ does not confirm: it may be short of memory or disk, or have no majority"
        if task.cancelled():
            return LOST
        error = task.exception()
        return None if error is None else reason(error)

    async def subscribe(self, group: str, topics: Collection[str]) -> Subscription:
        member = RabbitMqSubscription(
            Names(self._prefix, group),
            frozenset(topics),
            prefetch=self._prefetch,
            delivery_limit=self._delivery_limit,
        )
        await member.join(self._url, self._tls, self._patience)
        return member

    async def close(self) -> None:
        await self._link.drop()
