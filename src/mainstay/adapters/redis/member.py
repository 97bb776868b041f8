"""A member of a group on Redis Streams."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from redis.exceptions import ResponseError

from mainstay.adapters.redis.connection import FAILURES, answers_of, away, code_of
from mainstay.adapters.redis.scripts import DROP, LEAVE
from mainstay.ports.broker import Incoming, Subscription

if TYPE_CHECKING:
    from mainstay.adapters.redis.broker import RedisBroker

LOOK_SECONDS = 2.0
"""Between looks at what others have left, which is also the longest that a read waits."""

TIDY_SECONDS = 30.0
MAX_DEAD = 10_000
_HEIR = "left"  # who has what members left that are gone
_LEFT_MS = 1_000_000_000
_ALIVE_MS = 60_000
_LATE_LOOKS = 2  # after a failure: an answer may be given to a connection that is gone already


class RedisMember(Subscription):
    """Reads the streams of its topics under a name of its own.

    One read runs at a time, beside whoever waits for it: what it brings is kept where nobody waits any more.
    """

    def __init__(self, broker: RedisBroker, group: str, topics: Collection[str]) -> None:
        self._broker = broker
        self._client = broker.client
        self._group = group
        self._topics = {broker.streams.of(topic): topic for topic in topics}
        self._name = uuid4().hex
        self._ready: deque[Incoming] = deque()
        self._held: set[tuple[str, bytes]] = set()
        self._running: asyncio.Task[None] | None = None
        self._cursors: dict[str, bytes] = {}
        self._look_at = broker.clock.monotonic()
        self._tidy_at = broker.clock.monotonic()
        self._late_looks = 0

    async def join(self, start: str = "$") -> None:
        """Have a place in the stream of each topic, from ``start`` on where there is none yet."""
        pipeline = self._client.pipeline(transaction=False)
        for stream, topic in self._topics.items():
            pipeline.sadd(self._broker.streams.topics(self._group), topic)
            pipeline.xgroup_create(stream, self._group, start, mkstream=True)
            pipeline.xgroup_createconsumer(stream, self._group, self._name)
        try:
            answers = await pipeline.execute(raise_on_error=False)
        except FAILURES as error:
            raise away(error) from error
        for answer in answers:
            if isinstance(answer, Exception) and code_of(answer) != "BUSYGROUP":
                raise away(answer) from answer

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        clock = self._broker.clock
        deadline = clock.monotonic() + wait
        if not self._topics:
            await clock.sleep(wait)
        while self._topics and not self._ready:
            left = max(deadline - clock.monotonic(), 0.001)
            if self._running is None:
                self._running = asyncio.ensure_future(self._read(limit, left))
            running = self._running
            await asyncio.wait((running,), timeout=left)
            if running.done():
                self._running = None
                running.result()
            if clock.monotonic() >= deadline:
                break
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    async def _read(self, limit: int, wait: float) -> None:
        try:
            await self._keep_house()
            await self._look(limit)
            if not self._ready:
                milliseconds = max(1, int(min(wait, LOOK_SECONDS) * 1000))
                streams: Any = dict.fromkeys(self._topics, ">")
                found: Any = await self._client.xreadgroup(
                    self._group, self._name, streams, count=limit, block=milliseconds
                )
                self._keep(found)
        except ResponseError as error:
            if code_of(error) != "NOGROUP":
                raise away(error) from error
            await self.join("0")  # it lost its data, or the group: what is there may not have been handed out
        except FAILURES as error:
            self._late_looks = _LATE_LOOKS
            self._look_at = self._broker.clock.monotonic()
            raise away(error) from error

    def _keep(self, found: Iterable[tuple[bytes, Any]], times: int = 1, *, own: bool = False) -> None:
        """Keep entries to be taken, in the order of their ids; ``own`` ones only where they are not held already."""
        entries = [
            (_order(id), stream.decode(), id, fields[b"body"])
            for stream, some in found
            for id, fields in some
            if id is not None and fields  # not one that was deleted by hand
        ]
        for _, stream, id, body in sorted(entries, key=lambda entry: entry[0]):
            handle = (stream, id)
            if not (own and handle in self._held):
                self._held.add(handle)
                self._ready.append(Incoming(topic=self._topics[stream], body=body, times=times, handle=handle))

    async def _look(self, limit: int) -> None:
        """Take what other members have left, and what a lost answer was to bring."""
        now = self._broker.clock.monotonic()
        if now < self._look_at:
            return
        idle = int(self._broker.idle_seconds * 1000)
        pipeline = self._client.pipeline(transaction=False)
        for stream in self._topics:
            start: Any = self._cursors.get(stream, b"0-0")
            pipeline.xautoclaim(stream, self._group, self._name, idle, start, count=limit)
        if self._late_looks:
            pipeline.xreadgroup(self._group, self._name, dict.fromkeys(self._topics, "0"))
        answers = await answers_of(pipeline)
        self._look_at = now + LOOK_SECONDS
        if self._late_looks:
            self._late_looks -= 1
            self._keep(((stream, entries) for stream, entries in answers.pop()), times=2, own=True)
        for stream, (cursor, entries, *_) in zip(self._topics, answers, strict=True):
            self._cursors[stream] = cursor
            self._keep([(stream.encode(), entries)], times=2)

    async def _keep_house(self) -> None:
        """Trim the streams, and have no place any more in those of topics that no member of the group asks for."""
        now = self._broker.clock.monotonic()
        if now < self._tidy_at:
            return
        self._tidy_at = now + TIDY_SECONDS
        streams = self._broker.streams
        known: Any = await self._client.smembers(streams.topics(self._group))
        for topic in {name.decode() for name in known} - set(self._topics.values()):
            answer: Any = self._client.eval(DROP, 1, streams.of(topic), self._group, _HEIR, str(_ALIVE_MS))
            if await answer:
                await self._client.srem(streams.topics(self._group), topic)
        await self._broker.tidy(self._topics.values())

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        if not taken:
            return
        ids: dict[str, list[bytes]] = {}
        for one in taken:
            stream, id = one.handle
            ids.setdefault(stream, []).append(id)
            self._held.discard(one.handle)
        pipeline = self._client.pipeline(transaction=False)
        for stream, some in ids.items():
            pipeline.xack(stream, self._group, *some)
        try:
            await answers_of(pipeline)
        except FAILURES as error:
            raise away(error) from error

    async def refuse(self, taken: Incoming, cause: str) -> None:
        stream, id = taken.handle
        self._held.discard(taken.handle)
        fields: Any = {"topic": taken.topic, "id": id, "cause": cause, "body": taken.body}
        pipeline = self._client.pipeline(transaction=True)
        pipeline.xadd(self._broker.streams.dead(self._group), fields, maxlen=MAX_DEAD)
        pipeline.xack(stream, self._group, id)
        try:
            await answers_of(pipeline)
        except FAILURES as error:
            raise away(error) from error

    async def close(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))
            if not running.cancelled():
                running.exception()  # it was told to nobody: the member leaves
        self._ready.clear()
        pipeline = self._client.pipeline(transaction=False)
        for stream in self._topics:
            pipeline.eval(LEAVE, 1, stream, self._group, self._name, _HEIR, str(_LEFT_MS))
        try:
            await answers_of(pipeline)
        except FAILURES:
            return  # the server is away: others take what was left once it has been idle


def _order(id: bytes) -> tuple[int, int]:
    time, _, number = id.partition(b"-")
    return int(time), int(number)
