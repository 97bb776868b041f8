"""A folder of migrations, and a schema of a PostgreSQL server that they are run on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
from postgres_schemas import make_schema

from mainstay.adapters.sql.migrations import migrate, plan, status
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget
from mainstay.ports.store import Table

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


class Shop:
    """A folder of migrations, and the schema that they are run on."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "migrations"
        self.url, self.schema = make_schema(folder)
        self.target = PostgresTarget(self.url, self.schema)

    def change(self, *tables: Table) -> Any:
        planned = plan(self.files, tables)
        assert planned is not None
        migrate(self.target, self.files)
        assert status(self.target, self.files, tables).drift == ()
        return planned

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async def run() -> list[tuple[Any, ...]]:
            connection = await asyncpg.connect(self.url, server_settings={"search_path": self.schema})
            try:
                return [tuple(row) for row in await connection.fetch(statement, *values)]
            finally:
                await connection.close()

        return asyncio.run(run())

    def insert(self, **values: Any) -> None:
        given = {"id": uuid4(), "version": 1, "created_at": NOW, "updated_at": NOW, **values}
        signs = ", ".join(f"${n}" for n in range(1, len(given) + 1))
        self.sql(f"INSERT INTO thing ({', '.join(given)}) VALUES ({signs})", *given.values())
