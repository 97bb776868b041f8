"""The producer: a thread sends what the outbox has."""

import asyncio
from collections.abc import Sequence

from actors import pack
from door import Door, Message, nothing


def send_all(messages: Sequence[Message]) -> None:
    for id, payload in messages:
        pack.broker.enqueue(pack.message(payload).copy(message_id=str(id)))


async def send(messages: Sequence[Message]) -> None:
    await asyncio.to_thread(send_all, messages)


application = Door(send, nothing).application
