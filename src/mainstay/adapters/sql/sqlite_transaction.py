"""Transactions of the SQLite store: commands on the writer's turn, queries on a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, ClassVar, TypeVar

from mainstay.adapters.sql.catalog import Catalog, statements_of
from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.conflicts import delete_conflict, insert_conflict, update_conflict
from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.dialects.sqlite import SqliteDialect
from mainstay.adapters.sql.faults import ConstraintFailed
from mainstay.adapters.sql.read_only import ReadOnly
from mainstay.adapters.sql.rows import Found, SqlRows
from mainstay.adapters.sql.sqlite import Snapshot, SqliteEngine, Turn
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.upserts import Upsert
from mainstay.adapters.sql.writes import Insert, Write, alteration, ended, missed, queue_insert
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, Rows
from mainstay.ports.store import Transaction

T = TypeVar("T")


def _run_write(write: Write, turn: Turn) -> int:
    """Carry a write out, and return how many rows a change met."""
    if isinstance(write, Insert):
        return _run_insert(write, turn)
    statements, change = write.statements, write.change
    try:
        turn.execute(write.statement, write.bindings)
    except ConstraintFailed as error:
        if change.changes is None:
            raise delete_conflict(error, statements) from error
        raise update_conflict(error, statements, change.changes, turn.execute) from error
    met = turn.changes
    if change.expected is not None and met != change.expected:
        there = change.version is not None and turn.execute(*statements.exists(change.where))
        raise missed(write, there=bool(there))
    return met


def _run_insert(write: Insert, turn: Turn) -> int:
    statements, rows = write
    try:
        if len(rows) == 1:
            turn.execute(statements.insert, rows[0])
        else:
            turn.executemany(statements.insert, rows)
    except ConstraintFailed as error:
        raise insert_conflict(error, statements, rows, turn.execute) from error
    return len(rows)


def _run_upsert(upsert: Upsert, turn: Turn) -> list[Row]:
    """Carry an upsert out, and return the rows that were added or changed."""
    try:
        return [row for statement, bindings in upsert.parts() for row in turn.execute(statement, bindings)]
    except ConstraintFailed as error:
        raise insert_conflict(error, upsert.statements, upsert.rows, turn.execute) from error


class QueryTransaction(ReadOnly, Transaction):
    """Reads only: one read by itself, or several on one snapshot."""

    __slots__ = ("_catalog", "_ended", "_engine", "_single", "_snapshot")

    dialect: ClassVar[Dialect] = SqliteDialect()

    def __init__(self, engine: SqliteEngine, catalog: Catalog, single: bool) -> None:
        self._engine = engine
        self._catalog = catalog
        self._single = single
        self._snapshot: Snapshot | None = None
        self._ended = False

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        found = self._catalog.get(entity)
        return SqlRows(self, self.statements(entity) if found is None else found)

    def statements(self, entity: type[Entity]) -> Statements:
        """Return the statements of an entity. Raises ``LookupError`` where it has no table."""
        return statements_of(self._catalog, entity)

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read."""
        if self._ended:
            raise ended()
        if self._single:
            return self._engine.read(statement, bindings)
        return self._view().fetch(statement, bindings)

    run = read  # the signs that statements are written with are those of this driver

    def snapshot_stream(self, statement: str, bindings: Sequence[Any], batch: int) -> AsyncGenerator[list[Row], None]:
        """Give the rows of a read in batches."""
        if self._ended:
            raise ended()
        return self._view().stream(statement, bindings, batch=batch)

    async def flush(self) -> None:
        """Do nothing: nothing is queued."""

    async def commit(self) -> None:
        """End the snapshot."""
        self._end()

    async def rollback(self) -> None:
        """End the snapshot."""
        self._ended = True
        if self._snapshot is not None:
            self._end()

    def _view(self) -> Snapshot:
        if self._snapshot is None:
            self._snapshot = self._engine.snapshot(single=self._single)
        return self._snapshot

    def _end(self) -> None:
        self._ended = True
        if self._snapshot is not None:
            self._snapshot.close()
            self._snapshot = None


