"""A folder of migrations with its database, and entities made on the spot."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any
from uuid import UUID

from sql_samples import table

from mainstay.adapters.sql.migrations import Plan, SqliteTarget, migrate, plan
from mainstay.model.structs import Entity
from mainstay.ports.store import Table


class Shop:
    """A folder of migrations and the database that they are run on."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "migrations"
        self.database = folder / "shop.db"
        self.target = SqliteTarget(self.database)

    def plan(self, *tables: Table, **more: Any) -> Plan | None:
        return plan(self.files, tables, **more)

    def change(self, *tables: Table) -> Plan:
        planned = plan(self.files, tables)
        assert planned is not None
        migrate(self.target, self.files)
        return planned

    def sql(self, statement: str, *values: Any) -> list[Any]:
        connection = sqlite3.connect(self.database)
        try:
            with connection:
                return connection.execute(statement, values).fetchall()
        finally:
            connection.close()

    def texts(self) -> str:
        """Return the text of all files."""
        return "\n".join(path.read_text("utf-8") for path in sorted(self.files.glob("*.py")))

    def schema(self) -> list[str]:
        """Return the schema: the lines of each statement, without the order in which constraints stand."""
        texts = self.sql("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name")
        return [
            " ".join(sorted(each.strip(" ,\t").replace('"', "") for each in t.strip().splitlines())) for (t,) in texts
        ]


def entity(name: str = "Thing", /, **fields: Any) -> Table:
    """Return the table of an entity made on the spot: name=(type, default)."""
    body = {"__module__": __name__, "__annotations__": {n: t for n, (t, _) in fields.items()}}
    body.update({n: d for n, (_, d) in fields.items()})
    meta: Any = type(Entity)
    made = meta(name, (Entity,), body)
    return table(made, name.lower())


def thing(**fields: Any) -> Table:
    return entity("Thing", **fields)


def insert(shop: Shop, name: str, /, **values: Any) -> None:
    values = {"id": str(UUID(int=1)), "version": 1, "created_at": "x", "updated_at": "x", **values}
    shop.sql(f"INSERT INTO {name} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})", *values.values())
