"""The hand: which messages of the outbox this process publishes now, or has published and is still to remove.

What is removed is in nobody's way: it goes beside the reads and the publications that come after it, and much of it in
one statement. Whoever dies before leaves it in the outbox, to be published again; the inbox knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from uuid import UUID

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.counters import FlowCounters
from mainstay.kernel.flow.records import OutboxMessage
from mainstay.model.conditions import Among
from mainstay.model.problem import SerializationConflict
from mainstay.ports.observer import Notice
from mainstay.ports.rows import Change
from mainstay.ports.store import Transaction

MOST_OWED = 1024
"""Messages that wait for their removal before no more are published."""

ENOUGH = 64  # of them, to be removed at once
GATHER = 0.02  # seconds in which fewer may become more


class Hand:
    """The ids of messages that are not to be published again, and the removal of those that were confirmed."""

    def __init__(self, ports: Ports, counters: FlowCounters) -> None:
        self._ports = ports
        self._counters = counters
        self._ids: set[UUID] = set()
        self._owed: dict[UUID, None] = {}  # confirmed: in the order in which they were
        self._size = removable(ports)
        self._is_due: Callable[[], None] = _nobody
        self._has_room: Callable[[], None] = _nobody

    def listen(self, is_due: Callable[[], None], has_room: Callable[[], None]) -> None:
        """Be told when there is something to remove, and when it is not too much any more."""
        self._is_due = is_due
        self._has_room = has_room

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def ids(self) -> Collection[UUID]:
        """The ids that are in hand now."""
        return self._ids

    @property
    def is_full(self) -> bool:
        """Whether so many are owed that no more are to be published."""
        return len(self._owed) >= MOST_OWED

    def take(self, ids: Collection[UUID]) -> None:
        """Have messages be left alone by others: they are about to be published."""
        self._ids.update(ids)

    def let_go(self, ids: Collection[UUID]) -> None:
        """Leave messages to whoever reads them next."""
        self._ids.difference_update(ids)

    def owe(self, ids: Collection[UUID]) -> None:
        """Have messages removed that the broker has confirmed. They are in hand until then."""
        if ids:
            self._owed.update(dict.fromkeys(ids))
            self._is_due()

    async def gathered(self) -> bool:
        """Remove what is owed, after a moment in which there may be more of it."""
        if 0 < len(self._owed) < ENOUGH:
            await self._ports.clock.sleep(GATHER)
        return await self.step()

    async def step(self) -> bool:
        """Remove what is owed. Returns whether there is more.

        It goes whoever holds its partition by now, so that no fence is looked at.
        """
        ids = list(self._owed)[: self._size]
        if not ids:
            return False
        try:
            await write(self._ports, removal(ids))
        except SerializationConflict:
            self._counters.conflicts += 1
            return True
        was_full = self.is_full
        for id in ids:
            del self._owed[id]
        self._ids.difference_update(ids)
        self._counters.relayed += len(ids)
        if was_full:
            self._has_room()
        return bool(self._owed)

    async def emptied(self, seconds: float) -> None:
        """Remove what is owed, in so many seconds at most. What stays is published again by whoever comes next."""
        try:
            async with asyncio.timeout(seconds):
                while await self.step():
                    pass
        except Exception as error:
            # Whatever it was (a full disk, a server that is gone), nothing is lost, and the worker is to end.
            text = f"{len(self._owed)} published events could not be removed from the outbox: they are published again"
            self._ports.observer.observe(Notice("warning", "removal_left", text, {"messages": len(self._owed)}, error))


def removable(ports: Ports) -> int:
    """Return how many messages are removed at once."""
    most = ports.store.capabilities.max_writes
    return MOST_OWED if most is None else max(1, min(MOST_OWED, most // 2))


def removal(ids: Sequence[UUID]) -> Change:
    """Return the change by which messages leave the outbox."""
    return Change(where=Among("id", tuple(sorted(ids))), changes=None)


async def write(ports: Ports, change: Change) -> None:
    """Change messages in a transaction of their own."""
    transaction: Transaction = ports.store.begin(write=True)
    try:
        transaction.rows(OutboxMessage).enqueue(change)  # it goes as one statement, where the store has such
        await transaction.commit()
    except BaseException:
        await transaction.rollback()
        raise


def _nobody() -> None:
    """Tell nobody."""
