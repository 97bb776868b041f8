"""Signals to all replicas, by Redis' publish and subscribe."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from mainstay.adapters.redis.hearing import RedisHearing
from mainstay.adapters.redis.link import RedisAway, RedisLink
from mainstay.ports.signals import Listeners, Listening, Signals, checked_topic, encoded


def _whatever(hears: bool) -> None:
    """Take no note of whether there is a connection."""


class RedisSignals(Signals):
    """Told to those who listen in any process. What is told while Redis is away is lost, and counted."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._channel = f"{link.base}topic:"
        self._listeners = Listeners()
        self._hearing = RedisHearing(link, f"{link.base}all", self._heard, _whatever)
        self._published = 0
        self._unsent = 0

    async def publish(self, topic: str, value: Any) -> None:
        channel, data = self._channel + checked_topic(topic), encoded(value)
        try:
            await self._link.ask(lambda: self._link.client.publish(channel, data))
            self._published += 1
        except RedisAway:
            self._unsent += 1

    @asynccontextmanager
    async def subscribe(self, topic: str) -> AsyncIterator[Listening]:
        channel = self._channel + checked_topic(topic)
        listening, _ = self._listeners.add(topic)
        try:
            await self._hearing.add(channel)
            yield listening
        finally:
            if self._listeners.remove(topic, listening):
                await self._hearing.remove(channel)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear until the block ends, and let the connections go then."""
        async with self._hearing.running():
            yield
        await self._link.close()

    def _heard(self, channel: str, data: bytes) -> None:
        self._listeners.tell(channel.removeprefix(self._channel), data)

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""
        counts = {"published": self._published, "unsent": self._unsent, "told": self._listeners.told}
        return {**counts, "lost_by_slow_listeners": self._listeners.lost, **self._link.statistics()}
