"""A member of a consumer group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import KafkaException

from mainstay.adapters.kafka.ledger import Ledgers, Place
from mainstay.adapters.kafka.names import Names
from mainstay.adapters.kafka.reader import Reader
from mainstay.adapters.kafka.thread import ClientThread, away, heard
from mainstay.ports.broker import BrokerAway, Incoming, Subscription

_SLICE = 0.2  # seconds: how long a wait for messages keeps the thread from anything else
_RECORD = 0.1
"""Seconds from an acknowledgement until it is put on record, with all that come meanwhile."""

_FAREWELL = 10.0
_CAUSE_CHARACTERS = 8000

Keep = Callable[[str, bytes, Mapping[str, str]], Awaitable[None]]
"""Keeps a body with headers in a topic."""


class KafkaSubscription(Subscription):
    """Partitions come and go while it takes: those that went take with them what was not acknowledged.

    What is acknowledged is noted, and put on record beside: no message waits for it. What was noted and is not on
    record when a process is killed comes again. Before a partition goes, and at the end, all is put on record.
    """

    def __init__(
        self,
        base: Mapping[str, Any],
        names: Names,
        group: str,
        topics: frozenset[str],
        *,
        patience: float,
        keep: Keep,
    ) -> None:
        self._names = names
        self._group = group
        self._keep = keep
        self._ledgers = Ledgers()
        self._make = partial(Reader, base, names.of(group), sorted(map(names.of, topics)), patience, self._ledgers)
        self._reader: Reader | None = None
        self._thread = ClientThread(group)
        self._fetching: asyncio.Future[list[tuple[Place, bytes]]] | None = None
        self._fetched: deque[Incoming] = deque()
        self._recording: asyncio.TimerHandle | None = None
        self._closed = False

    async def join(self) -> None:
        """Become a member. Raises ``BrokerAway``."""
        await self._thread.call(self._joined)
        self._record_soon()

    def _joined(self) -> None:
        if self._reader is None:
            reader = self._make()
            try:
                reader.join()
            except BaseException:
                reader.close()
                raise
            self._reader = reader

    def _fetch(self, limit: int, wait: float) -> list[tuple[Place, bytes]]:
        self._joined()
        assert self._reader is not None
        try:
            return self._reader.fetch(limit, wait)
        finally:
            if self._reader.broken:
                self._reader.close()
                self._reader = None

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        """Wait in slices. A fetch that the caller no longer waits for goes on, and is what the next call gets."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait
        while not self._fetched:
            left = max(0.0, deadline - loop.time())
            if self._fetching is None:
                self._fetching = self._thread.begin(partial(self._fetch, limit, min(left, _SLICE)))
            await asyncio.wait({self._fetching})
            fetching, self._fetching = self._fetching, None
            try:
                places = fetching.result()
            except KafkaException as error:
                raise away(error) from error
            self._fetched.extend(self._incoming(place, body) for place, body in places)
            self._record_soon()  # partitions that have come begin somewhere
            if left == 0.0:
                break
        return [self._fetched.popleft() for _ in range(min(limit, len(self._fetched)))]

    def _incoming(self, place: Place, body: bytes) -> Incoming:
        return Incoming(topic=self._names.topic(place.topic), body=body, handle=place)

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        held = self._ledgers.acknowledge([one.handle for one in taken])
        self._record_soon()
        if not held:
            raise BrokerAway("partitions of these messages have gone to another member")

    def _record_soon(self) -> None:
        """See that what is due is put on record, again and again until it is."""
        if self._recording is None and not self._closed and self._ledgers.due:
            self._recording = asyncio.get_running_loop().call_later(_RECORD, self._record)

    def _record(self) -> None:
        self._thread.begin(self._recorded).add_done_callback(self._was_recorded)

    def _recorded(self) -> None:
        if self._reader is not None:
            self._reader.record()

    def _was_recorded(self, recording: asyncio.Future[None]) -> None:
        heard(recording)
        self._recording = None
        self._record_soon()

    async def refuse(self, taken: Incoming, cause: str) -> None:
        place: Place = taken.handle
        headers = {
            "cause": cause[:_CAUSE_CHARACTERS],
            "topic": taken.topic,
            "group": self._group,
            "partition": str(place.partition),
            "offset": str(place.offset),
        }
        await self._keep(self._names.refused(self._group), taken.body, headers)
        await self.acknowledge((taken,))

    async def close(self) -> None:
        self._closed = True
        if self._recording is not None:
            self._recording.cancel()
        fetching, self._fetching = self._fetching, None
        await self._thread.close(self._leave, _FAREWELL)
        if fetching is not None:
            fetching.add_done_callback(heard)  # what it has read comes again, to another

    def _leave(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()
