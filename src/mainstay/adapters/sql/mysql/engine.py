"""The connections of one process to one MariaDB or MySQL database."""

from __future__ import annotations

import re

from mainstay.adapters.sql.mysql.claims import UserLocks
from mainstay.adapters.sql.mysql.errors import Columns
from mainstay.adapters.sql.mysql.link import Link, connect
from mainstay.adapters.sql.mysql.options import Options
from mainstay.adapters.sql.outages import ServerUnfit
from mainstay.adapters.sql.server_engine import ServerEngine

OLDEST_MARIADB = (10, 6)
OLDEST_MYSQL = (8, 0, 17)
"""The first with a collation by code points in which trailing spaces count."""

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class MysqlEngine(ServerEngine[Link]):
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    begin_command = "START TRANSACTION"
    begin_query = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"

    def __init__(self, options: Options) -> None:
        self.options = options
        self.columns: Columns = Columns()
        self.mariadb = True
        self.collation = "utf8mb4_nopad_bin"
        super().__init__(options, UserLocks(options.database))

    async def _open_writer(self) -> Link:
        return await connect(self.options, self.columns, write=True)

    async def _open_reader(self) -> Link:
        return await connect(self.options, self.columns, write=False)

    async def _look(self) -> None:
        link = await self.writers.take()
        try:
            ((told, read_only),) = await link.fetch("SELECT VERSION(), @@global.read_only", ())
        finally:
            self.writers.give(link)
        self.mariadb, self.collation = link.mariadb, link.collation
        check_version(str(told), mariadb=link.mariadb)
        if read_only:
            raise ServerUnfit("database.url names a server that takes no changes (read_only): name the primary")
        await self.learn()

    async def learn(self) -> None:
        """Read which columns the unique indexes are of."""
        link = await self.writers.take()
        try:
            self.columns.learn(await link.fetch(Columns.QUERY, ()))
        finally:
            self.writers.give(link)


def check_version(told: str, *, mariadb: bool) -> None:
    """Raise ``ServerUnfit`` for a server that is too old."""
    name, oldest = ("MariaDB", OLDEST_MARIADB) if mariadb else ("MySQL", OLDEST_MYSQL)
    found = _VERSION.search(told)
    if found is None or tuple(map(int, found.groups())) < oldest:
        raise ServerUnfit(f"the server is {name} {told}: use {'.'.join(map(str, oldest))} or newer")
