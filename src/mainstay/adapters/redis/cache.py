"""A cache that all replicas share: a small one in each process, in front of one in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, TypeVar

import msgspec

from mainstay.adapters.redis import cache_scripts
from mainstay.adapters.redis.hearing import RedisHearing
from mainstay.adapters.redis.link import RedisAway, RedisLink
from mainstay.ports.cache import Cache
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids

T = TypeVar("T")

LOCK_SECONDS = 10.0
"""How long one process may make a value before others make it too."""

MAX_OWED = 10_000
"""Drops that are remembered while Redis is away; where there are more all values are dropped."""

_FIRST_LOOK, _LAST_LOOK = 0.005, 0.1  # seconds between looks for what another process makes
_PLAIN = frozenset({type(None), bool, int, float, str, bytes})


class _Kept(NamedTuple):
    """A value as the process keeps it: until when, and since which silence of Redis; 0: it is not kept."""

    value: Any
    until: float
    epoch: int


class RedisCache(Cache):
    """Values in Redis, and those used last in ``near``, the cache of this process.

    Values are JSON's, and bytes: None, bool, int of 64 bits, float, str, lists, and dicts with texts as keys; any other
    is a ``TypeError``, as it would come back as something else. At most ``size`` are kept in Redis, and there those go
    first that were not used for longest.

    One process makes a value for all that ask at once, for ``LOCK_SECONDS`` at most. What one drops, all others drop
    from their process when they hear of it, within a moment; who cannot hear keeps nothing in its process. While Redis
    is away there is no value: each process makes it for itself. What it drops meanwhile it drops in Redis before it
    asks that again; others may see such a value until then, or until its time is over.
    """

    def __init__(self, link: RedisLink, near: Cache, clock: Clock, ids: Ids, *, size: int = 100_000) -> None:
        if size < 1:
            raise ValueError(f"cache: size is {size}, expected at least 1")
        self._link = link
        self._near = near
        self._clock = clock
        self._ids = ids
        self._size = size
        self._own = ids.token()
        self._channel = f"{link.base}dropped"
        self._hearing = RedisHearing(link, self._channel, self._heard, self._turned)
        self._hears = False
        self._epoch = 1
        self._dropped = 0  # how much was dropped since the start, here or elsewhere
        self._counts = {"hits_near": 0, "hits_redis": 0, "misses": 0, "without_redis": 0}
        self._errands: set[asyncio.Future[Any]] = set()
        self._owed: dict[tuple[str, str], None] | None = {}  # what Redis was not told was dropped; None: everything
        script = link.client.register_script
        self._get, self._lock = script(cache_scripts.GET), script(cache_scripts.GET_OR_LOCK)
        self._keep_made, self._set = script(cache_scripts.KEEP_MADE), script(cache_scripts.SET)
        self._drop, self._drop_tag = script(cache_scripts.DROP), script(cache_scripts.DROP_TAG)
        self._unlock, self._empty = script(cache_scripts.UNLOCK), script(cache_scripts.EMPTY)

    async def get(self, key: str) -> Any | None:
        kept = await self._kept_near(key)
        if kept is not None:
            return kept.value
        dropped = self._dropped
        try:
            await self._settle()
            answer = await self._link.run(self._get, self._keys(key)[:2], [self._link.base, key])
        except RedisAway:
            self._counts["without_redis"] += 1
            return None
        if answer is None:
            self._counts["misses"] += 1
            return None
        self._counts["hits_redis"] += 1
        kept = self._found(answer)
        if dropped == self._dropped and self._hears:  # else it may be what was dropped on its way
            tags = tuple(tag.decode() for tag in answer[2:])
            await self._near.set(key, kept, ttl=kept.until - self._clock.monotonic(), tags=tags)
        return kept.value

    async def set(self, key: str, value: Any, *, ttl: float, tags: tuple[str, ...] = ()) -> None:
        if ttl <= 0:
            await self.drop(key)
            return
        data = _encoded(value)
        self._dropped += 1
        await self._near.drop(key)
        arguments = [self._link.base, key, self._ids.token(), _milliseconds(ttl), self._size, data]
        arguments += [self._channel, self._message("key", key), *tags]
        if not await self._told(self._set, self._keys(key), arguments):
            self._owe("key", key)
        elif self._hears:
            kept = _Kept(value, self._clock.monotonic() + ttl, self._epoch)
            await self._near.set(key, kept, ttl=ttl, tags=tags)

    async def get_or_make(
        self, key: str, make: Callable[[], Awaitable[T]], *, ttl: float, tags: tuple[str, ...] = ()
    ) -> T:
        """Return the value, made by ``make`` where there is none, once for all concurrent callers in all processes.

        What the making raises is raised to those of this process who wait for it; others make it themselves.
        """
        kept = await self._kept_near(key)
        if kept is None:
            kept = await self._near.get_or_make(key, lambda: self._shared(key, make, ttl, tags), ttl=ttl, tags=tags)
        value: T = kept.value
        return value

    async def drop(self, key: str) -> None:
        self._dropped += 1
        await self._near.drop(key)
        if not await self._told(self._drop, *self._dropping("key", key)):
            self._owe("key", key)

    async def drop_tag(self, tag: str) -> None:
        self._dropped += 1
        await self._near.drop_tag(tag)
        if not await self._told(self._drop_tag, *self._dropping("tag", tag)):
            self._owe("tag", tag)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Hear of what others drop until the block ends, and let the connections go then."""
        async with self._hearing.running():
            try:
                yield
            finally:
                if self._errands:
                    await asyncio.wait(self._errands)
        await self._link.close()

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""
        return {**self._counts, **self._link.statistics()}

    async def _kept_near(self, key: str) -> _Kept | None:
        kept: _Kept | None = await self._near.get(key)
        if kept is None:
            return None
        if self._hears and kept.epoch == self._epoch and kept.until > self._clock.monotonic():
            self._counts["hits_near"] += 1
            return kept
        await self._near.drop(key)
        return None

    async def _shared(self, key: str, make: Callable[[], Awaitable[Any]], ttl: float, tags: Sequence[str]) -> _Kept:
        """Return the value out of Redis, or make it for all; it is put into Redis then."""
        token = self._ids.token()
        epoch = self._epoch if self._hears else 0
        try:
            await self._settle()
            answer = await self._awaited(key, token, ttl, tags)
            if answer[0] == 1:
                self._counts["hits_redis"] += 1
                kept = self._found(answer[1:])
                return kept if {tag.decode() for tag in answer[3:]} == {*tags} else kept._replace(until=0.0)
            self._counts["misses"] += 1
            value = await make()
            data = _encoded(value)
        except RedisAway:
            self._counts["without_redis"] += 1
            return _Kept(await make(), 0.0, 0)
        except BaseException:
            self._errand(self._told(self._unlock, self._keys(key)[2:], [token]))  # others may make it
            raise
        if ttl <= 0:
            await self._told(self._unlock, self._keys(key)[2:], [token])
            return _Kept(value, 0.0, 0)
        marks = [part for tag, mark in zip(tags, answer[1:], strict=True) for part in (tag, mark)]
        arguments = [self._link.base, key, token, _milliseconds(ttl), self._size, data, *marks]
        stored = await self._told(self._keep_made, self._keys(key), arguments)
        return _Kept(value, self._clock.monotonic() + ttl if stored else 0.0, epoch)

    async def _awaited(self, key: str, token: str, ttl: float, tags: Sequence[str]) -> Any:
        """Return what ``GET_OR_LOCK`` says once no other process is making the value. Raises ``RedisAway``."""
        marks = _milliseconds(max(ttl, 0) + LOCK_SECONDS)
        arguments = [self._link.base, key, token, _milliseconds(LOCK_SECONDS), marks, *tags]
        pause = _FIRST_LOOK
        while True:
            answer = await self._link.run(self._lock, self._keys(key), arguments)
            if answer[0] != 0:
                return answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_LOOK)

    async def _settle(self) -> None:
        """Tell Redis what was dropped while it was away, before it is asked for anything. Raises ``RedisAway``."""
        while self._owed is None:
            if not await self._link.run(self._empty, [f"{self._link.base}index"], [self._link.base]):
                self._owed = {}
        for kind, name in tuple(self._owed or ()):
            await self._link.run(self._drop if kind == "key" else self._drop_tag, *self._dropping(kind, name))
            if self._owed is not None:
                self._owed.pop((kind, name), None)

    def _owe(self, kind: str, name: str) -> None:
        if self._owed is not None:
            self._owed[kind, name] = None
            if len(self._owed) > MAX_OWED:
                self._owed = None

    def _dropping(self, kind: str, name: str) -> tuple[list[str], list[Any]]:
        """Return the keys and the arguments of the script that drops a key, or a tag."""
        message = self._message(kind, name)
        if kind == "key":
            return self._keys(name), [name, self._channel, message]
        return [f"{self._link.base}t:{name}"], [self._channel, message]

    def _errand(self, work: Coroutine[Any, Any, Any]) -> None:
        """Have something done that nobody waits for."""
        task = asyncio.ensure_future(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def _told(self, script: Any, keys: Sequence[str], arguments: Sequence[Any]) -> bool:
        """Run a script, and say whether it has done what it is for: not while Redis is away."""
        try:
            return bool(await self._link.run(script, keys, arguments))
        except RedisAway:
            self._counts["without_redis"] += 1
            return False

    def _keys(self, key: str) -> list[str]:
        base = self._link.base
        return [f"{base}v:{key}", f"{base}index", f"{base}l:{key}"]

    def _found(self, answer: Sequence[Any]) -> _Kept:
        until = self._clock.monotonic() + max(0, answer[1]) / 1000
        return _Kept(msgspec.msgpack.decode(answer[0]), until, self._epoch if self._hears else 0)

    def _message(self, kind: str, name: str) -> bytes:
        return msgspec.json.encode([self._own, kind, name])

    def _heard(self, channel: str, data: bytes) -> None:  # noqa: ARG002 - there is but one
        own, kind, name = msgspec.json.decode(data)
        if own == self._own:
            return
        self._dropped += 1
        self._errand(self._near.drop(name) if kind == "key" else self._near.drop_tag(name))

    def _turned(self, hears: bool) -> None:
        """Take note that it is heard, or no more, what others drop: what was kept before does not count."""
        self._hears = hears
        self._epoch += 1


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _encoded(value: Any) -> bytes:
    """Return a value as MessagePack. Raises ``TypeError`` for one that would not come back as it was."""
    _check(value, "")
    try:
        return msgspec.msgpack.encode(value)
    except OverflowError:
        raise TypeError("a value of the cache has an int of more than 64 bits") from None


def _check(value: Any, place: str) -> None:
    kind = type(value)
    if kind in _PLAIN:
        return
    if kind is list:
        for index, item in enumerate(value):
            _check(item, f"{place}/{index}")
    elif kind is dict and all(type(key) is str for key in value):
        for key, item in value.items():
            _check(item, f"{place}/{key}")
    else:
        raise TypeError(
            f"a value of the cache{f' has at {place}' if place else ' is'} a {kind.__name__}, which Redis cannot keep: "
            "give it None, bool, int, float, str, bytes, lists and dicts with texts as keys, as "
            "msgspec.to_builtins(value) makes them"
        )
