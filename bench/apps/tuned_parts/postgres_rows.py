"""Rows in PostgreSQL: a pool of asyncpg, whose connections keep their prepared statements, and no layer above it.

Nothing is reset when a connection is given back: no call leaves anything in its session.
"""

from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime
from decimal import Decimal

import asyncpg
from rows import Item, Taken
from uuid_utils.compat import uuid7

_CONNECTIONS = 10
_SCHEMA = """
CREATE TABLE IF NOT EXISTS items (
    id UUID PRIMARY KEY, version INTEGER NOT NULL, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
    sku TEXT NOT NULL UNIQUE, name TEXT NOT NULL, price NUMERIC(12, 2) NOT NULL, stock BIGINT NOT NULL
);
CREATE TABLE IF NOT EXISTS outbox (
    id UUID PRIMARY KEY, created_at TIMESTAMPTZ NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
);
"""
_COLUMNS = "id, version, created_at, updated_at, sku, name, price, stock"
_ONE = f"SELECT {_COLUMNS} FROM items WHERE id = $1"
_PAGE = f"SELECT {_COLUMNS} FROM items WHERE id > $1 ORDER BY id LIMIT $2"
_ADD = f"INSERT INTO items ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
_EMIT = "INSERT INTO outbox (id, created_at, event, payload) VALUES ($1, $2, $3, $4)"
_FIRST = uuid.UUID(int=0)


async def _leave(_connection: asyncpg.Connection) -> None:
    """Reset nothing."""


class PostgresRows:
    """The table of items and its outbox."""

    _pool: asyncpg.Pool

    def __init__(self, url: str) -> None:
        self._url = url

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(self._url, min_size=_CONNECTIONS, max_size=_CONNECTIONS, reset=_leave)
        await self._pool.execute(_SCHEMA)

    async def close(self) -> None:
        await self._pool.close()

    async def get(self, key: uuid.UUID) -> Item | None:
        row = await self._pool.fetchrow(_ONE, key)
        return None if row is None else Item(*row)

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Item], str | None]:
        after = uuid.UUID(bytes=base64.urlsafe_b64decode(cursor)) if cursor else _FIRST
        rows = await self._pool.fetch(_PAGE, after, limit + 1)
        following = base64.urlsafe_b64encode(rows[limit - 1][0].bytes).decode() if len(rows) > limit else None
        return [Item(*row) for row in rows[:limit]], following

    async def add(self, sku: str, name: str, price: Decimal, stock: int) -> Item:
        now = datetime.now(UTC)
        item = Item(uuid7(), 1, now, now, sku, name, price.quantize(Decimal("0.01")), stock)
        try:
            async with self._pool.acquire() as connection, connection.transaction():
                await connection.execute(_ADD, item.id, 1, now, now, sku, name, item.price, stock)
                await connection.execute(_EMIT, uuid7(), now, "bench.ItemMade", f'{{"item_id": "{item.id}"}}')
        except asyncpg.UniqueViolationError:
            raise Taken from None
        return item
