"""The connections of one process to one PostgreSQL database, or to two: one for commands, another for queries."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from mainstay.adapters.sql.postgres.claims import AdvisoryClaims
from mainstay.adapters.sql.postgres.errors import Columns, DatabaseAway
from mainstay.adapters.sql.postgres.link import Link, connect
from mainstay.adapters.sql.postgres.options import Options
from mainstay.adapters.sql.postgres.pool import Pool

OLDEST = 130000
"""The oldest server that is known to work, as it numbers itself."""

STOP_SECONDS = 5.0

_STANDBY = "database.url names a standby, which takes no changes: name the primary"


class ServerUnfit(RuntimeError):
    """A server on which the promises of a store cannot be kept; the message says why and what to do."""


class PostgresEngine:
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.columns: Columns = Columns()
        self.claims: AdvisoryClaims = AdvisoryClaims(self._open_writer, options.schema or "")
        self.writers: Pool = self._pool(write=True)
        self.readers: Pool = self._pool(write=False)

    def _pool(self, *, write: bool) -> Pool:
        options = self.options
        return Pool(
            self._open_writer if write else self._open_reader,
            size=options.pool,
            queue_limit=options.queue_limit,
            wait_seconds=options.wait_seconds,
            check_seconds=options.check_seconds,
        )

    @property
    def statements_commit(self) -> bool:
        """Whether a statement outside of any transaction is isolated as commands must be."""
        return not self.options.pooler

    @property
    def begin_command(self) -> str:
        """What begins the transaction of a command."""
        return "BEGIN ISOLATION LEVEL SERIALIZABLE" if self.options.pooler else "BEGIN"

    @property
    def begin_query(self) -> str:
        """What begins the snapshot of a query."""
        return "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" if self.options.pooler else "BEGIN"

    async def _open_writer(self) -> Link:
        return await connect(self.options, self.columns, write=True)

    async def _open_reader(self) -> Link:
        return await connect(self.options, self.columns, write=False)

    async def start(self) -> None:
        """Open the first connection of each kind, and see whether the server is fit.

        Raises ``DatabaseAway`` where there is none, ``ServerUnfit`` where it is not.
        """
        self.writers = self._pool(write=True)
        self.readers = self._pool(write=False)
        self.claims = AdvisoryClaims(self._open_writer, self.options.schema or "")
        try:
            await self.writers.start()
            await self.readers.start()
            await self._look()
        except DatabaseAway as error:
            await self.stop()
            if isinstance(error.__cause__, asyncpg.TargetServerAttributeNotMatched):
                raise ServerUnfit(_STANDBY) from error
            raise
        except BaseException:
            await self.stop()
            raise

    async def _look(self) -> None:
        link = await self.writers.take()
        try:
            rows = await link.fetch(
                "SELECT current_setting('server_version_num')::int, current_setting('server_encoding'),"
                " pg_is_in_recovery()",
                (),
            )
        finally:
            self.writers.give(link)
        version, encoding, standby = rows[0]
        if version < OLDEST:
            raise ServerUnfit(f"the server is PostgreSQL {version // 10000}: use {OLDEST // 10000} or newer")
        if encoding != "UTF8":
            raise ServerUnfit(f"the database is encoded in {encoding}: create it with ENCODING 'UTF8'")
        if standby:
            raise ServerUnfit(_STANDBY)
        await self.learn()

    async def learn(self) -> None:
        """Read which columns the constraints are of."""
        link = await self.writers.take()
        try:
            self.columns.learn(await link.fetch(Columns.QUERY, ()))
        finally:
            self.writers.give(link)

    async def stop(self) -> None:
        """End all connections; what is under way is given some seconds."""
        await self.claims.stop()
        await self.writers.stop(STOP_SECONDS)
        await self.readers.stop(STOP_SECONDS)

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
