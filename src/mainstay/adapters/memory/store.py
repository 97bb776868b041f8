"""Rows in the memory of this process: for tests, trials and development. It keeps the rules that a database keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mainstay.adapters.memory.layout import Layout, layouts
from mainstay.adapters.memory.state import State
from mainstay.adapters.memory.transaction import MemoryTransaction
from mainstay.model.operation import Isolation
from mainstay.model.structs import Entity
from mainstay.ports.store import Capabilities, Claims, Store, Table


class MemoryClaims(Claims):
    """Claims within one process; they die with it."""

    def __init__(self) -> None:
        self._held: set[bytes] = set()

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held.add(key)
        return True

    async def drop(self, key: bytes) -> None:
        self._held.discard(key)


class MemoryStore(Store):
    """A store that ends with its process.

    A query reads the state at its first read. Commands are serialisable: one at a time, in the order in which they
    came, each from its first read or flush to its end. Unique fields, references and versions are enforced at once.
    """

    capabilities = Capabilities(inline=True, durable=False, shared=False)

    def __init__(self) -> None:
        self.claims = MemoryClaims()
        self.tables: Mapping[type[Entity], State] = {}
        self._layouts: dict[type[Entity], Layout] = {}
        self._turn = asyncio.Lock()
        self._holder: MemoryTransaction | None = None
        self._task: asyncio.Task[Any] | None = None
        self._open = False
        self._commits = 0
        self._rollbacks = 0

    async def start(self, tables: Sequence[Table]) -> None:
        """Open the store. Rows from before a ``stop`` are there again, as long as the object lives."""
        self._layouts = layouts(tables)
        self.tables = {entity: self.tables.get(entity) or State.empty(own) for entity, own in self._layouts.items()}
        self._open = True

    async def stop(self) -> None:
        async with self._turn:
            self._open = False

    def begin(
        self,
        *,
        write: bool,
        single: bool = False,  # noqa: ARG002 - a hint that memory has no use for
        deadline: float | None = None,  # noqa: ARG002 - nobody waits
        latest: bool = False,  # noqa: ARG002 - there is no replica
        isolation: Isolation = "serializable",  # noqa: ARG002 - commands run one after another
    ) -> MemoryTransaction:
        if not self._open:
            raise RuntimeError("the memory store is not open: start() it with its tables first")
        return MemoryTransaction(self, write)

    def health(self) -> str | None:
        return None if self._open else "the store is not open"

    def statistics(self) -> Mapping[str, float]:
        rows = sum(len(state.rows) for state in self.tables.values())
        return {"commits": self._commits, "rollbacks": self._rollbacks, "rows": rows}

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table. Raises ``LookupError`` for an entity that has none."""
        try:
            return self._layouts[entity]
        except KeyError:
            raise LookupError(f"{entity.__name__} has no table in this store") from None

    async def take_turn(self, transaction: MemoryTransaction) -> None:
        """Wait until the transaction is the one that may write."""
        task = asyncio.current_task()
        if self._turn.locked() and self._task is task:
            raise RuntimeError("this task has a transaction open that writes: commit it or roll it back first")
        await self._turn.acquire()
        self._holder, self._task = transaction, task

    def end(self, transaction: MemoryTransaction, changed: Mapping[type[Entity], State], *, kept: bool) -> None:
        """Take over what a transaction changed, and let the next one write."""
        if changed:
            self.tables = {**self.tables, **changed}
        if kept:
            self._commits += 1
        else:
            self._rollbacks += 1
        if self._holder is transaction:
            self._holder = self._task = None
            self._turn.release()
