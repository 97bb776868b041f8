"""A PostgreSQL database as migrations see it: one transaction, one runner at a time, no wait that holds others up.

These functions wait for the server, on an event loop of their own: call them where none runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.state import VERSION_TABLE
from mainstay.adapters.sql.migrations.target import T, Target

if TYPE_CHECKING:
    import sqlalchemy as sa

R = TypeVar("R")

LOCK = 0x6D61696E73746179
"""The advisory lock of whoever migrates: "mainstay" in ASCII."""

LOCK_SECONDS = 3.0
"""How long a statement waits for a table: behind one that waits, all others wait too."""

CONNECT_SECONDS = 10.0

_COLUMNS = (
    "SELECT table_name::text, column_name::text FROM information_schema.columns"
    " WHERE table_schema = ANY(current_schemas(false))"
)


class PostgresTarget(Target):
    """One database, or one schema of it."""

    def __init__(self, url: str, schema: str | None = None) -> None:
        self._url = url
        self._schema = schema

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

        def alone(connection: sa.Connection) -> T:
            connection.execute(text(f"SET LOCAL lock_timeout = '{int(wait_seconds * 1000)}ms'"))
            connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            connection.execute(text(f"SET LOCAL lock_timeout = '{int(LOCK_SECONDS * 1000)}ms'"))
            return work(connection)

        return self._run(alone)

    def reading(self, work: Callable[[sa.Connection], T]) -> T:
        from sqlalchemy import text

        def looking(connection: sa.Connection) -> T:
            connection.execute(text("SET TRANSACTION READ ONLY"))
            return work(connection)

        return self._run(looking)

    def _run(self, work: Callable[[sa.Connection], T]) -> T:
        """Do work on SQLAlchemy's side of the driver, in one transaction."""
        from sqlalchemy.exc import DBAPIError

        from mainstay.adapters.sql.migrations import postgres_impl  # noqa: F401 - Alembic finds it by its dialect

        async def run() -> T:
            from sqlalchemy.ext.asyncio import create_async_engine
            from sqlalchemy.pool import NullPool

            engine = create_async_engine("postgresql+asyncpg://", async_creator=self.connect, poolclass=NullPool)
            try:
                async with engine.begin() as connection:
                    return await connection.run_sync(work)
            finally:
                await engine.dispose()

        try:
            return asyncio.run(run())
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != "55P03":
                raise
            raise MigrationFault(
                f"{self}: nothing was changed: another migration, or a transaction on a table that is to be changed, "
                "took too long: run this again"
            ) from error

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
