"""A PostgreSQL database as migrations see it: one runner at a time, and no wait that holds others up.

These functions wait for the server, on an event loop of their own: call them where none runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.state import VERSION_TABLE
from mainstay.adapters.sql.migrations.target import T, Target

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mainstay.adapters.sql.migrations.stepping import Stepper

R = TypeVar("R")

LOCK = "hashtextextended('mainstay migrate ' || coalesce(current_schema(), ''), 0)"
"""The advisory lock of whoever migrates: one for each schema, since advisory locks are a database's."""

LOCK_SECONDS = 1.0
"""How long a statement waits for a table: behind one that waits, all others wait too. Then they go first."""

POLL_SECONDS = 0.1
"""How often a runner asks whether the other one has ended. To wait in a statement would hold up what that one builds
concurrently, which waits for every statement that is older than itself."""

LOOK_SECONDS = 30
"""How long one statement may look at the rows that are there."""

CONNECT_SECONDS = 10.0

_COLUMNS = (
    "SELECT table_name::text, column_name::text FROM information_schema.columns"
    " WHERE table_schema = ANY(current_schemas(false))"
)


class PostgresTarget(Target):
    """One database, or one schema of it. ``pooled`` says that what is reached is a pooler of transactions before it."""

    dialect = "postgresql"

    def __init__(self, url: str, schema: str | None = None, *, pooled: bool = False) -> None:
        self._url = url
        self._schema = schema
        self._pooled = pooled

    def __str__(self) -> str:
        parts = urlsplit(self._url)
        hosts = parts.netloc.rpartition("@")[2] or "localhost"  # several, where a standby may take over
        return f"postgresql://{hosts}{parts.path}" + (f" (schema {self._schema})" if self._schema else "")

    def exists(self) -> bool:
        return bool(self.schema())

    def schema(self) -> dict[str, set[str]]:
        async def read(connection: asyncpg.Connection) -> dict[str, set[str]]:
            found: dict[str, set[str]] = {}
            for table, column in await connection.fetch(_COLUMNS):
                found.setdefault(table, set()).add(column)
            return found

        return asyncio.run(self._connected(read))

    def revision(self) -> str | None:
        async def read(connection: asyncpg.Connection) -> str | None:
            try:
                found = await connection.fetchval(f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608 - a constant
            except asyncpg.UndefinedTableError:
                return None
            return None if found is None else str(found)

        return asyncio.run(self._connected(read))

    def held(self, work: Callable[[sa.Connection], T], wait_seconds: float) -> T:
        from sqlalchemy import text
        from sqlalchemy.exc import DBAPIError

        from mainstay.adapters.sql.migrations.stepping import is_busy, pauses

        def alone(connection: sa.Connection) -> T:
            self._await_turn(connection, "pg_try_advisory_xact_lock", wait_seconds)
            connection.execute(text(f"SET LOCAL lock_timeout = '{int(LOCK_SECONDS * 1000)}ms'"))
            return work(connection)

        deadline = time.monotonic() + wait_seconds
        for pause in pauses():
            try:
                return self._run(alone)
            except DBAPIError as error:
                if not is_busy(error):
                    raise
                if time.monotonic() + pause > deadline:
                    raise MigrationFault(
                        f"{self}: nothing was changed: a transaction on a table that is to be changed took too long: "
                        "end it, and run this again"
                    ) from error
            time.sleep(pause)
        raise AssertionError("pauses have no end")

    def stepping(self, work: Callable[[sa.Connection, Stepper | None], T], wait_seconds: float) -> T:
        from sqlalchemy import text

        from mainstay.adapters.sql.migrations.stepping import Stepper

        if self._pooled:
            raise MigrationFault(
                f"{self} is behind a pooler, and a migration in steps needs a session of the server: "
                "set database.direct_url"
            )

        def alone(connection: sa.Connection) -> T:
            self._await_turn(connection, "pg_try_advisory_lock", wait_seconds)
            connection.execute(text(f"SET lock_timeout = '{int(LOCK_SECONDS * 1000)}ms'"))
            connection.commit()
            made = work(connection, Stepper(connection, wait_seconds))
            connection.commit()
            return made

        return self._run(alone)

    def _await_turn(self, connection: sa.Connection, function: str, wait_seconds: float) -> None:
        from sqlalchemy import text

        deadline = time.monotonic() + wait_seconds
        while not connection.execute(text(f"SELECT {function}({LOCK})")).scalar():
            if time.monotonic() >= deadline:
                raise MigrationFault(
                    f"{self}: nothing was changed: another migration has run for {wait_seconds:g} s: "
                    "wait for its end, and run this again"
                )
            connection.rollback()
            time.sleep(POLL_SECONDS)

    def reading(self, work: Callable[[sa.Connection], T]) -> T:
        from sqlalchemy import text

        def looking(connection: sa.Connection) -> T:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            connection.execute(text(f"SET LOCAL statement_timeout = '{LOOK_SECONDS}s'"))
            return work(connection)

        return self._run(looking)

    def _run(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work on SQLAlchemy's side of the driver, and commit it."""
        from mainstay.adapters.sql.migrations import postgres_impl  # noqa: F401 - Alembic finds it by its dialect

        async def run() -> T:
            from sqlalchemy.ext.asyncio import create_async_engine
            from sqlalchemy.pool import NullPool

            engine = create_async_engine("postgresql+asyncpg://", async_creator=self.connect, poolclass=NullPool)
            try:
                async with engine.connect() as connection:
                    made = await connection.run_sync(work)
                    await connection.commit()
                    return made
            finally:
                await engine.dispose()

        return asyncio.run(run())

    async def connect(self) -> asyncpg.Connection:
        """Return a connection of its own."""
        settings = {"application_name": "mainstay migrate", "timezone": "UTC"}
        if self._schema is not None:
            settings["search_path"] = '"' + self._schema.replace('"', '""') + '"'
        try:
            return await asyncpg.connect(
                self._url, timeout=CONNECT_SECONDS, server_settings=settings, statement_cache_size=0
            )
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise MigrationFault(f"{self} cannot be reached: {type(error).__name__}: {error}") from error

    async def _connected(self, work: Callable[[asyncpg.Connection], Awaitable[R]]) -> R:
        connection: Any = await self.connect()
        try:
            return await work(connection)
        finally:
            await connection.close()
