"""Signals: what is told to whoever listens at the moment, and may be lost.

For what is out of date a moment later: that somebody types, a figure on a screen, "look anew". What must not be lost is
an event: it is committed with what it tells of, and delivered (``ports/events.py``).
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

MAX_BYTES = 64 << 10
"""Of a value, as JSON."""

MAX_WAITING = 256
"""Signals that wait for one listener; where there are more, the oldest is lost."""

_TOPIC = re.compile(r"[\x21-\x7e]{1,200}")
_encode = msgspec.json.Encoder(decimal_format="string").encode
_decode = msgspec.json.Decoder().decode


class Listening(AsyncIterator[Any]):
    """What one listener hears: each value as JSON has it. ``lost`` counts those that it was too slow for."""

    def __init__(self) -> None:
        self.lost: int = 0
        self._waiting: deque[bytes] = deque()
        self._arrived = asyncio.Event()

    def put(self, data: bytes) -> bool:
        """Take a value; return whether it is at the cost of an older one."""
        full = len(self._waiting) == MAX_WAITING
        if full:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(data)
        self._arrived.set()
        return full

    async def __anext__(self) -> Any:
        """Return the next value; wait for it. It ends with its block, and not by itself."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return _decode(self._waiting.popleft())


class Signals(ABC):
    """Told at once, to those who listen now, at most once each, in no order across publishers.

    A signal of a command is told whether it is committed or not, and again where it is run again: a command that asks
    for ``Signals`` is declared ``external=True``. One that shall follow a commit is published by a consumer of an
    event.
    """

    @abstractmethod
    async def publish(self, topic: str, value: Any) -> None:
        """Tell all who listen to ``topic``: any value that can be JSON, of 64 KiB at most.

        It returns when the signal is on its way, and does not raise where it is lost. Raises ``TypeError`` and
        ``ValueError`` for a value or a topic that cannot be told.
        """

    @abstractmethod
    def subscribe(self, topic: str) -> AbstractAsyncContextManager[Listening]:
        """Listen to a topic until the block ends: ``async with signals.subscribe("prices") as heard``.

        Within the block what is published is heard, from its beginning on. Raises ``ValueError`` for a topic that is
        none.
        """


def checked_topic(topic: str) -> str:
    """Return a topic. Raises ``ValueError`` for what is none."""
    if not _TOPIC.fullmatch(topic):
        raise ValueError("the topic of a signal is 1 to 200 visible ASCII characters")
    return topic


def encoded(value: Any) -> bytes:
    """Return a value as JSON. Raises ``TypeError`` where it cannot be that, ``ValueError`` where it is too large."""
    data = _encode(value)
    if len(data) > MAX_BYTES:
        raise ValueError(f"a signal has {len(data)} bytes as JSON, at most {MAX_BYTES} are told: tell an id")
    return data


class Listeners:
    """Those of one process who listen, by topic, for the adapters of the port."""

    def __init__(self) -> None:
        self._by_topic: dict[str, list[Listening]] = {}
        self.told: int = 0
        self.lost: int = 0

    def add(self, topic: str) -> tuple[Listening, bool]:
        """Return a new listener, and whether it is the first of its topic."""
        there = self._by_topic.setdefault(topic, [])
        there.append(Listening())
        return there[-1], len(there) == 1

    def remove(self, topic: str, listening: Listening) -> bool:
        """Take a listener away; return whether it was the last of its topic."""
        there = self._by_topic[topic]
        there.remove(listening)
        if not there:
            del self._by_topic[topic]
        return not there

    def tell(self, topic: str, data: bytes) -> None:
        """Give a value to all who listen to a topic."""
        for listening in self._by_topic.get(topic, ()):
            self.told += 1
            self.lost += listening.put(data)
