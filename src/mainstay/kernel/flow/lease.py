"""A lease: at most one replica does a piece of work, and another takes over when it dies or falls silent.

A holder that lives holds a claim of its own name too. Claims end with their process, so that who finds that one free
knows that the holder is dead, and need not wait for the end of its term. One that is stuck loses the lease by its term.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.records import RelayLease
from mainstay.model.conditions import Compare
from mainstay.model.problem import NotFound, SerializationConflict, StaleVersion, UniqueConflict
from mainstay.ports.rows import Change, Query, Rows

TERM = timedelta(seconds=10)
RENEW = timedelta(seconds=3)


class Lease:
    """A row that names its holder and the end of its term; taken and renewed by compare and set on its version."""

    def __init__(self, ports: Ports, name: str, holder: str) -> None:
        self._ports = ports
        self._name = name
        self._holder = holder
        self._held_until: datetime | None = None
        self._looked: datetime | None = None

    async def hold(self) -> bool:
        """Take or renew the lease where that is due. Returns whether it is held."""
        now = self._ports.clock.now()
        if self._held_until is not None and now < self._held_until - TERM + RENEW:
            return True
        if self._held_until is None and self._looked is not None and now < self._looked + RENEW:
            return False
        self._looked = now
        await self._ports.store.claims.take(
            self._mark(self._holder)
        )  # anew: who looked for us may have had it just then
        other = await self._take(now)
        if other is not None and await self._died(other):
            other = await self._take(now, dead=other)
        self._held_until = now + TERM if other is None else None
        return other is None

    def _mark(self, holder: str) -> bytes:
        return f"lease:{self._name}:{holder}".encode()

    async def _died(self, holder: str) -> bool:
        """Whether a holder's claim is free. It is let go again: a live one must be able to take it."""
        claims = self._ports.store.claims
        if not holder or not await claims.take(self._mark(holder)):
            return False
        await claims.drop(self._mark(holder))
        return True

    async def _take(self, now: datetime, dead: str | None = None) -> str | None:
        """Take or renew. Returns who holds the lease instead, or None where it is ours."""
        transaction = self._ports.store.begin(write=True)
        try:
            rows = transaction.rows(RelayLease)
            found = await rows.fetch(Query(where=Compare("name", "eq", self._name), limit=1))
            other = found[0].holder if found else self._holder
            if other in (self._holder, dead) or found[0].until <= now:
                self._write(rows, found[0] if found else None, now)
                await transaction.commit()
                return None
            await transaction.rollback()
        except (UniqueConflict, StaleVersion, NotFound, SerializationConflict):
            await transaction.rollback()
            return ""  # whoever was quicker
        except BaseException:
            await transaction.rollback()
            raise
        return other

    def _write(self, rows: Rows[RelayLease], row: RelayLease | None, now: datetime) -> None:
        if row is None:
            rows.insert(
                [
                    RelayLease(
                        id=self._ports.ids.next(),
                        version=1,
                        created_at=now,
                        updated_at=now,
                        name=self._name,
                        holder=self._holder,
                        until=now + TERM,
                    )
                ]
            )
            return
        changes = {"holder": self._holder, "until": now + TERM, "version": row.version + 1, "updated_at": now}
        where = Compare("id", "eq", row.id)
        rows.enqueue(Change(where=where, changes=changes, id=row.id, version=row.version, expected=1))

    async def release(self) -> None:
        """Give the lease back, so that another need not wait for the end of its term."""
        held, self._held_until = self._held_until, None
        try:
            if held is not None:
                await self._give_back()
        finally:
            await self._ports.store.claims.drop(self._mark(self._holder))

    async def _give_back(self) -> None:
        transaction = self._ports.store.begin(write=True)
        mine = Compare("name", "eq", self._name) & Compare("holder", "eq", self._holder)
        try:
            await transaction.rows(RelayLease).apply(Change(where=mine, changes=None))
            await transaction.commit()
        except BaseException:
            await transaction.rollback()
            raise
