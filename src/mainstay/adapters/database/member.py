"""A member of a group on a database."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from mainstay.adapters.database.records import FREE, BrokerDelivery, BrokerPlace, place_name
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.problem import Problem, UniqueConflict
from mainstay.ports.broker import BrokerAway, Incoming, Subscription
from mainstay.ports.rows import Change, Query
from mainstay.ports.store import Transaction

if TYPE_CHECKING:
    from mainstay.adapters.database.broker import DatabaseBroker

SEEN = timedelta(seconds=10)
"""Between marks of a member that it is there."""

ALIVE = timedelta(seconds=60)
"""After which a group that nobody has marked has no member for that topic."""

PURGE = timedelta(hours=1)
MAX_CAUSE = 500


class DatabaseMember(Subscription):
    """Holds rows of its group for a time, by a change that is true only of rows that nobody holds."""

    def __init__(self, broker: DatabaseBroker, group: str, topics: Collection[str]) -> None:
        self._broker = broker
        self._group = group
        self._topics = tuple(topics)
        self._name = uuid4().hex
        self._held: set[UUID] = set()
        self._doubt = False
        self._wake = asyncio.Event()
        self._seen_at = FREE
        self._purge_at = broker.clock.now() + PURGE

    def wake(self) -> None:
        """Have it look for messages now."""
        self._wake.set()

    @property
    def _mine(self) -> Condition:
        return Compare("audience", "eq", self._group) & Compare("holder", "eq", self._name)

    async def join(self) -> None:
        """Have a place at each topic. Raises ``BrokerAway``."""
        for topic in self._topics:
            try:
                await self._broker.commit(partial(self._join, topic=topic))
            except BrokerAway as error:
                if not isinstance(error.__cause__, UniqueConflict):  # another member was quicker
                    raise
        await self._mark(self._broker.clock.now())

    async def _join(self, transaction: Transaction, topic: str) -> None:
        rows = transaction.rows(BrokerPlace)
        name = place_name(self._group, topic)
        if await rows.count(Compare("name", "eq", name)):
            return
        now = self._broker.clock.now()
        place = BrokerPlace(
            id=self._broker.ids.next(),
            version=1,
            created_at=now,
            updated_at=now,
            name=name,
            audience=self._group,
            topic=topic,
            seen_at=now,
        )
        rows.insert([place])

    async def _mark(self, now: datetime) -> None:
        """Say that this group has a member for its topics, and give up the places for which it has none."""
        group = Compare("audience", "eq", self._group)

        async def work(transaction: Transaction) -> int:
            rows = transaction.rows(BrokerPlace)
            there = group & Among("topic", self._topics)
            marked = await rows.apply(Change(where=there, changes={"seen_at": now, "updated_at": now}))
            left = group & ~Among("topic", self._topics) & Compare("seen_at", "lt", now - ALIVE)
            for place in await rows.fetch(Query(where=left)):
                one = group & Compare("topic", "eq", place.topic) & Compare("cause", "eq", None)
                await transaction.rows(BrokerDelivery).apply(Change(where=one, changes=None))
                await rows.apply(Change(where=Compare("id", "eq", place.id), changes=None))
            return marked

        marked = await self._broker.commit(work)
        self._seen_at = now
        if marked < len(self._topics):
            await self.join()  # the retention took its place away while it was stopped

    async def take(self, limit: int, wait: float) -> Sequence[Incoming]:
        clock = self._broker.clock
        deadline = clock.monotonic() + wait
        await self._keep_house()
        while True:
            self._wake.clear()
            taken = await self._claim(limit)
            left = deadline - clock.monotonic()
            if taken or left <= 0:
                return taken
            with suppress(TimeoutError):
                async with asyncio.timeout(min(left, self._broker.poll_seconds)):
                    await self._wake.wait()

    async def _keep_house(self) -> None:
        broker = self._broker
        broker.check()
        now = broker.clock.now()
        if self._doubt:
            lost = self._mine & ~Among("id", tuple(self._held))
            await broker.commit(lambda transaction: _free(transaction, lost))
            self._doubt = False
        if now >= self._seen_at + SEEN:
            await self._mark(now)
        if now >= self._purge_at:
            self._purge_at = now + PURGE
            await broker.purge()

    async def _claim(self, limit: int) -> list[Incoming]:
        free = (
            Compare("audience", "eq", self._group)
            & Among("topic", self._topics)
            & Compare("cause", "eq", None)
            & Compare("held_until", "le", self._broker.clock.now())
        )
        ids = await self._free(free, limit)
        if not ids:
            return []
        self._doubt = True  # until it is known what became of the change: nobody may have heard of it
        rows = await self._broker.commit(lambda transaction: self._hold(transaction, free & Among("id", ids)))
        self._held.update(row.id for row in rows)
        self._doubt = False
        return [Incoming(topic=row.topic, body=row.body, times=row.version - 1, handle=row.id) for row in rows]

    async def _free(self, where: Condition, limit: int) -> tuple[UUID, ...]:
        """Return the first rows of which a condition is true."""
        query = Query(where=where, sort=(Sort("id"),), limit=limit, unread=("body",))
        try:
            reading = self._broker.store.begin(write=False, single=True, latest=True)
            try:
                return tuple(row.id for row in await reading.rows(BrokerDelivery).fetch(query))
            finally:
                await reading.rollback()
        except Problem as error:
            raise BrokerAway(f"the database that is the broker cannot be read: {error.code}") from error

    async def _hold(self, transaction: Transaction, where: Condition) -> list[BrokerDelivery]:
        now = self._broker.clock.now()
        until = now + self._broker.hold
        changes: dict[str, Any] = {"holder": self._name, "held_until": until, "updated_at": now}
        rows = transaction.rows(BrokerDelivery)
        if not await rows.apply(Change(where=where, changes=changes)):
            return []
        mine = self._mine & Compare("held_until", "eq", until)
        found: list[BrokerDelivery] = await rows.fetch(Query(where=mine, sort=(Sort("id"),)))
        return found

    async def acknowledge(self, taken: Sequence[Incoming]) -> None:
        if taken:
            ids = tuple(one.handle for one in taken)
            self._held.difference_update(ids)
            gone = Change(where=Among("id", ids), changes=None)
            await self._broker.commit(lambda transaction: transaction.rows(BrokerDelivery).apply(gone))

    async def refuse(self, taken: Incoming, cause: str) -> None:
        self._held.discard(taken.handle)
        now = self._broker.clock.now()
        change = Change(
            where=Compare("id", "eq", taken.handle), changes={"cause": cause[:MAX_CAUSE], "updated_at": now}
        )
        await self._broker.commit(lambda transaction: transaction.rows(BrokerDelivery).apply(change))

    async def close(self) -> None:
        self._broker.members.discard(self)
        self._held.clear()
        with suppress(BrokerAway):  # another member has them once they were held for long enough
            self._broker.check()
            await self._broker.commit(lambda transaction: _free(transaction, self._mine))
            self._broker.wake()
            self._broker.store.ring()


async def _free(transaction: Transaction, where: Condition) -> None:
    """Give rows back that are held. What was refused has no holder any more."""
    changes: dict[str, Any] = {"holder": "", "held_until": FREE}
    await transaction.rows(BrokerDelivery).apply(Change(where=where, changes=changes))
