"""The producer: a thread sends what the outbox has, over one connection that is kept."""

import asyncio
from collections.abc import Sequence

from door import Door, Message, nothing
from tasks import app, pack


def send_all(messages: Sequence[Message]) -> None:
    with app.producer_or_acquire() as producer:
        for id, payload in messages:
            pack.apply_async((payload,), task_id=str(id), producer=producer)


async def send(messages: Sequence[Message]) -> None:
    await asyncio.to_thread(send_all, messages)


application = Door(send, nothing).application
