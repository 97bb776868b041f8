"""Upkeep: what is past its time is taken away and what waits is counted, by who holds the first partition.

Messages that are done are kept, so that none is done again, for a time and up to a number. What is taken away lies
behind the floor of its consumer, which was raised a round before: whatever comes from behind it is a dead letter.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.consumers import SKEW
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.inbox import stepped
from mainstay.kernel.flow.places import microseconds
from mainstay.kernel.flow.records import (
    ConsumerState,
    IdempotencyRecord,
    InboxMessage,
    KeySequence,
    OutboxMessage,
    State,
)
from mainstay.kernel.flow.shares import RACES, Shares
from mainstay.model.conditions import TRUE, Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.structs import EPOCH, Entity
from mainstay.ports.rows import Aggregate, Change, Query

CLEAN_SECONDS = 60.0
COUNT_SECONDS = 15.0
PORTION = 500  # rows that are taken away at once
LEAST_AGE = timedelta(hours=1)
"""So long messages are kept that are done, however many there are."""

_BESIDE = ("payload", "principal")
_MANY_SKEWS = 12 * SKEW


class Keeping(msgspec.Struct, frozen=True):
    """How long messages are kept that are done: so long, and not more than so many of all consumers."""

    age: timedelta = timedelta(days=7)
    rows: int = 1_000_000


def fresh_for(keeping: Keeping) -> timedelta:
    """Return for how long after its emission it is certain that nothing of a message is forgotten; zero: never.

    It is half of what is kept at least, so that as much is left for who relies on it and is slow, and for clocks.
    """
    least = min(keeping.age, LEAST_AGE)
    return least / 2 if least >= _MANY_SKEWS else timedelta()


class Upkeep:
    """Keeps the tables of events small."""

    def __init__(self, ports: Ports, shares: Shares, counters: FlowCounters, keeping: Keeping) -> None:
        self._ports = ports
        self._shares = shares
        self._counters = counters
        self._keeping = keeping
        self._cleaned = self._counted = ports.clock.monotonic()

    async def step(self) -> bool:
        """Count and clean where that is due."""
        if not self._shares.holds(0):
            return False
        now = self._ports.clock.monotonic()
        if now - self._counted >= COUNT_SECONDS:
            self._counted = now
            await self.count()
        if now - self._cleaned >= CLEAN_SECONDS:
            self._cleaned = now
            await self.clean()
        return False

    async def count(self) -> None:
        """Count what waits, for metrics."""
        now = self._ports.clock.now()
        waiting = Aggregate(measures=(("count", None), ("min", "created_at")), where=Compare("place", "ge", 0))
        by_consumer = Aggregate(
            measures=(("count", None), ("min", "emitted_at")),
            by=("consumer",),
            where=~Compare("place", "eq", None) | ~Compare("due_at", "eq", None),
        )
        transaction = self._ports.store.begin(write=False)
        try:
            ((self._counters.outbox, oldest),) = await transaction.rows(OutboxMessage).aggregate(waiting)
            found = await transaction.rows(InboxMessage).aggregate(by_consumer)
        finally:
            await transaction.rollback()
        self._counters.outbox_lag = _seconds(now, oldest)
        for counters in self._counters.consumers.values():
            counters.pending, counters.lag = 0, 0.0
        for consumer, pending, emitted in found:
            counters = self._counters.of(consumer)
            counters.pending, counters.lag = pending, _seconds(now, emitted)

    async def clean(self) -> None:
        """Take away what is past its time, then raise the floors behind which messages are taken away the next time."""
        now = self._ports.clock.now()
        oldest_kept = now - self._keeping.age
        await self._purge(IdempotencyRecord, Compare("expires_at", "le", now))
        await self._purge(KeySequence, Compare("last", "lt", microseconds(oldest_kept)))
        await self._purge(InboxMessage, _ended("", oldest_kept))  # marks of before there were states
        for state in await self._states():
            await self._purge(InboxMessage, _ended(state.name, state.floor))
        floor = max(oldest_kept, await self._floor_by_number(now))
        for state in await self._states():
            if state.floor < floor:
                await self._write(ConsumerState, stepped(state, {"floor": floor}, self._ports))

    async def _states(self) -> list[ConsumerState]:
        transaction = self._ports.store.begin(write=False, single=True, latest=True)
        try:
            return await transaction.rows(ConsumerState).fetch(Query())
        finally:
            await transaction.rollback()

    async def _floor_by_number(self, now: datetime) -> datetime:
        """Return the floor that leaves as many messages as may be kept, taking it that they came evenly.

        Where they did not, the next rounds come nearer. What came of late is kept whatever its number is.
        """
        transaction = self._ports.store.begin(write=False)
        try:
            rows = transaction.rows(InboxMessage)
            count = await rows.count(TRUE)
            excess = count - self._keeping.rows
            oldest = await rows.fetch(Query(sort=(Sort("id"),), limit=1, unread=_BESIDE)) if excess > 0 else []
        finally:
            await transaction.rollback()
        if not oldest:
            return EPOCH
        first: datetime = oldest[0].created_at
        return min(first + (now - first) * (excess / count), now - LEAST_AGE)

    async def _purge(self, entity: type[Entity], where: Condition) -> None:
        """Delete rows in portions, so that nobody waits for long."""
        most = self._ports.store.capabilities.max_writes
        portion = PORTION if most is None else max(1, min(PORTION, most // 8))
        while True:
            transaction = self._ports.store.begin(write=False, single=True, latest=True)
            try:
                query = Query(where=where, limit=portion, unread=_BESIDE if entity is InboxMessage else ())
                ids = tuple(row.id for row in await transaction.rows(entity).fetch(query))
            finally:
                await transaction.rollback()
            if not ids:
                return
            if not await self._write(entity, Change(where=Among("id", ids) & where, changes=None)):
                return
            if len(ids) < portion:
                return

    async def _write(self, entity: type[Entity], change: Change) -> bool:
        """Carry a change out. Returns False where another was quicker: what it is about is done in a later round."""
        transaction = self._ports.store.begin(write=True)
        try:
            transaction.rows(entity).enqueue(change)
            await transaction.commit()
        except RACES:
            await transaction.rollback()
            return False
        except BaseException:
            await transaction.rollback()
            raise
        return True


def _ended(consumer: str, floor: datetime) -> Condition:
    """Return what is true of a consumer's messages that have ended, came before a moment and were emitted before it.

    Ids have the order of their making, which is how the rows are found; but no time is read from them.
    """
    before = UUID(int=max(0, microseconds(floor) // 1000) << 80)
    return (
        Compare("id", "lt", before)
        & Compare("created_at", "lt", floor)
        & Compare("emitted_at", "lt", floor)
        & Compare("consumer", "eq", consumer)
        & Among("state", (State.DONE, State.DROPPED))
    )


def _seconds(now: datetime, then: Any) -> float:
    return 0.0 if then is None else max(0.0, (now - then).total_seconds())
