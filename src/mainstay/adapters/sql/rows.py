"""The rows of one entity in one transaction of a SQL store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from typing import Any, Protocol
from uuid import UUID

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.told import SqlKept
from mainstay.adapters.sql.upserts import Upsert, matched, upsert
from mainstay.model.conditions import FALSE, Condition
from mainstay.model.structs import Entity
from mainstay.ports.kept import Kept
from mainstay.ports.paging import in_pages
from mainstay.ports.rows import Aggregate, Change, Merge, Query, Rows

BATCH = 500
"""The rows of a stream that are in memory at a time."""

Found = list[Row] | Awaitable[list[Row]]


class Session(Protocol):
    """What rows need of their transaction."""

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read behind all queued writes: its rows, or an awaitable of them where it must wait."""

    def snapshot_stream(
        self, statement: str, bindings: Sequence[Any], batch: int
    ) -> AsyncGenerator[list[Row], None] | None:
        """Give the rows of a read in batches, or None where this transaction has no cursor that stays open."""

    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:
        """Queue rows to be inserted."""

    def queue_change(self, statements: Statements, change: Change) -> None:
        """Queue a change."""

    async def apply(self, statements: Statements, change: Change) -> int:
        """Change rows behind all queued writes, and return how many."""

    async def merge(self, upsert: Upsert) -> list[Row]:
        """Add rows or change others behind all queued writes, and return those that were added or changed."""


class SqlRows(Rows[Any]):
    """Statements of one entity, run by one transaction. Reads that are answered at once never wait."""

    __slots__ = ("_session", "_statements")

    def __init__(self, session: Session, statements: Statements) -> None:
        self._session = session
        self._statements = statements

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Entity | None:
        statements = self._statements
        statement, bindings = statements.get(id, where)
        if lock:
            statement += statements.columns.dialect.locking
        found = self._session.read(statement, bindings)
        rows = found if type(found) is list else await found  # type: ignore[misc]  # a list is always a plain one
        return statements.one(rows[0]) if rows else None

    async def fetch(self, query: Query) -> list[Any]:
        statement, bindings = self._statements.select(query)
        if query.lock:
            statement += self._statements.columns.dialect.locking
        found = self._session.read(statement, bindings)
        rows = found if isinstance(found, list) else await found
        codec = self._statements.codec_of(query) if query.unread else self._statements.codec
        if len(rows) == 1:
            return [codec.one(rows[0])]
        return codec.many(rows) if rows else []

    async def keep(self, query: Query) -> list[Any] | Kept[Any]:
        statements = self._statements
        teller = statements.teller
        if teller is None or query.unread:
            return await self.fetch(query)
        found = self._session.read(*statements.select(query, kept=True))
        return SqlKept(found if isinstance(found, list) else await found, teller, statements.codec)

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        statement, bindings = self._statements.select(query)
        batches = self._session.snapshot_stream(statement, bindings, BATCH)
        if batches is None:
            async for row in in_pages(self.fetch, self._statements.table.shape, query, BATCH):
                yield row
            return
        async with aclosing(batches):
            async for rows in batches:
                for row in self._statements.codec.many(rows):
                    yield row

    async def count(self, where: Condition) -> int:
        if where is FALSE:
            return 0
        found = self._session.read(*self._statements.count(where))
        rows = found if isinstance(found, list) else await found
        return int(rows[0][0])

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        (statement, bindings), decode = self._statements.aggregate(aggregate)
        found = self._session.read(statement, bindings)
        rows = found if isinstance(found, list) else await found
        return [decode(row) for row in rows]

    def insert(self, rows: Sequence[Any]) -> None:
        self._session.queue_insert(self._statements, rows)

    def enqueue(self, change: Change) -> None:
        self._session.queue_change(self._statements, change)

    async def apply(self, change: Change) -> int:
        return await self._session.apply(self._statements, change)

    async def merge(self, merge: Merge[Any]) -> list[Any]:
        found = await self._session.merge(upsert(self._statements, merge))
        return matched(merge, self._statements.codec.many(found))
