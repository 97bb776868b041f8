"""A transaction of the memory store, and the rows in it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mainstay.adapters.memory.layout import Layout
from mainstay.adapters.memory.selection import aggregate, fetch, select
from mainstay.adapters.memory.state import State
from mainstay.adapters.memory.writing import change, insert
from mainstay.model.conditions import TRUE, Condition
from mainstay.model.structs import Entity
from mainstay.ports.rows import Aggregate, Change, Query, Rows
from mainstay.ports.selection import predicate
from mainstay.ports.store import Transaction

if TYPE_CHECKING:
    from mainstay.adapters.memory.store import MemoryStore


class MemoryTransaction(Transaction):
    """One unit of work: a query on the state at its first read, or the one writer of its time."""

    __slots__ = ("_base", "_ended", "_fault", "_queue", "_store", "_working", "_write", "settled")

    def __init__(self, store: MemoryStore, write: bool) -> None:
        self._store = store
        self._write = write
        self._base: Mapping[type[Entity], State] | None = None
        self._working: dict[type[Entity], State] = {}
        self._queue: list[Callable[[], Any]] = []
        self._fault: Exception | None = None
        self._ended = False
        self.settled = False  # it has begun, and nothing is queued

    def rows(self, entity: type[Entity]) -> MemoryRows:
        return MemoryRows(self, self._store.layout(entity))

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table."""
        return self._store.layout(entity)

    def state(self, entity: type[Entity]) -> State:
        """Return the rows of a table as this transaction sees them; it must have begun."""
        assert self._base is not None
        return self._working.get(entity) or self._base[entity]

    def working(self, layout: Layout) -> State:
        """Return the rows of a table to change."""
        assert self._base is not None
        state = self._working.get(layout.entity)
        if state is None:
            state = self._working[layout.entity] = self._base[layout.entity].copy()
        return state

    def queue(self, write: Callable[[], Any]) -> None:
        """Queue a write."""
        self.check_writing()
        self._queue.append(write)
        self.settled = False

    async def settle(self) -> None:
        """Begin where that was not done, and carry out what is queued."""
        self._check()
        if self._base is None:
            if self._write:
                await self._store.take_turn(self)
            self._base = self._store.tables
        queued, self._queue = self._queue, []
        for write in queued:
            self.now(write)
        self.settled = True

    def now(self, write: Callable[[], Any]) -> Any:
        """Carry out one write. A fault is kept, so that nothing can follow it but a roll-back."""
        try:
            return write()
        except Exception as fault:
            self._fault = fault
            self.settled = False
            raise

    async def flush(self) -> None:
        if self._queue or self._fault is not None:
            await self.settle()

    async def commit(self) -> None:
        self._check()
        await self.flush()
        self._store.end(self, self._working if self._write else {}, kept=True)
        self._close()

    async def rollback(self) -> None:
        if not self._ended:
            self._store.end(self, {}, kept=False)
            self._close()

    def _close(self) -> None:
        self._ended = True
        self.settled = False
        self._queue = []
        self._working = {}

    def check_writing(self) -> None:
        """Refuse a write where none may come. Raises ``TypeError`` in a transaction that was begun for reading."""
        if not self._write:
            raise TypeError("this transaction was begun for reading")
        self._check()

    def _check(self) -> None:
        if self._ended:
            raise RuntimeError("this transaction has ended: begin another one")
        if self._fault is not None:
            raise self._fault


class MemoryRows(Rows[Any]):
    """The rows of one table in one transaction."""

    __slots__ = ("_layout", "_transaction")

    def __init__(self, transaction: MemoryTransaction, layout: Layout) -> None:
        self._transaction = transaction
        self._layout = layout

    async def _state(self) -> State:
        transaction = self._transaction
        if not transaction.settled:
            await transaction.settle()
        return transaction.state(self._layout.entity)

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any | None:  # noqa: ARG002 - turns
        transaction, layout = self._transaction, self._layout
        if not transaction.settled:
            await transaction.settle()
        row = transaction.state(layout.entity).rows.get(id)
        if row is None or (where is not TRUE and not predicate(where)(row)):
            return None
        return layout.lend(row)

    async def fetch(self, query: Query) -> list[Any]:
        found = fetch(await self._state(), query)
        return [self._layout.lend(row) for row in found] if self._layout.shared else found

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        for row in fetch(await self._state(), query):
            yield self._layout.lend(row)

    async def count(self, where: Condition) -> int:
        return len(select(await self._state(), where))

    async def aggregate(self, aggregate_: Aggregate) -> list[tuple[Any, ...]]:
        return aggregate(await self._state(), self._layout, aggregate_)

    def insert(self, rows: Sequence[Any]) -> None:
        for row in rows:
            kept = self._layout.take(row)
            self._transaction.queue(partial(insert, self._transaction, self._layout, kept))

    def enqueue(self, change_: Change) -> None:
        self._transaction.queue(partial(change, self._transaction, self._layout, change_, bump=False))

    async def apply(self, change_: Change) -> int:
        transaction = self._transaction
        transaction.check_writing()
        await transaction.settle()
        return int(transaction.now(partial(change, transaction, self._layout, change_, bump=True)))
