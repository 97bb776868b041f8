"""The store on a MariaDB or MySQL database, shared by the processes of many hosts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any

from mainstay.adapters.sql.dialects.mysql import MysqlDialect
from mainstay.adapters.sql.faults import StatementFailed
from mainstay.adapters.sql.mysql import Link, MysqlEngine, Options
from mainstay.adapters.sql.mysql.errors import DUPLICATE_INDEX
from mainstay.adapters.sql.mysql_writing import MOST_VALUES, MysqlWriter, grouped, stands_alone
from mainstay.adapters.sql.server_store import ServerStore
from mainstay.adapters.sql.server_writing import Group
from mainstay.adapters.sql.sharing import BATCH_ROWS
from mainstay.adapters.sql.writes import Insert, Write
from mainstay.ports.store import Table

_LOCK_SECONDS = 60


class MysqlStore(ServerStore[Link]):
    """Rows in MariaDB 10.6 or MySQL 8.0.17, or newer ones.

    Commands are serialisable, queries read one snapshot. ``create`` makes the tables that are not there, for tests and
    throw-away databases. Further options are those of ``mysql.Options``. ``clock`` gives the monotonic seconds that
    deadlines are told in.
    """

    streams = False
    counted = True

    def __init__(
        self, url: str, *, create: bool = False, clock: Callable[[], float] = monotonic, **options: Any
    ) -> None:
        self._own = MysqlEngine(Options(url, **options), clock)
        super().__init__(self._own, MysqlDialect(), create=create, clock=clock)

    def text(self, statement: str) -> str:
        """Return the statement: the driver takes ``?`` for a value."""
        return statement

    def grouped(self, writes: Sequence[Write]) -> Iterator[Group]:
        """Part writes, in their order, into groups that the server takes at once."""
        return grouped(writes, together=self._own.mariadb)

    def stands_alone(self, group: Group) -> bool:
        """Whether a group outside of any transaction undoes itself where it fails."""
        return stands_alone(group)

    def shares(self, write: Write) -> bool:
        """Whether rows of several entities are added by one statement, which has room for as many as go together."""
        if not isinstance(write, Insert):
            return False
        return self._own.mariadb and len(write.statements.columns.by_name) * BATCH_ROWS <= MOST_VALUES

    def writer(self, link: Link, timeout: float | None, begin: str) -> MysqlWriter:
        """Return what carries writes out on a connection."""
        return MysqlWriter(link, timeout, begin)

    async def _create_tables(self, tables: Sequence[Table]) -> None:
        from mainstay.adapters.sql.schema import create_statements

        link = await self.engine.writers.take()
        name = f"mainstay create {self._own.options.database}"[:64]
        try:
            await link.fetch("SELECT GET_LOCK(?, ?)", (name, _LOCK_SECONDS))  # several workers may begin at once
            for statement in create_statements(tables, MysqlDialect(self._own.collation)):
                try:
                    await link.execute(statement)
                except StatementFailed as error:
                    if error.code != DUPLICATE_INDEX:
                        raise
            await link.fetch("SELECT RELEASE_LOCK(?)", (name,))
        finally:
            self.engine.writers.give(link)
