"""Stores of tests on one PostgreSQL server, each in a schema that stands for a database of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.ports.store import Table


def server_url(name: str = "MAINSTAY_TEST_POSTGRES") -> str:
    """Return where the server is, or the pooler before it."""
    found = os.environ.get(name)
    if not found:
        pytest.fail('this test needs PostgreSQL: scripts/services up, then eval "$(scripts/services env)"')
    return found


def schema_of(folder: Path) -> str:
    """Return the name of the schema that belongs to a folder."""
    return f"test_{blake2b(str(folder).encode(), digest_size=8).hexdigest()}"


def make_schema(folder: Path) -> tuple[str, str]:
    """Make the schema of a folder, to be dropped by ``drop_schema``; return the server's address and its name."""
    asyncio.run(execute(f"CREATE SCHEMA IF NOT EXISTS {schema_of(folder)}"))
    return server_url(), schema_of(folder)


def drop_schema(folder: Path) -> None:
    """Take the schema of a folder away."""
    asyncio.run(drop_schemas([schema_of(folder)]))


class SchemaStore(PostgresStore):
    """A store whose schema is made at its start, where it is not there. ``folder`` names it.

    With ``pooler`` it goes by way of PgBouncer.
    """

    def __init__(self, folder: Path, *, pooler: bool = False, **options: Any) -> None:
        self.schema = schema_of(folder)
        given = {"create": True, "synchronous": "off", "pool": 4, "pooler": pooler, **options}
        super().__init__(server_url(*(["MAINSTAY_TEST_PGBOUNCER"] if pooler else [])), schema=self.schema, **given)

    async def start(self, tables: Sequence[Table]) -> None:
        await execute(f"CREATE SCHEMA IF NOT EXISTS {self.schema}")
        await super().start(tables)


async def execute(*statements: str) -> None:
    """Run statements by a connection of their own."""
    connection = await asyncpg.connect(server_url())
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def drop_schemas(names: Iterable[str]) -> None:
    """Take schemas away with all that is in them."""
    await execute(*(f"DROP SCHEMA IF EXISTS {name} CASCADE" for name in names))
