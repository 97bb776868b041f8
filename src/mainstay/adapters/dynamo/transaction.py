"""Transactions: commands on a view of their own, queries on what is stored; and the rows in both."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from mainstay.adapters.dynamo.layout import Layout
from mainstay.adapters.dynamo.reading import Source, select
from mainstay.adapters.dynamo.view import View
from mainstay.adapters.dynamo.writing import Alteration, Insertion, Writer
from mainstay.model.conditions import TRUE, Condition
from mainstay.model.problem import SerializationConflict
from mainstay.model.structs import Entity
from mainstay.ports.rows import Aggregate, Change, Query, Rows
from mainstay.ports.selection import figures, ordered, predicate
from mainstay.ports.store import Transaction

if TYPE_CHECKING:
    from mainstay.adapters.dynamo.store import DynamoStore

T = TypeVar("T")
Write = Insertion | Alteration


class DynamoTransaction(Transaction):
    """One unit of work. Nothing is sent of a command's writes before its commit."""

    __slots__ = ("_ended", "_fault", "_in_line", "_lock", "_queue", "_store", "_view", "write")

    def __init__(self, store: DynamoStore, write: bool) -> None:
        self.write: bool = write
        self._store = store
        self._view: View | None = None
        self._queue: list[Write] = []
        self._lock = asyncio.Lock()  # the parts of a call see the view one after another
        self._fault: Exception | None = None
        self._in_line = False
        self._ended = False

    def rows(self, entity: type[Entity]) -> DynamoRows:
        return DynamoRows(self, self._store.layout(entity))

    async def read(self, read: Callable[[Source], Awaitable[T]]) -> T:
        """Run a read behind all queued writes."""
        if not self.write:
            self._check()
            return await read(self._store.stored)
        async with self._lock:
            return await self._kept(read(await self._settled()))

    def in_order(self, layout: Layout, query: Query, *, bounded: bool) -> AsyncGenerator[Any, None] | None:
        """Give rows in the order of their ids, or None where this cannot: another order, or a command."""
        if self.write or query.per is not None or not query.sort or query.sort[0].field != "id":
            return None
        self._check()
        return self._store.stored.in_order(layout, query, bounded=bounded)

    def queue(self, write: Write) -> None:
        """Queue a write."""
        self.check_writing()
        self._queue.append(write)

    async def apply(self, write: Write) -> int:
        """Carry a write out behind all queued ones."""
        self.check_writing()
        async with self._lock:
            return await self._kept(write.run(Writer(await self._settled(), self._store.layouts)))

    async def flush(self) -> None:
        if self._queue or self._fault is not None:
            async with self._lock:
                await self._settled()

    async def _settled(self) -> View:
        """Begin where that was not done, and carry out on the view what is queued."""
        self._check()
        view = self._view
        if view is None:
            self._in_line = await self._store.line.enter()
            if self._ended:
                self._leave()
                self._check()
            view = self._view = View(self._store.wire, self._store.stored)
        queue, self._queue = self._queue, []
        if queue:
            await self._kept(Writer(view, self._store.layouts).run(queue))
        return view

    async def _kept(self, work: Awaitable[T]) -> T:
        """Wait for a piece of work. A fault is kept, so that nothing can follow it but a roll-back."""
        try:
            return await work
        except Exception as fault:
            self._fault = fault
            if isinstance(fault, SerializationConflict):
                self._store.conflicts += 1
                self._store.line.met()
            raise

    async def commit(self) -> None:
        self._check()
        async with self._lock:
            if self._queue:
                await self._settled()
            if self._view is not None:
                await self._kept(self._view.commit())
            self._store.commits += 1
            self._end()

    async def rollback(self) -> None:
        if not self._ended:
            self._store.rollbacks += 1
            self._end()

    def _end(self) -> None:
        self._ended = True
        self._queue = []
        self._view = None
        self._leave()

    def _leave(self) -> None:
        if self._in_line:
            self._in_line = False
            self._store.line.leave()

    def check_writing(self) -> None:
        """Refuse a write where none may come. Raises ``TypeError`` in a transaction that was begun for reading."""
        if not self.write:
            raise TypeError("this transaction was begun for reading: make the use case a command")
        self._check()

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction has ended: begin another one")
        if self._fault is not None:
            raise self._fault


class DynamoRows(Rows[Any]):
    """The rows of one table in one transaction."""

    __slots__ = ("_layout", "_transaction")

    def __init__(self, transaction: DynamoTransaction, layout: Layout) -> None:
        self._transaction = transaction
        self._layout = layout

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any | None:  # noqa: ARG002 - checked
        key = self._layout.row(id)
        item = (await self._transaction.read(lambda source: source.items([key]))).get(key)
        if item is None:
            return None
        row = self._layout.codec.decode(item)
        return row if where is TRUE or predicate(where)(row) else None

    async def _select(self, where: Condition) -> list[Any]:
        found = await self._transaction.read(lambda source: select(source, self._layout, where))
        return [row for _, row in found]

    async def fetch(self, query: Query) -> list[Any]:
        rows = None if query.limit is None else self._transaction.in_order(self._layout, query, bounded=True)
        if rows is None:
            return ordered(await self._select(query.where), query)
        async with aclosing(rows):
            return [row async for row in rows]

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        rows = self._transaction.in_order(self._layout, query, bounded=False)
        if rows is None:
            for row in ordered(await self._select(query.where), query):
                yield row
            return
        async with aclosing(rows):
            async for row in rows:
                yield row

    async def count(self, where: Condition) -> int:
        return len(await self._select(where))

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        return figures(await self._select(aggregate.where), aggregate, self._layout.shape.by_name)

    def insert(self, rows: Sequence[Any]) -> None:
        for row in rows:
            self._transaction.queue(Insertion(self._layout, self._layout.codec.encode(row)))

    def enqueue(self, change: Change) -> None:
        self._transaction.queue(self._change(change, bump=False))

    async def apply(self, change: Change) -> int:
        self._transaction.check_writing()
        return await self._transaction.apply(self._change(change, bump=True))

    def _change(self, change: Change, *, bump: bool) -> Write:
        given = None if change.changes is None else self._layout.codec.changes(change.changes)
        return Alteration(self._layout, change, given, bump)
