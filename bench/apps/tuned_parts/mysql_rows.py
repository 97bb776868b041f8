"""Rows in MariaDB: ten connections of asyncmy, which keep their prepared statements, and no layer above them.

Nothing is reset when a connection is given back: no call leaves anything in its session.
"""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import asyncmy
from asyncmy.errors import IntegrityError
from rows import Item, Taken
from uuid_utils.compat import uuid7

_CONNECTIONS = 10
_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS items (
        id BINARY(16) PRIMARY KEY, version INTEGER NOT NULL, created_at DATETIME(6) NOT NULL,
        updated_at DATETIME(6) NOT NULL, sku VARCHAR(40) NOT NULL UNIQUE, name VARCHAR(200) NOT NULL,
        price DECIMAL(12, 2) NOT NULL, stock BIGINT NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS outbox (
        id BINARY(16) PRIMARY KEY, created_at DATETIME(6) NOT NULL, event TEXT NOT NULL, payload TEXT NOT NULL
    )""",
)
_COLUMNS = "id, version, created_at, updated_at, sku, name, price, stock"
_ONE = f"SELECT {_COLUMNS} FROM items WHERE id = ?"
_PAGE = f"SELECT {_COLUMNS} FROM items WHERE id > ? ORDER BY id LIMIT ?"
_ADD = f"INSERT INTO items ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_EMIT = "INSERT INTO outbox (id, created_at, event, payload) VALUES (?, ?, ?, ?)"


class _Connection:
    """One connection, and the statements that were prepared on it."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self._prepared: dict[str, Any] = {}

    async def run(self, statement: str, *values: Any) -> Any:
        prepared = self._prepared.get(statement)
        if prepared is None:
            prepared = self._prepared[statement] = await self.raw.prepare(statement)
        return (await prepared.execute(values)).rows


class MysqlRows:
    """The table of items and its outbox."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._free: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        self._all: list[_Connection] = []

    async def open(self) -> None:
        parts = self._url
        for _ in range(_CONNECTIONS):
            raw = await asyncmy.connect(
                host=parts.hostname,
                port=parts.port,
                user=parts.username,
                password=parts.password or "",
                database=parts.path[1:],
                charset="utf8mb4",
                autocommit=True,
            )
            self._all.append(_Connection(raw))
            self._free.put_nowait(self._all[-1])
        for statement in _SCHEMA:
            await self._all[0].raw.query(statement)

    async def close(self) -> None:
        for connection in self._all:
            await connection.raw.ensure_closed()

    @asynccontextmanager
    async def _lent(self) -> AsyncIterator[_Connection]:
        connection = await self._free.get()
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)

    async def get(self, key: uuid.UUID) -> Item | None:
        async with self._lent() as connection:
            rows = await connection.run(_ONE, key.bytes)
        return _item(rows[0]) if rows else None

    async def page(self, limit: int, cursor: str | None) -> tuple[list[Item], str | None]:
        after = uuid.UUID(bytes=base64.urlsafe_b64decode(cursor)).bytes if cursor else bytes(16)
        async with self._lent() as connection:
            rows = await connection.run(_PAGE, after, limit + 1)
        following = base64.urlsafe_b64encode(rows[limit - 1][0]).decode() if len(rows) > limit else None
        return [_item(row) for row in rows[:limit]], following

    async def add(self, sku: str, name: str, price: Decimal, stock: int) -> Item:
        now = datetime.now(UTC)
        item = Item(uuid7(), 1, now, now, sku, name, price.quantize(Decimal("0.01")), stock)
        async with self._lent() as connection:
            await connection.raw.query("BEGIN")
            try:
                await connection.run(_ADD, item.id.bytes, 1, now, now, sku, name, item.price, stock)
                await connection.run(_EMIT, uuid7().bytes, now, "bench.ItemMade", f'{{"item_id": "{item.id}"}}')
                await connection.raw.query("COMMIT")
            except BaseException as error:
                await connection.raw.query("ROLLBACK")
                if isinstance(error, IntegrityError):
                    raise Taken from None
                raise
        return item


def _item(row: Any) -> Item:
    key, version, created, updated, *rest = row
    return Item(uuid.UUID(bytes=key), version, created.replace(tzinfo=UTC), updated.replace(tzinfo=UTC), *rest)
