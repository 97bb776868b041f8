"""The connections of one process to one PostgreSQL database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import blake2b
from time import monotonic
from typing import Any

import asyncpg

from mainstay.adapters.sql.outages import DatabaseAway, ServerUnfit
from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.postgres.claims import AdvisoryLocks, TransactionClaims
from mainstay.adapters.sql.postgres.errors import Columns
from mainstay.adapters.sql.postgres.hosts import Hosts
from mainstay.adapters.sql.postgres.link import Link, begin, connect
from mainstay.adapters.sql.postgres.options import Options
from mainstay.adapters.sql.postgres.standby import Standby
from mainstay.adapters.sql.postgres.wire import Wire
from mainstay.adapters.sql.replica import Replica
from mainstay.adapters.sql.server_engine import STOP_SECONDS, ServerEngine
from mainstay.adapters.sql.session_claims import HeldClaims
from mainstay.model.operation import Isolation

OLDEST = 130000
"""The oldest server that is known to work, as it numbers itself."""


_STANDBY = ("database.url names a standby, which takes no changes", "name the primary")


class PostgresEngine(ServerEngine[Link]):
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    def __init__(self, options: Options, clock: Callable[[], float] = monotonic) -> None:
        self.options = options
        self.columns: Columns = Columns()
        self.statements_commit = not options.pooler
        self.begin_query = begin(options, None)
        self._begins: dict[Isolation, str] = {}
        self._primary = Hosts(options.url, options.current)
        self._direct = Hosts(options.direct_url or options.url, options.current)
        self._replica = Hosts(options.replica_url or options.url, options.current)
        super().__init__(options, AdvisoryLocks(options.schema or ""), clock)

    def _make(self) -> None:
        super()._make()
        self.holders: Pool[Link] = self._pool(self._open_writer)  # of claims, behind a pooler
        self.wire: Wire | None = self._wire()

    def _claims(self) -> HeldClaims:
        if self.options.pooler and self.options.direct_url is None:
            return TransactionClaims(lambda: self.holders, self.begin_command(), self.options.schema or "")
        return super()._claims()

    def _wire(self) -> Wire | None:
        """Return what wakes other processes; None where every session is the pooler's: they look by themselves."""
        if self.options.pooler and self.options.direct_url is None:
            return None
        space = blake2b((self.options.schema or "").encode(), digest_size=8).hexdigest()  # a channel's name is short
        return Wire(self._open_session, f"mainstay_{space}")

    def begin_command(self, isolation: Isolation = "serializable") -> str:
        """Return what begins the transaction of a command."""
        found = self._begins.get(isolation)
        if found is None:
            found = self._begins[isolation] = begin(self.options, isolation)
        return found

    async def _open_writer(self) -> Link:
        return await connect(self.options, self.columns, self._primary, write=True, primary=True)

    async def _open_session(self) -> Link:
        direct = replace(self.options, pooler=False)
        return await connect(direct, self.columns, self._direct, write=True, primary=True)

    async def _open_reader(self) -> Link:
        return await connect(self.options, self.columns, self._primary, write=False, primary=True)

    async def _open_replica(self) -> Link:
        return await connect(self.options, self.columns, self._replica, write=False, primary=False)

    def _replica_of(self, pool: Pool[Link], primary: Pool[Link], seconds: float) -> Replica[Link]:
        flushed = self.options.synchronous != "off"
        return Standby(pool, primary, seconds, self._clock, flushed=flushed)

    async def start(self) -> None:
        try:
            await super().start()
        except DatabaseAway as error:
            if isinstance(error.__cause__, asyncpg.TargetServerAttributeNotMatched):
                raise ServerUnfit(*_STANDBY) from error
            raise

    async def _look(self) -> None:
        rows = await self._ask(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery()"
        )
        version, encoding, standby = rows[0]
        if version < OLDEST:
            raise ServerUnfit(f"the server is PostgreSQL {version // 10000}", f"use {OLDEST // 10000} or newer")
        if encoding != "UTF8":
            raise ServerUnfit(f"the database is encoded in {encoding}", "create it with ENCODING 'UTF8'")
        if standby:
            raise ServerUnfit(*_STANDBY)
        await self.learn()

    async def learn(self) -> None:
        """Read which columns the constraints are of."""
        self.columns.learn(await self._ask(Columns.QUERY))

    async def _ask(self, query: str) -> list[Any]:
        link = await self.writers.take()
        try:
            await link.execute(self.begin_command())
            rows = await link.fetch(query, ())
            await link.execute("ROLLBACK")
        finally:
            self.writers.give(link)
        return rows

    async def stop(self) -> None:
        if self.wire is not None:
            await self.wire.stop()
        await super().stop()
        await self.holders.stop(STOP_SECONDS)

    def statistics(self) -> Mapping[str, float]:
        lost = 0 if self.wire is None else self.wire.lost
        return {**super().statistics(), "wire_connections_lost": lost}
