"""A folder of migrations and a database of MariaDB that they are run on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncmy
from mysql_databases import drop_database, make_database

from mainstay.adapters.sql.migrations import migrate, plan, status
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.adapters.sql.mysql.options import address
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.ports.store import Table

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
BARE = NOW.replace(tzinfo=None)


class Shop:
    """A folder of migrations, and the database that they are run on."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "migrations"
        self.url = make_database(folder)
        self.target = MysqlTarget(self.url)

    def change(self, *tables: Table) -> Any:
        planned = plan(self.files, tables)
        assert planned is not None
        self.migrate(*tables)
        return planned

    def migrate(self, *tables: Table) -> list[str]:
        self.target = MysqlTarget(self.url, tables)
        done = migrate(self.target, self.files)
        assert status(self.target, self.files, tables).drift == ()
        assert self.target.unfit() == []
        return done

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async def run() -> list[tuple[Any, ...]]:
            connection: Any = await asyncmy.connect(**address(self.url), autocommit=True)
            try:
                cursor = connection.cursor()
                await cursor.execute(statement, values or None)
                return [tuple(row) for row in await cursor.fetchall()] if cursor.description else []
            finally:
                await connection.ensure_closed()

        return asyncio.run(run())

    def insert(self, **values: Any) -> None:
        given = {"id": uuid4().bytes, "version": 1, "created_at": BARE, "updated_at": BARE, **values}
        signs = ", ".join(["%s"] * len(given))
        self.sql(f"INSERT INTO thing ({', '.join(given)}) VALUES ({signs})", *given.values())

    def layout(self) -> dict[str, list[str]]:
        """Return the lines of each table as the server tells them, without their order."""
        names = [name for (name,) in self.sql("SHOW TABLES") if name != "mainstay_migration"]
        return {
            name: sorted(line.strip(" ,") for line in self.sql(f"SHOW CREATE TABLE `{name}`")[0][1].splitlines())
            for name in names
        }


async def made_by_the_store(url: str, tables: Any) -> None:
    store = MysqlStore(url, create=True, durable=False, pool=1)
    await store.start(tables)
    await store.stop()


def created(folder: Path, tables: Any) -> dict[str, list[str]]:
    """Return the layout that the store makes of entities by itself."""
    other = Shop(folder)
    try:
        asyncio.run(made_by_the_store(other.url, tables))
        return other.layout()
    finally:
        drop_database(folder)