class CommandTransaction(Transaction):
    """Reads and writes on the writer's turn, which is taken at the first read, or at the flush where there is none.

    Writes are queued, and carried out in order before the next read, at a flush and at the commit. After a write that
    failed the transaction can only be rolled back, and says so by the same problem.
    """

    __slots__ = ("_catalog", "_ended", "_engine", "_failure", "_left", "_queue", "_taking", "_turn")

    dialect: ClassVar[Dialect] = SqliteDialect()

    def __init__(self, engine: SqliteEngine, catalog: Catalog, left: Callable[[], float] | None) -> None:
        self._engine = engine
        self._catalog = catalog
        self._left = left  # seconds until the deadline
        self._queue: list[Write] = []
        self._turn: Turn | None = None
        self._taking: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._ended = False

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        return SqlRows(self, self.statements(entity))

    def statements(self, entity: type[Entity]) -> Statements:
        """Return the statements of an entity. Raises ``LookupError`` where it has no table."""
        return statements_of(self._catalog, entity)

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read behind all queued writes."""
        if self._turn is not None and not self._queue and self._failure is None:
            return self._turn.execute(statement, bindings)
        return self._read_behind(statement, bindings)

    run = read  # as above

    async def _read_behind(self, statement: str, bindings: Sequence[Any]) -> list[Row]:
        turn = await self._ready()
        return turn.execute(statement, bindings)

    def snapshot_stream(self, statement: str, bindings: Sequence[Any], batch: int) -> None:
        """Return None: rows may be written while a stream is read."""

    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:
        """Queue rows to be inserted."""
        self._check()
        queue_insert(self._queue, statements, rows)

    def queue_change(self, statements: Statements, change: Change) -> None:
        """Queue a change."""
        self._check()
        self._queue.append(alteration(statements, change, bump=False))

    async def apply(self, statements: Statements, change: Change) -> int:
        """Change rows behind all queued writes, and return how many there were."""
        self._check()
        written = alteration(statements, change, bump=True)
        return await self._now(lambda turn: _run_write(written, turn))

    async def merge(self, upsert: Upsert) -> list[Row]:
        """Add rows or change others behind all queued writes."""
        self._check()
        return await self._now(lambda turn: _run_upsert(upsert, turn))

    async def _now(self, write: Callable[[Turn], T]) -> T:
        turn = await self._ready()
        try:
            return write(turn)
        except Exception as error:
            self._failure = error
            raise

    async def flush(self) -> None:
        if self._queue or self._failure is not None:
            await self._ready()

    async def commit(self) -> None:
        self._check()
        await self.flush()
        turn, self._turn = self._turn, None
        self._ended = True
        if turn is not None:
            await turn.commit()

    async def rollback(self) -> None:
        turn, self._turn = self._turn, None
        self._ended = True
        self._queue.clear()
        if turn is not None:
            await turn.rollback()

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise ended()

    async def _ready(self) -> Turn:
        """Return the turn, taken now where it was not, with all queued writes carried out."""
        self._check()
        turn = self._turn
        if turn is None:
            turn = await self._take()
        if self._queue:
            queue, self._queue = self._queue, []
            try:
                for write in queue:
                    _run_write(write, turn)
            except Exception as error:
                self._failure = error
                raise
        return turn

    async def _take(self) -> Turn:
        """Take the turn once, though several parts of a call may ask at the same time."""
        while self._turn is None:
            if self._ended:
                raise ended()
            if self._taking is not None:
                await asyncio.shield(self._taking)
                continue
            given = self._engine.turn(patience=None if self._left is None else self._left())
            self._turn = given if isinstance(given, Turn) else await self._wait(given)
        return self._turn

    async def _wait(self, given: Awaitable[Turn]) -> Turn:
        """Wait for the turn until the deadline."""
        self._taking = asyncio.get_running_loop().create_future()
        try:
            turn = await given
        finally:
            self._taking.set_result(None)
            self._taking = None
        if self._ended:  # rolled back while it waited
            turn.abandon()
            raise ended()
        return turn
