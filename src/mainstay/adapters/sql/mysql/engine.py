"""The connections of one process to one MariaDB or MySQL database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic

from asyncmy.errors import MySQLError

from mainstay.adapters.sql.mysql.claims import UserLocks
from mainstay.adapters.sql.mysql.errors import Columns
from mainstay.adapters.sql.mysql.follower import Follower
from mainstay.adapters.sql.mysql.link import Link, connect, kill
from mainstay.adapters.sql.mysql.options import Options
from mainstay.adapters.sql.outages import ServerUnfit
from mainstay.adapters.sql.pooling import Pool
from mainstay.adapters.sql.replica import Replica
from mainstay.adapters.sql.server_engine import ServerEngine
from mainstay.model.operation import Isolation

OLDEST_MARIADB = (10, 6)
OLDEST_MYSQL = (8, 0, 17)
"""The first with a collation by code points in which trailing spaces count."""

KILL_SECONDS = 2.0

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class MysqlEngine(ServerEngine[Link]):
    """Connections for commands, connections for queries, and the claims. It knows nothing of entities."""

    begin_query = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"

    def __init__(self, options: Options, clock: Callable[[], float] = monotonic) -> None:
        self.options = options
        self.columns: Columns = Columns()
        self.mariadb = True
        self.collation = "utf8mb4_nopad_bin"
        self.keeps_snapshots = False
        self._killing: set[asyncio.Task[None]] = set()
        super().__init__(options, UserLocks(options.database), clock)

    def begin_command(self, isolation: Isolation = "serializable") -> str:
        """Return what begins the transaction of a command: sessions are serialisable.

        InnoDB's own repeatable read reads a snapshot and writes to what is there: updates are lost by it. Where the
        server cannot be told to refuse that, such a command is serialisable.
        """
        if isolation == "serializable" or (isolation == "repeatable_read" and not self.keeps_snapshots):
            return "START TRANSACTION"
        return f"SET TRANSACTION ISOLATION LEVEL {isolation.replace('_', ' ').upper()}; START TRANSACTION"

    async def _open_writer(self) -> Link:
        return await self._open(self.options.url, write=True)

    async def _open_reader(self) -> Link:
        return await self._open(self.options.url, write=False)

    async def _open_replica(self) -> Link:
        return await self._open(self.options.replica_url or self.options.url, write=False)

    async def _open(self, url: str, *, write: bool) -> Link:
        return await connect(self.options, url, self.columns, partial(self._abandon, url), write=write)

    def _replica_of(self, pool: Pool[Link], primary: Pool[Link], seconds: float) -> Replica[Link]:
        return Follower(pool, primary, seconds, self._clock, lambda: self.mariadb)

    def _abandon(self, url: str, number: int) -> None:
        """Have the server end what a connection runs that nobody waits for any more."""
        task = asyncio.get_running_loop().create_task(self._kill(url, number))
        self._killing.add(task)
        task.add_done_callback(self._killing.discard)

    async def _kill(self, url: str, number: int) -> None:
        with suppress(OSError, TimeoutError, MySQLError):  # it has ended, or the server's own bounds end it
            async with asyncio.timeout(KILL_SECONDS):
                await kill(self.options.current(url), number, KILL_SECONDS)

    async def stop(self) -> None:
        await super().stop()
        await asyncio.gather(*self._killing)

    async def _look(self) -> None:
        link = await self.writers.take()
        try:
            ((told, read_only, flush),) = await link.fetch(
                "SELECT VERSION(), @@global.read_only, @@global.innodb_flush_log_at_trx_commit", ()
            )
        finally:
            self.writers.give(link)
        self.mariadb, self.collation, self.keeps_snapshots = link.mariadb, link.collation, link.keeps_snapshots
        check_version(str(told), mariadb=link.mariadb)
        if read_only:
            raise ServerUnfit("database.url names a server that takes no changes (read_only)", "name the primary")
        if self.options.durable and flush != 1:
            raise ServerUnfit(
                f"innodb_flush_log_at_trx_commit is {flush}: a commit may be lost with the power",
                "set it to 1, or say that commits may be lost: database.synchronous = 'normal'",
            )
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
        raise ServerUnfit(f"the server is {name} {told}", f"use {'.'.join(map(str, oldest))} or newer")
