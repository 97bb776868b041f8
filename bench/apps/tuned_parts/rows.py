"""The data of the tuned Python peers, on the store that BENCH_DATABASE names: a file, or a database on a server."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol


class Taken(Exception):
    """The sku is there already."""


@dataclass(slots=True)
class Item:
    """One row."""

    id: uuid.UUID
    version: int
    created_at: datetime
    updated_at: datetime
    sku: str
    name: str
    price: Decimal
    stock: int


class Rows(Protocol):
    """The table of items and its outbox."""

    async def open(self) -> None:
        """Connect, and make the tables."""

    async def close(self) -> None:
        """Let go of the connections."""

    async def get(self, key: uuid.UUID) -> Item | None:
        """Return an item, or None."""

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Item], str | None]:
        """Return the items after a cursor, and the cursor of what follows. Raises ``ValueError`` for a bad one."""

    async def add(self, sku: str, name: str, price: Decimal, stock: int) -> Item:
        """Insert an item and its event in one transaction. Raises ``Taken``."""


def make_rows() -> Rows:
    """Return the rows; they are opened when the application starts."""
    database = os.environ["BENCH_DATABASE"]
    if database.startswith("postgresql://"):
        from postgres_rows import PostgresRows

        return PostgresRows(database)
    if database.startswith("mysql://"):
        from mysql_rows import MysqlRows

        return MysqlRows(database)
    from sqlite_rows import SqliteRows

    return SqliteRows(database)
