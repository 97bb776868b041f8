"""What is heard from Redis: messages of channels, over one connection that comes back by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from redis.asyncio.client import PubSub

from mainstay.adapters.redis.connection import FAILURES
from mainstay.adapters.redis.link import REST, RedisLink

PATIENCE = 5.0
"""Seconds of silence after which it is found out whether the connection still stands, and for which that may take."""


class RedisHearing:
    """Hears the channel ``first``, and others as they are added.

    ``heard`` is given the name and the bytes of each message. ``turned`` is told True once all channels are heard, and
    False when that ends: what was said between is lost. The link's part is away while it does not hear.
    """

    def __init__(
        self, link: RedisLink, first: str, heard: Callable[[str, bytes], None], turned: Callable[[bool], None]
    ) -> None:
        self._link = link
        self._heard = heard
        self._turned = turned
        self._channels: dict[str, asyncio.Event] = {first: asyncio.Event()}
        self._client = link.connect(2, health_check_interval=PATIENCE)
        self._pubsub: PubSub | None = None  # once it has a connection: two that ask before that get one each
        self._trying = False

    async def add(self, channel: str) -> None:
        """Hear one more channel: from now on where Redis is there, else once it is."""
        confirmed = self._channels.setdefault(channel, asyncio.Event())
        if self._pubsub is not None:
            with suppress(*FAILURES):  # the connection is lost: it is found out below
                await self._pubsub.subscribe(channel)
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE if self._trying else REST):
                await confirmed.wait()

    async def remove(self, channel: str) -> None:
        """Hear a channel no more."""
        self._channels.pop(channel, None)
        if self._pubsub is not None:
            with suppress(*FAILURES):
                await self._pubsub.unsubscribe(channel)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear until the block ends."""
        task = asyncio.create_task(self._run(), name=f"mainstay-redis-{self._link.part}")
        try:
            yield
        finally:
            while not task.done():  # the client may take a cancellation for its own
                task.cancel()
                await asyncio.wait({task}, timeout=REST)

    async def _run(self) -> None:
        while True:
            try:
                await self._connected()
            except FAILURES as error:
                self._link.lost(error)
            await asyncio.sleep(REST / 2)

    async def _connected(self) -> None:
        """Hear until the connection is lost."""
        self._trying, pubsub = True, self._client.pubsub()
        try:
            await self._subscribed(pubsub)
            self._pubsub = pubsub
            standing = False
            while True:
                message = await pubsub.get_message(timeout=PATIENCE)
                if message is None:
                    continue
                name = message["channel"].decode()
                if message["type"] == "message":
                    self._heard(name, message["data"])
                elif message["type"] == "subscribe" and name in self._channels:
                    self._channels[name].set()
                if not standing and all(confirmed.is_set() for confirmed in self._channels.values()):
                    standing = True
                    self._turned(True)
        finally:
            self._pubsub, self._trying = None, False
            for confirmed in self._channels.values():
                confirmed.clear()
            self._turned(False)
            with suppress(*FAILURES):
                await pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py gives it no types

    async def _subscribed(self, pubsub: PubSub) -> None:
        """Ask for all channels; some may come and go meanwhile."""
        asked = set[str]()
        while asked != self._channels.keys():
            wanted = set(self._channels)
            if wanted - asked:
                await pubsub.subscribe(*wanted - asked)
            if asked - wanted:
                await pubsub.unsubscribe(*asked - wanted)
            asked = wanted
