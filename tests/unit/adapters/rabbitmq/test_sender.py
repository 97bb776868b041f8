"""What is counted as sent is what the connection has been given: the server counts the same."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

import pytest
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel

from mainstay.adapters.rabbitmq import sender as module
from mainstay.adapters.rabbitmq.sender import Confirm, Sender
from mainstay.testing.conformance.broker import numbered, outgoing


class Frames:
    """A channel whose connection takes so many writes."""

    number = 1
    max_content_size = 1000

    def __init__(self, room: int = 100) -> None:
        self.lock = asyncio.Lock()
        self.delivery_tag = 0
        self.confirmations: dict[int, Confirm] = {}
        self.write_queue: asyncio.Queue[ChannelFrame] = asyncio.Queue(room)

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.get_running_loop().create_future()


def sender(frames: Frames) -> Sender:
    return Sender(cast("Channel", frames), "events")


async def test_a_batch_is_one_write_with_a_confirm_for_each() -> None:
    frames = Frames()
    confirms: list[Confirm] = []
    await sender(frames).send(numbered(20), confirms)
    assert frames.write_queue.qsize() == 1
    assert frames.confirmations == dict(enumerate(confirms, start=1))
    assert (frames.delivery_tag, len(confirms)) == (20, 20)


async def test_what_is_large_waits_for_the_socket_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_WRITE", 5000)
    frames = Frames()

    async def take() -> None:
        for more in (True, True, False):
            write = await frames.write_queue.get()
            assert (write.drain_future is not None) == more
            await asyncio.sleep(0.01)
            assert frames.write_queue.empty()
            write.drain()

    async with asyncio.timeout(30):
        await asyncio.gather(sender(frames).send([outgoing(b"x" * 2500) for _ in range(5)], []), take())
    assert frames.delivery_tag == 5


async def test_what_the_connection_was_not_given_is_not_counted() -> None:
    frames = Frames(room=1)
    kept: list[Confirm] = []
    await sender(frames).send(numbered(3), kept)
    confirms: list[Confirm] = []
    with suppress(TimeoutError):
        async with asyncio.timeout(0.01):
            await sender(frames).send(numbered(3), confirms)
    assert (frames.delivery_tag, confirms) == (3, [])
    assert frames.confirmations == dict(enumerate(kept, start=1))
    frames.write_queue.get_nowait()
    await sender(frames).send(numbered(2), confirms)
    assert (frames.delivery_tag, len(confirms)) == (5, 2)
