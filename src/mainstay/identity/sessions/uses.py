"""When sessions and API keys were last used, to the minute: noted in memory, and written together now and then."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial
from uuid import UUID

from mainstay.identity.sessions.credentials import Found
from mainstay.identity.sessions.entities import ApiKey, Session
from mainstay.identity.sessions.records import record
from mainstay.kernel.records import Records, rows_of
from mainstay.model.conditions import Among
from mainstay.ports.clock import Clock
from mainstay.ports.rows import Change
from mainstay.ports.unit_of_work import UnitOfWork

COARSE = timedelta(seconds=60)
MAX_NOTED = 10_000
"""How many are held at most: what is over is noted at its next use."""

_PORTION = 200


class Uses:
    """Notes uses, and writes them. What a process has noted is lost with it: a minute, at most."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._noted: dict[type[Session] | type[ApiKey], dict[UUID, datetime]] = {Session: {}, ApiKey: {}}

    def note(self, found: Found) -> None:
        """Note that a credential is used now, unless the row says so already."""
        now = self._clock.now()
        noted = self._noted[found.entity]
        if (found.used_at is None or now - found.used_at >= COARSE / 2) and len(noted) < MAX_NOTED:
            noted[found.row] = now

    async def write(self, records: Records) -> None:
        """Write what was noted. Where that fails it is noted no more: the next use is."""
        for entity, noted in self._noted.items():
            ids, latest = list(noted), max(noted.values(), default=self._clock.now())
            noted.clear()
            for at in range(0, len(ids), _PORTION):
                await records.change(partial(_write, entity, tuple(ids[at : at + _PORTION]), latest))


async def _write(
    entity: type[Session] | type[ApiKey], ids: tuple[UUID, ...], moment: datetime, unit: UnitOfWork
) -> None:
    """Set one moment for all: they were used within the minute before it.

    That a key was used stands in the record of what concerns security too, once for each hour in which it was.
    """
    if entity is ApiKey:
        hour = moment.replace(minute=0, second=0, microsecond=0)
        async for key in rows_of(unit, ApiKey).stream(Among("id", ids)):
            if key.used_at is None or key.used_at < hour:
                await record(unit, "api_key.used", key.account_id, key=str(key.id))
    changes = {"used_at": moment, "updated_at": moment}
    await unit.transaction().rows(entity).apply(Change(where=Among("id", ids), changes=changes))
