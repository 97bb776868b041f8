"""A store in front of another one, that tells each statement to whoever watches."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any
from uuid import UUID

from mainstay.adapters.observe.statements import words
from mainstay.adapters.observe.statements.lines import asking_line
from mainstay.model.checks import KERNEL
from mainstay.model.conditions import FALSE, Condition, values
from mainstay.model.structs import Entity
from mainstay.ports.rows import Aggregate, Change, Merge, Query, Rows
from mainstay.ports.statements import Action, Statement, Watch, Watching
from mainstay.ports.store import Store, StoreInFront, Table, Transaction


class WatchedStore(StoreInFront):
    """Does what ``store`` does. A transaction that nobody watches is that of the store itself."""

    def __init__(self, store: Store, watch: Watch) -> None:
        super().__init__(store)
        self._watch = watch
        self._kept: frozenset[type[Entity]] = frozenset()

    async def start(self, tables: Sequence[Table]) -> None:
        self._kept = frozenset(table.shape.type for table in tables if table.module == KERNEL)
        await super().start(tables)

    def begin(self, **how: Any) -> Transaction:
        begun = self.store.begin(**how)
        watching = self._watch.begun()
        return begun if watching is None else WatchedTransaction(begun, watching, self._kept)


class WatchedTransaction(Transaction):
    """Does what ``transaction`` does. Writes are told when they are carried out, not when they are queued."""

    __slots__ = ("_inner", "_kept", "_queue", "_watching")

    def __init__(self, transaction: Transaction, watching: Watching | None, kept: frozenset[type[Entity]]) -> None:
        self._inner = transaction
        self._watching = watching
        self._kept = kept
        self._queue: list[Statement] = []

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        return WatchedRows(self, self._inner.rows(entity), entity, kept=entity in self._kept)

    async def flush(self) -> None:
        self._carried_out()
        await self._inner.flush()

    async def commit(self) -> None:
        self._carried_out()
        await self._inner.commit()
        self._end()

    async def rollback(self) -> None:
        try:
            await self._inner.rollback()
        finally:
            self._end()

    def ran(self, statement: Statement) -> Statement:
        """Tell of a statement that runs now, behind all that is queued."""
        self._carried_out()
        if self._watching is not None:
            self._watching.ran(statement)
        return statement

    def queue(self, statement: Statement) -> None:
        """Note a write. Rows of one entity that are added one after another are one statement."""
        last = self._queue[-1] if self._queue else None
        if last is not None and last.action == statement.action == "insert" and last.entity is statement.entity:
            last.asked = [*last.asked, *statement.asked]
            last.met = len(last.asked)
        else:
            self._queue.append(statement)

    def _carried_out(self) -> None:
        queue, self._queue = self._queue, []
        if self._watching is not None:
            for statement in queue:
                self._watching.ran(statement)

    def _end(self) -> None:
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.ended()

    def __getattr__(self, name: str) -> Any:
        """Give what a transaction has beyond the port: that of a SQL store runs the statements of ``Sql``."""
        found = getattr(self._inner, name)
        return partial(self._run, found) if name == "run" else found

    def _run(self, run: Callable[[str, Sequence[Any]], Any], text: str, bindings: Sequence[Any]) -> Any:
        statement = Statement(
            action="sql",
            entity=None,
            asked=(text, bindings),
            words=" ".join(text.split()),
            values=tuple(bindings),
            line=asking_line(),
        )
        found = run(text, bindings)
        self.ran(statement)
        if isinstance(found, list):
            statement.met = len(found)
        return found


class WatchedRows(Rows[Any]):
    """Does what ``rows`` does."""

    __slots__ = ("_entity", "_inner", "_kept", "_transaction")

    def __init__(self, transaction: WatchedTransaction, rows: Rows[Any], entity: type[Entity], *, kept: bool) -> None:
        self._transaction = transaction
        self._inner = rows
        self._entity = entity
        self._kept = kept

    def _made(self, action: Action, asked: Any, said: str, given: tuple[Any, ...], met: int | None = None) -> Statement:
        return Statement(
            action=action,
            entity=self._entity,
            asked=asked,
            words=f"{action} {self._entity.__name__}{said}",
            values=given,
            line=asking_line(),
            kept=self._kept,
            met=met,
        )

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any:
        given = (id, *_values(where))
        statement = self._transaction.ran(self._made("get", (id, where), words.get_words(where), given))
        row = await self._inner.get(id, where, lock=lock)
        statement.met = int(row is not None)
        return row

    async def fetch(self, query: Query) -> list[Any]:
        made = self._made("fetch", query, words.query_words(query), _values(query.where))
        statement = self._transaction.ran(made)
        rows = await self._inner.fetch(query)
        statement.met = len(rows)
        return rows

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        made = self._made("stream", query, words.query_words(query), _values(query.where))
        statement = self._transaction.ran(made)
        statement.met = 0
        async with aclosing(self._inner.stream(query)) as rows:
            async for row in rows:
                statement.met += 1
                yield row

    async def count(self, where: Condition) -> int:
        if where is not FALSE:  # nobody needs to be asked
            self._transaction.ran(self._made("count", where, words.count_words(where), _values(where), 1))
        return await self._inner.count(where)

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        made = self._made("aggregate", aggregate, words.aggregate_words(aggregate), _values(aggregate.where))
        statement = self._transaction.ran(made)
        groups = await self._inner.aggregate(aggregate)
        statement.met = len(groups)
        return groups

    def insert(self, rows: Sequence[Any]) -> None:
        self._inner.insert(rows)
        if rows:
            self._transaction.queue(self._made("insert", list(rows), "", (), len(rows)))

    def enqueue(self, change: Change) -> None:
        self._inner.enqueue(change)
        self._transaction.queue(self._change(change, change.expected))

    async def apply(self, change: Change) -> int:
        statement = self._transaction.ran(self._change(change, None))
        statement.met = await self._inner.apply(change)
        return statement.met

    async def merge(self, merge: Merge[Any]) -> list[Any]:
        given = _values(merge.where)
        statement = self._transaction.ran(self._made("merge", merge, words.merge_words(merge), given))
        rows = await self._inner.merge(merge)
        statement.met = sum(row is not None for row in rows)
        return rows

    def _change(self, change: Change, met: int | None) -> Statement:
        given = (*(change.changes or {}).values(), *_values(change.where), change.version)
        action: Action = "delete" if change.changes is None else "update"
        return self._made(action, change, words.change_words(change), given, met)


def _values(condition: Condition) -> tuple[Any, ...]:
    return tuple(value for _, value in values(condition))
