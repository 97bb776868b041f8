"""Sends batches of messages, each with its confirm, in one write.

The client's own way to publish takes a task, a lock and a wait for the socket a message: three times the processor time
of all else that publishing costs here (ADR 148). What is used of its channel is what that does itself with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

from aio_pika import DeliveryMode
from aiormq import spec
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from mainstay.ports.broker import Outgoing

CONTENT_TYPE = "application/cloudevents+json"
"""The structured mode of the AMQP binding of CloudEvents."""

_WRITE = 1 << 18  # bytes of bodies that are handed over before the socket has taken those before

Confirm = asyncio.Future[Any]
"""Ends once a message is confirmed; raises where it is refused, or the channel is lost."""


class Sender:
    """Sends by one channel to one exchange."""

    def __init__(self, channel: Channel, exchange: str) -> None:
        self._channel = channel
        self._exchange = exchange

    async def send(self, messages: Sequence[Outgoing], confirms: list[Confirm]) -> None:
        """Send in order, and add the confirm of each that is sent. Raises what the client does on a lost channel."""
        writes = list(_writes(messages))
        async with self._channel.lock:
            for write in writes:
                drained = self._channel.create_future() if write is not writes[-1] else None
                confirms += await self._put(write, drained)
                if drained is not None:
                    await asyncio.wait({drained})

    async def _put(self, messages: Sequence[Outgoing], drained: asyncio.Future[None] | None) -> Sequence[Confirm]:
        """Hand messages to the connection: the server counts them, and so what it has not seen must not be counted."""
        channel = self._channel
        frames = [frame for message in messages for frame in self._frames(message)]
        first = channel.delivery_tag + 1
        channel.delivery_tag += len(messages)
        confirms = {tag: channel.create_future() for tag in range(first, channel.delivery_tag + 1)}
        channel.confirmations.update(confirms)
        try:
            await channel.write_queue.put(ChannelFrame.marshall(channel.number, frames, drained))
        except BaseException:
            channel.delivery_tag = first - 1
            for tag, confirm in confirms.items():
                del channel.confirmations[tag]
                confirm.cancel()
            raise
        return list(confirms.values())

    def _frames(self, message: Outgoing) -> Iterator[Any]:
        # Not mandatory: where nobody has subscribed there is nobody to lose it.
        yield spec.Basic.Publish(exchange=self._exchange, routing_key=message.topic)
        properties = spec.Basic.Properties(
            content_type=CONTENT_TYPE,
            delivery_mode=DeliveryMode.PERSISTENT,
            message_id=str(message.id),
            message_type=message.topic,
        )
        yield ContentHeader(properties=properties, body_size=len(message.body))
        most = self._channel.max_content_size
        for begin in range(0, len(message.body), most):
            yield ContentBody(message.body[begin : begin + most])


def _writes(messages: Sequence[Outgoing]) -> Iterator[Sequence[Outgoing]]:
    """Part messages into what is handed over at once."""
    part: list[Outgoing] = []
    size = 0
    for message in messages:
        part.append(message)
        size += len(message.body)
        if size >= _WRITE:
            yield part
            part, size = [], 0
    if part:
        yield part
