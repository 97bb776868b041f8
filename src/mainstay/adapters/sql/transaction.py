"""Transactions of the SQLite store: commands on the writer's turn, queries on a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.conflicts import change_conflict, insert_conflict
from mainstay.adapters.sql.rows import Found, SqlRows
from mainstay.adapters.sql.sqlite import ConstraintFailed, Snapshot, SqliteEngine, Turn
from mainstay.adapters.sql.statements import Statements
from mainstay.model.problem import DeadlineExceeded, NotFound, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, Rows
from mainstay.ports.store import Transaction

Catalog = Mapping[type[Entity], Statements]
Write = tuple[Statements, Sequence[Any] | Change]
"""Rows to be inserted, or a change."""


class _Ended(RuntimeError):
    def __init__(self) -> None:
        super().__init__("the transaction has ended: begin another one")


class QueryTransaction(Transaction):
    """Reads only: one read by itself, or several on one snapshot."""

    __slots__ = ("_catalog", "_ended", "_engine", "_single", "_snapshot")

    def __init__(self, engine: SqliteEngine, catalog: Catalog, single: bool) -> None:
        self._engine = engine
        self._catalog = catalog
        self._single = single
        self._snapshot: Snapshot | None = None
        self._ended = False

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        return SqlRows(self, self._catalog[entity])

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read."""
        if self._ended:
            raise _Ended
        if self._single:
            return self._engine.read(statement, bindings)
        return self._view().fetch(statement, bindings)

    def snapshot_stream(self, statement: str, bindings: Sequence[Any], batch: int) -> AsyncIterator[list[Row]]:
        """Give the rows of a read in batches."""
        if self._ended:
            raise _Ended
        return self._view().stream(statement, bindings, batch=batch)

    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:  # noqa: ARG002
        """Refuse to write."""
        raise _reads_only(statements)

    def queue_change(self, statements: Statements, change: Change) -> None:  # noqa: ARG002
        """Refuse to write."""
        raise _reads_only(statements)

    async def apply(self, statements: Statements, change: Change) -> int:  # noqa: ARG002
        """Refuse to write."""
        raise _reads_only(statements)

    async def flush(self) -> None:
        """Do nothing: nothing is queued."""

    async def commit(self) -> None:
        """End the snapshot."""
        self._end()

    async def rollback(self) -> None:
        """End the snapshot."""
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


def _reads_only(statements: Statements) -> RuntimeError:
    return RuntimeError(f"{statements.name}: a query changes nothing: make the use case a command")


class CommandTransaction(Transaction):
    """Reads and writes on the writer's turn, which is taken at the first read, or at the flush where there is none.

    Writes are queued, and carried out in order before the next read, at a flush and at the commit. After a write that
    failed the transaction can only be rolled back, and says so by the same problem.
    """

    __slots__ = ("_catalog", "_ended", "_engine", "_failure", "_left", "_queue", "_taking", "_turn")

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
        return SqlRows(self, self._catalog[entity])

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read behind all queued writes."""
        if self._turn is not None and not self._queue and self._failure is None:
            return self._turn.execute(statement, bindings)
        return self._read_behind(statement, bindings)

    async def _read_behind(self, statement: str, bindings: Sequence[Any]) -> list[Row]:
        turn = await self._ready()
        return turn.execute(statement, bindings)

    def snapshot_stream(self, statement: str, bindings: Sequence[Any], batch: int) -> None:
        """Return None: rows may be written while a stream is read."""

    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:
        """Queue rows to be inserted."""
        if self._ended:
            raise _Ended
        if rows:
            self._queue.append((statements, rows))

    def queue_change(self, statements: Statements, change: Change) -> None:
        """Queue a change."""
        if self._ended:
            raise _Ended
        self._queue.append((statements, change))

    async def apply(self, statements: Statements, change: Change) -> int:
        """Change rows behind all queued writes, and return how many there were."""
        turn = await self._ready()
        try:
            return _change(turn, statements, change)
        except Exception as error:
            self._failure = error
            raise

    async def flush(self) -> None:
        if self._queue or self._failure is not None:
            await self._ready()

    async def commit(self) -> None:
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

    async def _ready(self) -> Turn:
        """Return the turn, taken now where it was not, with all queued writes carried out."""
        if self._failure is not None:
            raise self._failure
        turn = self._turn
        if turn is None:
            turn = await self._take()
        if self._queue:
            queue, self._queue = self._queue, []
            try:
                _carry_out(turn, queue)
            except Exception as error:
                self._failure = error
                raise
        return turn

    async def _take(self) -> Turn:
        """Take the turn once, though several parts of a call may ask at the same time."""
        while self._turn is None:
            if self._ended:
                raise _Ended
            if self._taking is not None:
                await asyncio.shield(self._taking)
                continue
            given = self._engine.turn()
            self._turn = given if isinstance(given, Turn) else await self._wait(given)
        return self._turn

    async def _wait(self, given: Awaitable[Turn]) -> Turn:
        self._taking = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(None if self._left is None else max(self._left(), 0)):
                turn = await given
        except TimeoutError:
            raise DeadlineExceeded("the call waited for the database's writer until its deadline") from None
        finally:
            self._taking.set_result(None)
            self._taking = None
        if self._ended:  # rolled back while it waited
            turn.abandon()
            raise _Ended
        return turn


def _carry_out(turn: Turn, queue: list[Write]) -> None:
    for statements, write in queue:
        if isinstance(write, Change):
            _change(turn, statements, write)
        else:
            _insert(turn, statements, write)


def _insert(turn: Turn, statements: Statements, rows: Sequence[Any]) -> None:
    encode = statements.codec.encode
    try:
        if len(rows) == 1:
            turn.execute(statements.insert, encode(rows[0]))
        else:
            turn.executemany(statements.insert, map(encode, rows))
    except ConstraintFailed as error:
        raise insert_conflict(error, statements, rows, turn.execute) from error


def _change(turn: Turn, statements: Statements, change: Change) -> int:
    where, version = change.where, change.version
    if change.changes is None:
        bound = statements.delete(where, version)
    else:
        bound = statements.update(where, change.changes, version)
    try:
        turn.execute(*bound)
    except ConstraintFailed as error:
        raise change_conflict(error, statements, change, turn.execute) from error
    met = turn.changes
    if change.expected is not None and met != change.expected:
        if version is not None and turn.execute(*statements.exists(where)):
            raise StaleVersion
        raise NotFound(f"there is no such {statements.name}")
    return met
