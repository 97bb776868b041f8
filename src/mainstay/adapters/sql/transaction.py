"""Transactions of the SQLite store: commands on the writer's turn, queries on a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.conflicts import delete_conflict, insert_conflict, update_conflict
from mainstay.adapters.sql.rows import Found, SqlRows
from mainstay.adapters.sql.sqlite import ConstraintFailed, Snapshot, SqliteEngine, Turn
from mainstay.adapters.sql.statements import Statements
from mainstay.model.problem import NotFound, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, Rows
from mainstay.ports.store import Transaction

Catalog = Mapping[type[Entity], Statements]


class Insert(NamedTuple):
    """Encoded rows to be inserted."""

    statements: Statements
    rows: list[Row]

    def run(self, turn: Turn) -> None:
        """Insert the rows."""
        try:
            if len(self.rows) == 1:
                turn.execute(self.statements.insert, self.rows[0])
            else:
                turn.executemany(self.statements.insert, self.rows)
        except ConstraintFailed as error:
            raise insert_conflict(error, self.statements, self.rows, turn.execute) from error


class Alteration(NamedTuple):
    """A change, with its statement. It was bound when it was queued: what the caller changes since does not matter."""

    statements: Statements
    change: Change
    statement: str
    bindings: Sequence[Any]

    def run(self, turn: Turn) -> int:
        """Carry the change out, and return how many rows it met."""
        statements, change = self.statements, self.change
        try:
            turn.execute(self.statement, self.bindings)
        except ConstraintFailed as error:
            if change.changes is None:
                raise delete_conflict(error, statements) from error
            raise update_conflict(error, statements, change.changes, turn.execute) from error
        met = turn.changes
        if change.expected is not None and met != change.expected:
            if change.version is not None and turn.execute(*statements.exists(change.where)):
                raise StaleVersion(f"the {statements.name} was changed since it was read")
            raise NotFound(f"there is no such {statements.name}")
        return met


def statements_of(catalog: Catalog, entity: type[Entity]) -> Statements:
    """Return the statements of an entity. Raises ``LookupError`` where it has no table."""
    try:
        return catalog[entity]
    except KeyError:
        raise LookupError(f"{entity.__name__} has no table in this store") from None


def _alteration(statements: Statements, change: Change, *, bump: bool) -> Alteration:
    if change.changes is None:
        bound = statements.delete(change.where, change.version)
    else:
        bound = statements.update(change.where, change.changes, change.version, bump=bump)
    return Alteration(statements, change, *bound)


def _ended() -> RuntimeError:
    return RuntimeError("this transaction has ended: begin another one")


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
        return SqlRows(self, self.statements(entity))

    def statements(self, entity: type[Entity]) -> Statements:
        """Return the statements of an entity. Raises ``LookupError`` where it has no table."""
        return statements_of(self._catalog, entity)

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read."""
        if self._ended:
            raise _ended()
        if self._single:
            return self._engine.read(statement, bindings)
        return self._view().fetch(statement, bindings)

    def snapshot_stream(self, statement: str, bindings: Sequence[Any], batch: int) -> AsyncGenerator[list[Row], None]:
        """Give the rows of a read in batches."""
        if self._ended:
            raise _ended()
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


def _reads_only(statements: Statements) -> TypeError:
    return TypeError(f"{statements.name}: this transaction was begun for reading: make the use case a command")


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
        self._queue: list[Insert | Alteration] = []
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

    async def _read_behind(self, statement: str, bindings: Sequence[Any]) -> list[Row]:
        turn = await self._ready()
        return turn.execute(statement, bindings)

    def snapshot_stream(self, statement: str, bindings: Sequence[Any], batch: int) -> None:
        """Return None: rows may be written while a stream is read."""

    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:
        """Queue rows to be inserted."""
        self._check()
        if not rows:
            return
        encoded = list(map(statements.codec.encode, rows))
        last = self._queue[-1] if self._queue else None
        if isinstance(last, Insert) and last.statements is statements:
            last.rows.extend(encoded)
        else:
            self._queue.append(Insert(statements, encoded))

    def queue_change(self, statements: Statements, change: Change) -> None:
        """Queue a change."""
        self._check()
        self._queue.append(_alteration(statements, change, bump=False))

    async def apply(self, statements: Statements, change: Change) -> int:
        """Change rows behind all queued writes, and return how many there were."""
        self._check()
        alteration = _alteration(statements, change, bump=True)
        turn = await self._ready()
        try:
            return alteration.run(turn)
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
            raise _ended()

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
                    write.run(turn)
            except Exception as error:
                self._failure = error
                raise
        return turn

    async def _take(self) -> Turn:
        """Take the turn once, though several parts of a call may ask at the same time."""
        while self._turn is None:
            if self._ended:
                raise _ended()
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
            raise _ended()
        return turn
