"""Stores of tests on one MariaDB or MySQL server, each in a database of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncmy
import pytest

from mainstay.adapters.sql.mysql.options import address
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.ports.store import Table


def server_url(database: str | None = None) -> str:
    """Return where the server is, for one of its databases or for the one that its user has."""
    found = os.environ.get("MAINSTAY_TEST_MARIADB")
    if not found:
        pytest.fail('this test needs MariaDB or MySQL: scripts/services up, then eval "$(scripts/services env)"')
    return found if database is None else urlunsplit(urlsplit(found)._replace(path=f"/{database}"))


def database_of(folder: Path) -> str:
    """Return the name of the database that belongs to a folder."""
    return f"mainstay_test_{blake2b(str(folder).encode(), digest_size=8).hexdigest()}"


def make_database(folder: Path) -> str:
    """Make the database of a folder, to be dropped by ``drop_database``; return its address."""
    asyncio.run(execute(f"CREATE DATABASE IF NOT EXISTS {database_of(folder)}"))
    return server_url(database_of(folder))


def drop_database(folder: Path) -> None:
    """Take the database of a folder away."""
    asyncio.run(drop_databases([database_of(folder)]))


class DatabaseStore(MysqlStore):
    """A store whose database is made at its start, where it is not there. ``folder`` names it."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.database = database_of(folder)
        given = {"create": True, "durable": False, "pool": 4, **options}
        super().__init__(server_url(self.database), **given)

    async def start(self, tables: Sequence[Table]) -> None:
        await execute(f"CREATE DATABASE IF NOT EXISTS {self.database}")
        await super().start(tables)


async def execute(*statements: str) -> None:
    """Run statements by a connection of their own."""
    connection: Any = await asyncmy.connect(**address(server_url()))
    try:
        for statement in statements:
            await connection.query(statement)
    finally:
        await connection.ensure_closed()


async def drop_databases(names: Iterable[str]) -> None:
    """Take databases away with all that is in them."""
    await execute(*(f"DROP DATABASE IF EXISTS {name}" for name in names))


async def databases_like(prefix: str) -> list[str]:
    """Return the names of the databases that begin so."""
    connection: Any = await asyncmy.connect(**address(server_url()))
    try:
        cursor = connection.cursor()
        await cursor.execute("SELECT schema_name FROM information_schema.schemata")
        return [name for (name,) in await cursor.fetchall() if name.startswith(prefix)]
    finally:
        await connection.ensure_closed()
