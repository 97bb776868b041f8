"""The connections of one process to one PostgreSQL database, or to two: one for commands, another for queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from mainstay.adapters.sql.postgres.claims import AdvisoryClaims, TransactionClaims
from mainstay.adapters.sql.postgres.errors import Columns
from mainstay.adapters.sql.postgres.link import Link, begin, connect
from mainstay.adapters.sql.postgres.options import Options
from mainstay.adapters.sql.postgres.pool import Pool
from mainstay.adapters.sql.postgres.wire import Wire
from mainstay.model.operation import Isolation

OLDEST = 130000
"""The oldest server that is known to work, as it numbers itself."""

STOP_SECONDS = 5.0


class ServerUnfit(RuntimeError):
    """A server on which the promises of a store cannot be kept; the message says why and what to do."""


class PostgresEngine:
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self._begins: dict[Isolation, str] = {}
        self.columns: Columns = Columns()
        self.writers: Pool = self._pool(write=True)
        self.readers: Pool = self._pool(write=False)
        self.holders: Pool = self._pool(write=True)  # of claims, behind a pooler
        self.claims: AdvisoryClaims | TransactionClaims = self._claims()
        self.wire: Wire | None = None

    def _pool(self, *, write: bool) -> Pool:
        options = self.options
        return Pool(
            self._open_writer if write else self._open_reader,
            size=options.pool,
            queue_limit=options.queue_limit,
            wait_seconds=options.wait_seconds,
            check_seconds=options.check_seconds,
        )

    def _claims(self) -> AdvisoryClaims | TransactionClaims:
        if self.options.pooler and self.options.direct_url is None:
            return TransactionClaims(lambda: self.holders, self.begin_command())
        return AdvisoryClaims(self._open_session)

    def _wire(self) -> Wire | None:
        """Return what wakes other processes; None where every session is the pooler's: they look by themselves."""
        if self.options.pooler and self.options.direct_url is None:
            return None
        return Wire(self._open_session, f"mainstay:{self.options.schema or ''}")

    @property
    def statements_commit(self) -> bool:
        """Whether a statement outside of any transaction is isolated as commands must be."""
        return not self.options.pooler

    def begin_command(self, isolation: Isolation = "serializable") -> str:
        """Return what begins the transaction of a command."""
        found = self._begins.get(isolation)
        if found is None:
            found = self._begins[isolation] = begin(self.options, isolation)
        return found

    @cached_property
    def begin_query(self) -> str:
        """What begins the snapshot of a query."""
        return begin(self.options, None)

    async def _open_writer(self) -> Link:
        return await connect(self.options, self.columns, write=True)

    async def _open_session(self) -> Link:
        options = self.options
        direct = replace(options, url=options.direct_url or options.url, pooler=False)
        return await connect(direct, self.columns, write=True)

    async def _open_reader(self) -> Link:
        return await connect(self.options, self.columns, write=False)

    async def start(self) -> None:
        """Open the first connection of each kind, and see whether the server is fit.

        Raises ``DatabaseAway`` where there is none, ``ServerUnfit`` where it is not.
        """
        self.writers = self._pool(write=True)
        self.readers = self._pool(write=False)
        self.holders = self._pool(write=True)
        self.claims = self._claims()
        self.wire = self._wire()
        await self.writers.start()
        try:
            await self.readers.start()
            await self._look()
        except BaseException:
            await self.stop()
            raise

    async def _look(self) -> None:
        rows = await self._ask(
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'), pg_is_in_recovery()"
        )
        version, encoding, standby = rows[0]
        if version < OLDEST:
            raise ServerUnfit(f"the server is PostgreSQL {version // 10000}: use {OLDEST // 10000} or newer")
        if encoding != "UTF8":
            raise ServerUnfit(f"the database is encoded in {encoding}: create it with ENCODING 'UTF8'")
        if standby:
            raise ServerUnfit("database.url names a standby, which takes no changes: name the primary")
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
        """End all connections; what is under way is given some seconds."""
        await self.claims.stop()
        if self.wire is not None:
            await self.wire.stop()
        await self.writers.stop(STOP_SECONDS)
        await self.readers.stop(STOP_SECONDS)
        await self.holders.stop(STOP_SECONDS)

    def health(self) -> str | None:
        """Return why the database cannot be used, or None."""
        return self.writers.failure or self.readers.failure

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics."""
        told: dict[str, float] = {}
        for name, pool in (("writer", self.writers), ("reader", self.readers)):
            told[f"{name}_queue"] = pool.waiting
            told[f"{name}_connections"] = pool.opened
            told[f"{name}_connections_in_use"] = pool.lent
            told[f"{name}_connections_lost"] = pool.lost
            told[f"{name}_longest_use_seconds"] = pool.longest
        return told


__all__ = ["PostgresEngine", "ServerUnfit"]
