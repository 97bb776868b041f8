"""Messages through RabbitMQ 3.10 and newer: each topic is a routing key of one topic exchange."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from ssl import SSLContext
from uuid import UUID

from aio_pika import ExchangeType
from aio_pika.abc import AbstractChannel
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from mainstay.adapters.rabbitmq.link import LOST, SILENCE, Link, reason, underlay
from mainstay.adapters.rabbitmq.member import RabbitMqSubscription
from mainstay.adapters.rabbitmq.names import Names
from mainstay.adapters.rabbitmq.sender import Confirm, Sender
from mainstay.ports.broker import Broker, BrokerAway, BrokerTraits, Outgoing, Subscription
from mainstay.ports.confirmed import unbroken

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
        self._sender: Sender  # of the link's channel

    async def _prepare(self, channel: AbstractChannel) -> None:
        name = Names(self._prefix).exchange
        await channel.declare_exchange(name, ExchangeType.TOPIC, durable=True)
        self._sender = Sender(await underlay(channel), name)

    async def open(self, topics: Collection[str]) -> None:  # noqa: ARG002 - the exchange takes any
        await self._link.channel()

    async def publish(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        """Send all at once, in order, and wait for the confirms. Other calls may be under way.

        A message larger than ``max_bytes`` is not sent: the server would end the channel, and all that is under way.
        """
        fitting = [one for one in messages if len(one.body) <= self.traits.max_bytes]
        if not fitting:
            return self._none_fits(messages)
        await self._link.channel()
        sender = self._sender
        faults = await self._sent(sender, fitting)
        if SILENCE in faults and sender is self._sender:  # what comes of them now is of no use to anyone
            await self._link.drop()
        confirmed = [one.id for one, fault in zip(fitting, faults, strict=True) if fault is None]
        if not confirmed:
            raise BrokerAway(faults[0] or LOST)
        return unbroken(messages, confirmed)

    async def _sent(self, sender: Sender, messages: Sequence[Outgoing]) -> Sequence[str | None]:
        """Return for each why it is not confirmed, None where it is."""
        confirms: list[Confirm] = []
        unsent = SILENCE
        try:
            async with asyncio.timeout(self._patience):
                try:
                    await sender.send(messages, confirms)
                except CONNECTION_EXCEPTIONS:
                    unsent = LOST
                if confirms:
                    await asyncio.wait(confirms)
        except TimeoutError:
            """What is not confirmed by now is told below."""
        finally:
            faults = [_fault(confirm) for confirm in confirms]
            for confirm in confirms:
                confirm.cancel()
        return [*faults, *[unsent] * (len(messages) - len(faults))]

    def _none_fits(self, messages: Sequence[Outgoing]) -> Collection[UUID]:
        if messages:
            raise BrokerAway(f"no message is sent that is larger than {self.traits.max_bytes} bytes")
        return frozenset()

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


def _fault(confirm: Confirm) -> str | None:
    if not confirm.done():
        return SILENCE
    if confirm.cancelled():
        return LOST
    error = confirm.exception()
    return None if error is None else reason(error)
