"""Shares: which partitions of events this replica works on, so that each is worked on by one replica at a time.

Every replica that works on events has a row that says so, and those that are there part the partitions evenly, in the
order of their names. A partition is a lease with a number, its fence, which rises with each new holder: whatever is
done for a partition looks at it in the same transaction, so that a holder that was passed over changes nothing more.

Who comes, gives something away or goes rings, so that the others need not wait for their next look.

A replica that lives holds a claim of its own name too. Claims end with their process, so that who finds that one free
knows that the replica is dead, and need not wait for the end of its leases. One that is stuck loses them by their term.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from mainstay.kernel.bound import Ports
from mainstay.kernel.flow.places import PARTITIONS
from mainstay.kernel.flow.records import Lease
from mainstay.model.conditions import Among, Compare
from mainstay.model.problem import NotFound, SerializationConflict, StaleVersion, UniqueConflict
from mainstay.ports.rows import Change, Query, Rows
from mainstay.ports.store import Transaction

TERM = timedelta(seconds=10)
RENEW = 3.0  # seconds
SOON = 0.2  # seconds until the next look after another was quicker, or while something still runs
WAITING = 1.0  # seconds until the next look for what another is to give, or while others ring

_GIVING = 5  # attempts to give everything back

RACES = (UniqueConflict, StaleVersion, NotFound, SerializationConflict)
"""What a compare and set ends with where another was quicker."""


class LeaseLost(Exception):
    """A partition has another holder now: what was begun for it is undone."""


class Shares:
    """The partitions that this replica holds. ``held`` gives the fence of each."""

    def __init__(self, ports: Ports, holder: str) -> None:
        self._ports = ports
        self._holder = holder
        self._member = f"member:{holder}"
        self._held: dict[int, int] = {}
        self._leaving: set[int] = set()
        self._lacking = True
        self._until = 0.0  # monotonic: what is held then may be another's
        self._due = 0.0
        self._looked = 0.0  # monotonic
        self._heard = False  # since then, that another rang
        self._turn = asyncio.Lock()
        self._lost: Callable[[], None] = _nobody
        self._busy: Callable[[int], bool] = lambda _partition: False

    def drained_by(self, busy: Callable[[int], bool]) -> None:
        """Have a partition that is to be given away kept while ``busy`` says that something still runs for it."""
        self._busy = busy

    def listen(self, lost: Callable[[], None]) -> None:
        """Be told when a partition was found to be another's."""
        self._lost = lost

    @property
    def held(self) -> Mapping[int, int]:
        """The partitions that may be worked on now, each with its fence."""
        if self._ports.clock.monotonic() >= self._until:
            return {}
        if not self._leaving:
            return self._held
        return {p: fence for p, fence in self._held.items() if p not in self._leaving}

    def holds(self, partition: int) -> bool:
        """Whether a partition may be worked on now."""
        return (
            partition in self._held and partition not in self._leaving and self._ports.clock.monotonic() < self._until
        )

    def due_in(self) -> float:
        """Return the seconds until a step finds something to do."""
        return max(0.0, self._next() - self._ports.clock.monotonic())

    def hear(self) -> bool:
        """Say that another rang. Returns whether that is news: then the next step may be due sooner."""
        heard, self._heard = self._heard, True
        return not heard

    def _next(self) -> float:
        return min(self._due, self._looked + WAITING) if self._heard else self._due

    async def check(self, transaction: Transaction, partitions: Iterable[int]) -> None:
        """See in a transaction that partitions are still held, and have them so until its end. Raises ``LeaseLost``.

        What is lost is not held from then on: who would try again at once is not sent against the fence again.
        """
        wanted = {p: self._held.get(p) for p in partitions}
        names = tuple(sorted(map(_name, wanted)))
        where = Compare("name", "eq", names[0]) if len(names) == 1 else Among("name", names)
        found = await transaction.rows(Lease).fetch(Query(where=where, lock=True))
        ours = {row.name: row.fence for row in found if row.holder == self._holder}
        lost = [p for p, fence in wanted.items() if fence is None or ours.get(_name(p)) != fence]
        if lost:
            self._held = {p: fence for p, fence in self._held.items() if p not in lost}
            self._due = 0.0
            self._lost()
            raise LeaseLost

    async def step(self) -> bool:
        """Renew, take and give away what is due. Returns whether other partitions are held than before."""
        async with self._turn:
            now = self._ports.clock.monotonic()
            if now < self._next():
                return False
            before = dict(self._held)
            self._looked, self._heard = now, False
            self._due = now + SOON  # should it fail
            # Anew: who looked for us may have had it just then.
            await self._ports.store.claims.take(_mark(self._holder))
            rows = await self._look()
            dead = await self._dead({row.holder for row in rows} - {"", self._holder})
            if await self._part({row.name: row for row in rows}, dead):
                self._due = now + self._patience()
            return self._held != before

    def _patience(self) -> float:
        """Return the seconds until the next look: soon where a partition is about to change hands."""
        return SOON if self._leaving else WAITING if self._lacking else RENEW

    async def _look(self) -> list[Lease]:
        transaction = self._ports.store.begin(write=False, single=True, latest=True)
        try:
            return await transaction.rows(Lease).fetch(Query())
        finally:
            await transaction.rollback()

    async def _dead(self, others: Collection[str]) -> frozenset[str]:
        """Return those of the other replicas whose process has ended."""
        return frozenset([holder for holder in sorted(others) if await self._died(holder)])

    async def _died(self, holder: str) -> bool:
        """Whether a holder's claim is free. It is let go again: a live one must be able to take it."""
        claims = self._ports.store.claims
        if not await claims.take(_mark(holder)):
            return False
        await claims.drop(_mark(holder))
        return True

    async def _part(self, found: Mapping[str, Lease], dead: frozenset[str]) -> bool:
        """Take part in the parting: write nothing but what is as it was found. Returns False where it is not."""
        clock = self._ports.clock
        now, began = clock.now(), clock.monotonic()
        share = self._share(found.values(), dead, now)
        kept = {p: f for p, f in self._held.items() if self._is_ours(found.get(_name(p)), f)}
        leaving = {p for p in kept if p not in share}
        given = {p for p in leaving if not self._busy(p)}
        free = [p for p in share if p not in kept and self._is_free(found.get(_name(p)), dead, now)]
        transaction = self._ports.store.begin(write=True)
        try:
            rows = transaction.rows(Lease)
            taken = {p: self._take(rows, _name(p), found.get(_name(p)), now) for p in free}
            held = [_name(p) for p in sorted(kept.keys() - given)]
            if self._member in found:
                held.append(self._member)
            else:
                self._take(rows, self._member, None, now)
            await self._set(rows, held, {"until": now + TERM})
            await self._set(rows, [_name(p) for p in sorted(given)], {"holder": "", "until": now})
            await self._forget(rows, found.values(), dead, now)
            await transaction.commit()
        except RACES:
            await transaction.rollback()
            return False
        except BaseException:
            await transaction.rollback()
            raise
        self._held = {**{p: f for p, f in kept.items() if p not in given}, **taken}
        self._leaving = leaving - given
        self._lacking = len(self._held) < len(share)
        self._until = began + TERM.total_seconds()
        if given or self._member not in found:
            self._ports.store.ring()
        return True

    def _share(self, rows: Iterable[Lease], dead: Collection[str], now: datetime) -> range:
        """Return the partitions that fall to this replica, of those replicas that are there."""
        members = {row.holder for row in rows if row.name.startswith("member:") and row.until > now}
        present = sorted((members - set(dead)) | {self._holder})
        rank, count = present.index(self._holder), len(present)
        return range(rank * PARTITIONS // count, (rank + 1) * PARTITIONS // count)

    def _is_ours(self, row: Lease | None, fence: int) -> bool:
        return row is not None and row.holder == self._holder and row.fence == fence

    def _is_free(self, row: Lease | None, dead: Collection[str], now: datetime) -> bool:
        return row is None or row.until <= now or row.holder in ("", self._holder, *dead)

    def _take(self, rows: Rows[Lease], name: str, row: Lease | None, now: datetime) -> int:
        """Queue what takes a lease, and return its fence."""
        until = now + TERM
        if row is None:
            made = Lease(
                id=self._ports.ids.next(),
                version=1,
                created_at=now,
                updated_at=now,
                name=name,
                holder=self._holder,
                until=until,
                fence=1,
            )
            rows.insert([made])
            return 1
        changes = {"holder": self._holder, "until": until, "updated_at": now, "fence": row.fence + 1}
        changes["version"] = row.version + 1
        where = Compare("id", "eq", row.id)
        rows.enqueue(Change(where=where, changes=changes, id=row.id, version=row.version, expected=1))
        return row.fence + 1

    async def _set(self, rows: Rows[Lease], names: Sequence[str], changes: dict[str, Any]) -> None:
        """Change leases of ours. Raises ``StaleVersion`` where one is another's now."""
        if not names:
            return
        mine = Compare("holder", "eq", self._holder) & Among("name", tuple(names))
        if await rows.apply(Change(where=mine, changes=changes)) != len(names):
            raise StaleVersion

    async def _forget(self, rows: Rows[Lease], found: Iterable[Lease], dead: Collection[str], now: datetime) -> None:
        """Take away the rows of replicas that are no more."""
        gone = tuple(
            row.id
            for row in found
            if not row.name.startswith("partition:")
            and row.holder != self._holder
            and (row.until + TERM <= now or row.holder in dead)
        )
        if gone:
            await rows.apply(Change(where=Among("id", gone), changes=None))

    async def release(self) -> None:
        """Give everything back, so that others need not wait for the end of its term."""
        async with self._turn:
            known, self._held, self._until, self._due = bool(self._until), {}, 0.0, 0.0
            try:
                for _ in range(_GIVING if known else 0):
                    if await self._give_back():
                        break
                    await self._ports.clock.sleep(SOON * self._ports.entropy.uniform())
            finally:
                await self._ports.store.claims.drop(_mark(self._holder))

    async def _give_back(self) -> bool:
        """Give everything back. Returns False where that met another: who finds our claim free does not wait."""
        now = self._ports.clock.now()
        transaction = self._ports.store.begin(write=True)
        try:
            rows = transaction.rows(Lease)
            await rows.apply(Change(where=Compare("name", "eq", self._member), changes=None))
            mine = Compare("holder", "eq", self._holder)
            await rows.apply(Change(where=mine, changes={"holder": "", "until": now}))
            await transaction.commit()
        except SerializationConflict:
            await transaction.rollback()
            return False
        except BaseException:
            await transaction.rollback()
            raise
        self._ports.store.ring()
        return True


def _nobody() -> None:
    """Tell nobody."""


def _name(partition: int) -> str:
    return f"partition:{partition}"


def _mark(holder: str) -> bytes:
    return f"lease:member:{holder}".encode()
