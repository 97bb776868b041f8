"""A cache in the memory of this process: the least recently used goes first when it is full."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, TypeVar

from cachebox import LRUCache

from mainstay.ports.cache import Cache
from mainstay.ports.clock import Clock

T = TypeVar("T")


class _Entry(NamedTuple):
    value: Any
    expires: float  # monotonic
    tags: tuple[tuple[str, int], ...]  # each with its generation when the making began


class _Flight:
    """One making that several callers wait for."""

    __slots__ = ("tags", "task", "waiting")

    def __init__(self, tags: tuple[tuple[str, int], ...]) -> None:
        self.tags = tags
        self.waiting = 0
        self.task: asyncio.Task[Any] | None = None


class MemoryCache(Cache):
    """At most ``size`` values. They are shared with every caller, as they are: none may be changed in place.

    A tag is dropped by counting its generation up, so that nothing has to be searched for; the counters are bounded
    too, by emptying the cache when there are more than ``size`` of them.
    """

    def __init__(self, clock: Clock, *, size: int = 10_000) -> None:
        if size < 1:
            raise ValueError(f"MemoryCache: size is {size}, expected at least 1")
        self._clock = clock
        self._size = size
        self._entries: LRUCache[str, _Entry] = LRUCache(size)
        self._generations: dict[str, int] = {}
        self._epoch = 0
        self._flights: dict[str, _Flight] = {}

    async def get(self, key: str) -> Any | None:
        entry = self._fresh(key)
        return None if entry is None else entry.value

    async def set(self, key: str, value: Any, *, ttl: float, tags: tuple[str, ...] = ()) -> None:
        self._flights.pop(key, None)
        self._keep(key, value, ttl, self._stamped(tags))

    async def get_or_make(
        self, key: str, make: Callable[[], Awaitable[T]], *, ttl: float, tags: tuple[str, ...] = ()
    ) -> T:
        """Return the value, made by ``make`` where there is none; concurrent callers of one key share one making.

        What the making raises is raised to all who wait for it, and forgotten. It goes on as long as anyone waits. A
        value that was dropped while it was made is given to those who waited and is not kept.
        """
        entry = self._fresh(key)
        if entry is not None:
            return entry.value  # type: ignore[no-any-return]  # callers of a key know what it keeps
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = _Flight(self._stamped(tags))
            flight.task = asyncio.ensure_future(self._make(flight, key, make, ttl))
        task: asyncio.Task[T] | None = flight.task
        assert task is not None
        flight.waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not task.done():
                task.cancel()
                self._land(key, flight)

    async def drop(self, key: str) -> None:
        self._flights.pop(key, None)
        self._entries.pop(key, None)

    async def drop_tag(self, tag: str) -> None:
        self._generations[tag] = self._generations.get(tag, self._epoch) + 1
        if len(self._generations) > self._size:
            self._epoch = max(self._generations.values()) + 1
            self._generations.clear()
            self._entries.clear()
            self._flights.clear()

    async def _make(self, flight: _Flight, key: str, make: Callable[[], Awaitable[T]], ttl: float) -> T:
        try:
            value = await make()
            if self._flights.get(key) is flight:
                self._keep(key, value, ttl, flight.tags)
            return value
        finally:
            self._land(key, flight)

    def _land(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]

    def _fresh(self, key: str) -> _Entry | None:
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.expires > self._clock.monotonic() and (not entry.tags or entry.tags == self._restamped(entry.tags)):
            return entry
        self._entries.pop(key, None)
        return None

    def _keep(self, key: str, value: Any, ttl: float, tags: tuple[tuple[str, int], ...]) -> None:
        if ttl <= 0:
            self._entries.pop(key, None)
        else:
            self._entries[key] = _Entry(value, self._clock.monotonic() + ttl, tags)

    def _stamped(self, tags: tuple[str, ...]) -> tuple[tuple[str, int], ...]:
        return tuple((tag, self._generations.get(tag, self._epoch)) for tag in tags)

    def _restamped(self, tags: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
        return tuple((tag, self._generations.get(tag, self._epoch)) for tag, _ in tags)
