"""Shares of the sending: which process sends to which endpoints now, by leases that end by themselves.

A lease is a row with its holder and the end of its term. It is taken and renewed by a condition on what it says at that
moment, so that of two processes one has it. Who cannot renew in time stops by its own clock, and another takes over.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from zlib import crc32

from mainstay.kernel.records import Records, rows_of
from mainstay.model.conditions import Compare, Condition
from mainstay.model.problem import UniqueConflict
from mainstay.ports.rows import Change
from mainstay.ports.unit_of_work import UnitOfWork
from mainstay.webhooks.entities import SHARES, WebhookShare

TERM = timedelta(seconds=10)
RENEW = timedelta(seconds=3)
LOOK = timedelta(seconds=2)
"""How long after a look at which no share was free the next one is."""


class Shares:
    """The shares of one process, which ``holder`` names."""

    def __init__(self, records: Records, holder: str) -> None:
        self._records = records
        self._holder = holder
        first = crc32(holder.encode())  # so that those which look at once look at different ones
        self._order = [(first + number) % SHARES for number in range(SHARES)]
        self._held: set[int] = set()
        self._until: datetime | None = None
        self._look_at: datetime | None = None

    def held(self) -> Collection[int]:
        """Return the shares that this process has now: none from the end of its term on."""
        until = self._until
        return self._held if until is not None and self._records.frame.clock.now() < until else ()

    async def keep(self) -> None:
        """Renew what is held where that is due, and take one share that nobody has.

        One at a time, so that processes which start together share alike.
        """
        now = self._records.frame.clock.now()
        if self._held and (self._until is None or now >= self._until - TERM + RENEW):
            await self._renew(now)
        if len(self._held) < SHARES and (self._look_at is None or now >= self._look_at):
            await self._take(now)

    async def _renew(self, now: datetime) -> None:
        mine = Compare("holder", "eq", self._holder) & Compare("until", "gt", now)

        async def renew(unit: UnitOfWork) -> set[int]:
            rows = unit.transaction().rows(WebhookShare)
            await rows.apply(Change(where=mine, changes={"until": now + TERM}))
            return {row.number async for row in rows_of(unit, WebhookShare).stream(mine)}

        self._held = await self._records.change(renew)
        self._until = now + TERM

    async def _take(self, now: datetime) -> None:
        known = {row.number: row.until for row in await self._records.all(WebhookShare)}
        for number in self._order:
            if number not in known:
                taken = await self._made(number, now)
            elif known[number] <= now:
                taken = await self._changed(Compare("number", "eq", number) & Compare("until", "le", now), now + TERM)
            else:
                continue
            if taken:
                self._held.add(number)
                self._until = now + TERM if self._until is None or self._until <= now else self._until
                return
        self._look_at = now + LOOK

    async def _made(self, number: int, now: datetime) -> bool:
        async def make(unit: UnitOfWork) -> None:
            share = WebhookShare(number=number, holder=self._holder, until=now + TERM)
            await rows_of(unit, WebhookShare).add(share)

        try:
            await self._records.change(make)
        except UniqueConflict:
            return False
        return True

    async def _changed(self, where: Condition, until: datetime) -> bool:
        async def change(unit: UnitOfWork) -> int:
            changes = {"holder": self._holder, "until": until}
            return await unit.transaction().rows(WebhookShare).apply(Change(where=where, changes=changes))

        return bool(await self._records.change(change))

    async def release(self) -> None:
        """Give everything back, so that another process need not wait for the end of the term."""
        held, self._held = self._held, set()
        if held:
            await self._changed(Compare("holder", "eq", self._holder), self._records.frame.clock.now())
