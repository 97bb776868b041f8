"""A MariaDB or MySQL database as migrations see it: one runner at a time, and a journal in the place of a transaction.

These functions wait for the server, on an event loop of their own: call them where none runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import asyncmy
from asyncmy.cursors import Cursor
from asyncmy.errors import MySQLError

from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.state import VERSION_TABLE
from mainstay.adapters.sql.migrations.target import T, Target
from mainstay.adapters.sql.mysql.link import MODES
from mainstay.adapters.sql.mysql.options import address
from mainstay.ports.store import Table

if TYPE_CHECKING:
    import sqlalchemy as sa

R = TypeVar("R")

LOCK_SECONDS = 3
"""How long a statement waits for a table (whole seconds): behind one that waits, all others wait too."""

LOOK_SECONDS = 30
"""How long one statement may look at the rows that are there."""

CONNECT_SECONDS = 10.0

_NO_SUCH_TABLE = 1146
_LOCK_WAIT = 1205
_COLUMNS = "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = DATABASE()"


class _Cursor(Cursor):
    """Writes bytes in hexadecimal: the driver escapes them by backslashes, which are none in the service's sql_mode."""

    def _escape_args(self, args: Any, conn: Any) -> Any:
        if isinstance(args, dict):
            return {name: _literal(value, conn) for name, value in args.items()}
        return tuple(_literal(value, conn) for value in args)


def _literal(value: Any, connection: Any) -> Any:
    return f"x'{bytes(value).hex()}'" if isinstance(value, bytes | bytearray) else connection.literal(value)


class MysqlTarget(Target):
    """One database. ``tables`` are the model's: how long a text may be that an index holds stands there alone.

    Every revision is taken up where it was stopped, those with a phase too: its journal stands in the place of steps.
    """

    dialect = "mysql"

    def __init__(self, url: str, tables: Sequence[Table] = ()) -> None:
        self._url = url
        self._tables = tables
        self.database: str = address(url)["database"]

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.hostname or 'localhost'}{f':{parts.port}' if parts.port else ''}{parts.path}"

    @property
    def lock(self) -> str:
        """The user-level lock of whoever migrates. It belongs to the server, so its name tells the database."""
        return f"mainstay migrate {self.database}"[:64]

    def exists(self) -> bool:
        return bool(self.schema())

    def schema(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for table, column in self.rows(_COLUMNS):
            found.setdefault(table, set()).add(column)
        return found

    def revision(self) -> str | None:
        try:
            found = self.rows(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
        except MySQLError as error:
            if error.args[0] != _NO_SUCH_TABLE:
                raise
            return None
        return str(found[0][0]) if found else None

    def unfit(self) -> list[str]:
        from mainstay.adapters.sql.migrations.mysql_bounds import Bounds

        bounds = Bounds(self._tables)
        return bounds.too_short(self.rows(bounds.QUERY))

    def held(self, work: Callable[[sa.Connection], T], wait_seconds: float) -> T:
        from mainstay.adapters.sql.migrations.mysql_bounds import Bounds
        from mainstay.adapters.sql.migrations.mysql_journal import Journal
        from mainstay.adapters.sql.migrations.stepping import BESIDE

        journal = Journal()

        def alone(connection: sa.Connection) -> T:
            self._await_turn(connection, wait_seconds)
            bounds = Bounds(self._tables)
            connection.info.update({Bounds: bounds, Journal: journal, BESIDE: journal.beside})
            journal.read(connection)
            if not journal.lies_open:  # what is not in the journal must not change the schema that it goes by
                bounds.fit(connection, longer=True)
            with journal.kept(connection):
                return work(connection)

        return self._run(alone, lambda words, number: self._stopped(words, number, journal.told))

    def settle(self, wait_seconds: float, *, shared: bool) -> None:
        from mainstay.adapters.sql.migrations.mysql_bounds import Bounds
        from mainstay.adapters.sql.migrations.mysql_journal import Journal

        def alone(connection: sa.Connection) -> None:
            self._await_turn(connection, wait_seconds)
            journal = Journal()
            journal.read(connection)
            journal.sweep(connection)  # of a runner that was killed behind its last statement
            Bounds(self._tables).fit(connection, longer=shared)

        self._run(alone, lambda words, _: f"{self}: {words}: run this again")

    def _await_turn(self, connection: sa.Connection, wait_seconds: float) -> None:
        taken = connection.exec_driver_sql("SELECT GET_LOCK(%s, %s)", (self.lock, wait_seconds)).scalar()
        if taken != 1:
            raise MigrationFault(
                f"{self}: nothing was changed: another migration has run for {wait_seconds:g} s: run this again"
            )

    def _stopped(self, words: str, number: object, progress: str) -> str:
        if number == _LOCK_WAIT:
            words = "a transaction on a table that is to be changed took too long"
        return f"{self}: {words}: {progress}: run this again to go on from there"

    def reading(self, work: Callable[[sa.Connection], T]) -> T:
        def looking(connection: sa.Connection) -> T:
            connection.exec_driver_sql("SET SESSION TRANSACTION READ ONLY")
            mariadb = getattr(connection.dialect, "is_mariadb", True)
            bound = f"max_statement_time={LOOK_SECONDS}" if mariadb else f"max_execution_time={LOOK_SECONDS * 1000}"
            connection.exec_driver_sql(f"SET SESSION {bound}")
            return work(connection)

        return self._run(looking, lambda words, _: f"{self}: {words}")

    def _run(self, work: Callable[[sa.Connection], T], told: Callable[[str, object], str]) -> T:
        """Do work on SQLAlchemy's side of the driver."""
        from sqlalchemy.exc import DBAPIError

        from mainstay.adapters.sql.migrations import mysql_impl  # noqa: F401 - Alembic finds it by its dialect

        async def run() -> T:
            from sqlalchemy.ext.asyncio import create_async_engine
            from sqlalchemy.pool import NullPool

            engine = create_async_engine("mysql+asyncmy://", async_creator=self.connect, poolclass=NullPool)
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(work)
            finally:
                await engine.dispose()

        try:
            return asyncio.run(run())
        except DBAPIError as error:
            number, *words = getattr(error.orig, "args", None) or (0,)
            raise MigrationFault(told(" ".join(map(str, words)) or str(error.orig), number)) from error

    async def connect(self) -> Any:
        """Return a connection of its own, told all that the service's own are told."""
        try:
            connection: Any = await asyncmy.connect(
                **address(self._url),
                charset="utf8mb4",
                connect_timeout=CONNECT_SECONDS,
                program_name="mainstay migrate",
                cursor_cls=_Cursor,
            )
        except (OSError, TimeoutError, MySQLError) as error:
            raise MigrationFault(f"{self} cannot be reached: {type(error).__name__}: {error}") from error
        await connection.query(  # notes are not for people here, whom the driver would tell them
            f"SET SESSION sql_mode='{MODES}', time_zone='+00:00', lc_messages='en_US', sql_notes=0,"
            f" lock_wait_timeout={LOCK_SECONDS}, innodb_lock_wait_timeout={LOCK_SECONDS}"
        )
        await connection.query("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
        return connection

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a statement, read without SQLAlchemy."""

        async def read(connection: Any) -> list[tuple[Any, ...]]:
            cursor = connection.cursor()
            await cursor.execute(statement)
            return list(await cursor.fetchall())

        return asyncio.run(self.connected(read))

    async def connected(self, work: Callable[[Any], Awaitable[R]]) -> R:
        """Do work on a connection of its own."""
        connection = await self.connect()
        try:
            return await work(connection)
        finally:
            await connection.ensure_closed()
