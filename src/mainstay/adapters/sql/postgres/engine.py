"""The connections of one process to one PostgreSQL database."""

from __future__ import annotations

from mainstay.adapters.sql.outages import ServerUnfit
from mainstay.adapters.sql.postgres.claims import AdvisoryLocks
from mainstay.adapters.sql.postgres.errors import Columns
from mainstay.adapters.sql.postgres.link import Link, connect
from mainstay.adapters.sql.postgres.options import Options
from mainstay.adapters.sql.server_engine import ServerEngine

OLDEST = 130000
"""The oldest server that is known to work, as it numbers itself."""


class PostgresEngine(ServerEngine[Link]):
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.columns: Columns = Columns()
        super().__init__(options, AdvisoryLocks())
        if options.pooler:
            self.statements_commit = False
            self.begin_command = "BEGIN ISOLATION LEVEL SERIALIZABLE"
            self.begin_query = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

    async def _open_writer(self) -> Link:
        return await connect(self.options, self.columns, write=True)

    async def _open_reader(self) -> Link:
        return await connect(self.options, self.columns, write=False)

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
            raise ServerUnfit("database.url names a standby, which takes no changes: name the primary")
        await self.learn()

    async def learn(self) -> None:
        """Read which columns the constraints are of."""
        link = await self.writers.take()
        try:
            self.columns.learn(await link.fetch(Columns.QUERY, ()))
        finally:
            self.writers.give(link)
