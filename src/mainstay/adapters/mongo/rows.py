"""The rows of one table in one transaction."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol, TypeVar
from uuid import UUID

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection

from mainstay.adapters.mongo import reading
from mainstay.adapters.mongo.codec import Document
from mainstay.adapters.mongo.faults import told
from mainstay.adapters.mongo.filters import filter_of
from mainstay.adapters.mongo.guards import TOUCH
from mainstay.adapters.mongo.layout import Layout
from mainstay.adapters.mongo.writing import Alteration, Insert, alteration
from mainstay.model.conditions import TRUE, Compare, Condition
from mainstay.ports.paging import in_pages
from mainstay.ports.rows import Aggregate, Change, Query, Rows

T = TypeVar("T")
Read = Callable[[AsyncCollection[Document], AsyncClientSession | None], Awaitable[T]]


class Transactional(Protocol):
    """What rows need of their transaction."""

    @property
    def pinned(self) -> bool:
        """Whether all reads are of one moment that no write of this transaction changes."""

    async def read(self, layout: Layout, read: Read[T]) -> T:
        """Run a read behind all queued writes."""

    def open(self, layout: Layout, query: Query) -> AsyncGenerator[Document, None]:
        """Give documents from the one moment of this transaction."""

    def met(self, layout: Layout, condition: Condition | None, found: int) -> None:
        """Note how many rows a read found, and by which condition (None: it looked for rows)."""

    def queue(self, write: Insert | Alteration) -> None:
        """Queue a write. Raises ``TypeError`` where the transaction was begun for reading."""

    async def apply(self, write: Alteration) -> int:
        """Carry out a change behind all queued writes, and return how many rows it met."""


class MongoRows(Rows[Any]):
    """Reads and writes of one collection."""

    __slots__ = ("_layout", "_transaction")

    def __init__(self, transaction: Transactional, layout: Layout) -> None:
        self._transaction = transaction
        self._layout = layout

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any | None:
        layout = self._layout
        wanted: Document = {"_id": id}
        without = reading.without(layout)
        if where is not TRUE:
            wanted = {"$and": [wanted, filter_of(where, layout.fields)]}

        def read(
            collection: AsyncCollection[Document], session: AsyncClientSession | None
        ) -> Coroutine[Any, Any, Document | None]:
            if lock:  # to write to it keeps others away, and meets who has it
                return collection.find_one_and_update(wanted, {"$inc": {TOUCH: 1}}, without, session=session)
            return collection.find_one(wanted, without, session=session)

        document = await self._transaction.read(layout, read)
        self._transaction.met(layout, Compare("id", "eq", id) & where, 0 if document is None else 1)
        return None if document is None else layout.codec.decode(document)

    async def fetch(self, query: Query) -> list[Any]:
        layout = self._layout
        documents = await self._transaction.read(
            layout, lambda collection, session: reading.fetch(collection, layout, query, session)
        )
        self._transaction.met(layout, query.where, len(documents))
        return [layout.codec.decode(document, query.unread) for document in documents]

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        if not self._transaction.pinned:
            async for row in in_pages(self.fetch, self._layout.shape, query, reading.BATCH):
                yield row
            return
        with told(self._layout):
            async with aclosing(self._transaction.open(self._layout, query)) as documents:
                async for document in documents:
                    yield self._layout.codec.decode(document)

    async def count(self, where: Condition) -> int:
        layout = self._layout
        found = await self._transaction.read(
            layout, lambda collection, session: reading.count(collection, layout, where, session)
        )
        self._transaction.met(layout, where, found)
        return found

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        layout = self._layout
        found = await self._transaction.read(
            layout, lambda collection, session: reading.aggregate(collection, layout, aggregate, session)
        )
        self._transaction.met(layout, None, 0)
        return found

    def insert(self, rows: Sequence[Any]) -> None:
        if rows:  # the driver takes no empty list
            self._transaction.queue(Insert(self._layout, [self._layout.codec.encode(row) for row in rows]))

    def enqueue(self, change: Change) -> None:
        self._transaction.queue(alteration(self._layout, change, bump=False))

    async def apply(self, change: Change) -> int:
        return await self._transaction.apply(alteration(self._layout, change, bump=True))
