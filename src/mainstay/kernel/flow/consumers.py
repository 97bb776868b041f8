"""What is known of the consumers of a service: whether they are paused, since when they are there, and their floors."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.records import ConsumerState
from mainstay.model.problem import SerializationConflict, UniqueConflict
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction

FRESH = 1.0  # seconds that what was read counts for
SKEW = timedelta(seconds=5)
"""How far the clocks of replicas may be apart: who emitted may have been behind who noted that a consumer is there."""


class Consumers:
    """The states of consumers, read anew every second. Who is not there yet is noted."""

    def __init__(self, ports: Ports, names: Collection[str]) -> None:
        self._ports = ports
        self._names = tuple(sorted(names))
        self._states: dict[str, ConsumerState] = {}
        self._due = 0.0

    def horizon(self, name: str) -> datetime:
        """Return the moment before whose messages a consumer need not have, or need not know of any more."""
        state = self._states[name]
        return max(state.created_at - SKEW, state.floor)

    def paused(self, name: str) -> bool:
        """Whether a consumer is paused."""
        return name in self._states and self._states[name].paused

    async def refresh(self, *, now: bool = False) -> bool:
        """Read anew what is known, where that is due or asked for. Returns whether it was."""
        at = self._ports.clock.monotonic()
        if self._states and at < self._due and not now:
            return False
        if not self._names:
            return False
        self._states = await self._read()
        missing = [name for name in self._names if name not in self._states]
        if missing:
            await self._add(missing)
            self._states = await self._read()
        self._due = at + FRESH
        return True

    async def floors(self, transaction: Transaction) -> dict[str, datetime]:
        """Return, as a transaction sees them, the moments before which it is not known what a consumer has done."""
        return {row.name: row.floor for row in await transaction.rows(ConsumerState).fetch(Query())}

    async def _read(self) -> dict[str, ConsumerState]:
        transaction = self._ports.store.begin(write=False, single=True, latest=True)
        try:
            return {row.name: row for row in await transaction.rows(ConsumerState).fetch(Query())}
        finally:
            await transaction.rollback()

    async def _add(self, names: Collection[str]) -> None:
        now, next_id = self._ports.clock.now(), self._ports.ids.next
        transaction = self._ports.store.begin(write=True)
        try:
            rows = [ConsumerState(id=next_id(), version=1, created_at=now, updated_at=now, name=n) for n in names]
            transaction.rows(ConsumerState).insert(rows)
            await transaction.commit()
        except (UniqueConflict, SerializationConflict):
            await transaction.rollback()  # another replica has added them
        except BaseException:
            await transaction.rollback()
            raise
