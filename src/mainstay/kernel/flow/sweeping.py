"""Sweeps: what waits behind the many messages of one key is looked for beyond them, so that no key is in others' way.

Of a key only so many messages are in memory at once. While those of few keys fill the front of a queue, all that is
behind them is gone through now and then, without payloads, for messages of other keys. Nothing is written for that.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from mainstay.kernel.flow.places import inbox_spans
from mainstay.kernel.flow.queues import BATCH, ConsumerQueue
from mainstay.kernel.flow.records import InboxMessage, State
from mainstay.model.conditions import Among, Compare
from mainstay.model.inputs import Sort
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction

PAUSE = 1.0
"""Seconds between the beginnings of sweeps."""

STRETCH = 512
"""Messages that one look goes on by."""

ROOM = 32
"""Messages that a sweep may bring into memory beyond a consumer's batch: keys with many may have filled that."""

_BESIDE = ("payload", "principal")
_BY_PLACE = (Sort("place"), Sort("id"))


class _At(NamedTuple):
    """A message in a queue: many may have one place."""

    place: int
    id: UUID


_START = _At(0, UUID(int=0))


class Sweep:
    """How far the queue of one consumer has been gone through."""

    def __init__(self, queue: ConsumerQueue) -> None:
        self._queue = queue
        self._at: _At | None = None  # where it goes on, while it is under way
        self._passed: set[str] = set()  # lanes of which something was passed over: what is behind that waits too
        self._due = 0.0

    @property
    def room(self) -> int:
        """How many messages it may bring into memory."""
        return max(0, BATCH + ROOM - len(self._queue))

    @property
    def under_way(self) -> bool:
        """Whether it has begun, and can go on at once."""
        return self._at is not None and self._is_wanted

    @property
    def _is_wanted(self) -> bool:
        return self._queue.crowded and self.room > 0

    def is_due(self, now: float) -> bool:
        """Whether it goes on, or may begin, at a moment (monotonic)."""
        return self._is_wanted and (self._at is not None or now >= self._due)

    async def stretch(self, transaction: Transaction, held: Collection[int], now: float) -> list[InboxMessage]:
        """Look through one stretch, and return the messages that may be added to the queue."""
        if self._at is None:
            self._at, self._passed, self._due = _START, set(), now + PAUSE
        found = await self._read(transaction, held, self._at)
        self._passed.update(self._queue.lanes())  # before one of these can be judged, what it waits for may have ended
        picked = self._queue.fitting(found, self._passed)
        self._at = _next(found, picked[self.room :])
        rows = transaction.rows(InboxMessage)
        ids = tuple(row.id for row in picked[: self.room])
        whole = await rows.fetch(Query(where=Among("id", ids))) if ids else ()
        return [row for row in whole if row.place is not None and row.state is State.PENDING]

    async def _read(self, transaction: Transaction, held: Collection[int], at: _At) -> list[InboxMessage]:
        rows, found = transaction.rows(InboxMessage), list[InboxMessage]()
        for span in inbox_spans(self._queue.name, held):
            within = Compare("place", "ge", max(at.place, span.first)) & Compare("place", "lt", span.end)
            where = within & Compare("consumer", "eq", self._queue.name)
            where = where & (Compare("place", "gt", at.place) | Compare("id", "ge", at.id))
            limit = STRETCH - len(found)
            if at.place < span.end and limit:
                found += await rows.fetch(Query(where=where, sort=_BY_PLACE, limit=limit, unread=_BESIDE))
        return found


def _next(found: Sequence[InboxMessage], left: Sequence[InboxMessage]) -> _At | None:
    """Return where a sweep goes on: at what there was no room for, or else at the last message that it has seen."""
    if len(found) < STRETCH and not left:
        return None
    row = left[0] if left else found[-1]
    return _At(row.place or 0, row.id)
