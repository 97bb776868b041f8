"""Transactions on a database server: commands on a connection of their own, queries on a snapshot."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Generic

from mainstay.adapters.sql.catalog import statements_of
from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.outages import ConnectionLost, StaleStatement, away, commit_unknown, in_doubt, rolled_back
from mainstay.adapters.sql.pooling import L
from mainstay.adapters.sql.read_only import ReadOnly
from mainstay.adapters.sql.replica import GIVEN_UP, lent, told
from mainstay.adapters.sql.rows import Found, SqlRows
from mainstay.adapters.sql.server import Server
from mainstay.adapters.sql.server_writing import Group, Writer
from mainstay.adapters.sql.statements import Statements
from mainstay.adapters.sql.upserts import Upsert
from mainstay.adapters.sql.writes import Write, alteration, ended, queue_insert
from mainstay.model.operation import Isolation
from mainstay.model.problem import DeadlineExceeded, NotCommitted, SerializationConflict
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, Rows
from mainstay.ports.store import Transaction

Left = Callable[[], float | None]
"""Returns the seconds until the call's deadline, or None where it has none."""

_COMMIT_SECONDS = 30.0
_ROLLBACK_SECONDS = 2.0  # who is late already waits for no longer: the server undoes what its client has left


class _ServerTransaction(Transaction, Generic[L]):
    """What queries and commands have in common: the server, and reads that are written for any database."""

    __slots__ = ("_ended", "_engine", "_left", "_link", "_lock", "_server", "dialect")

    def __init__(self, server: Server[L], left: Left) -> None:
        self.dialect = server.dialect
        self._server = server
        self._engine = server.engine
        self._left = left
        self._link: L | None = None
        self._lock = asyncio.Lock()
        self._ended = False

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        found = self._server.catalog.get(entity)
        return SqlRows(self, self.statements(entity) if found is None else found)

    def statements(self, entity: type[Entity]) -> Statements:
        """Return the statements of an entity. Raises ``LookupError`` where it has no table."""
        return statements_of(self._server.catalog, entity)

    def read(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read, in a command behind all queued writes."""
        return self.run(self._server.text(statement), bindings)

    @abstractmethod
    def run(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read that is written in the driver's own signs."""

    @abstractmethod
    def snapshot_stream(
        self, statement: str, bindings: Sequence[Any], batch: int
    ) -> AsyncGenerator[list[Row], None] | None:
        """Give the rows of a read in batches, or None where they are read page by page."""

    @abstractmethod
    def queue_insert(self, statements: Statements, rows: Sequence[Any]) -> None:
        """Queue rows to be inserted."""

    @abstractmethod
    def queue_change(self, statements: Statements, change: Change) -> None:
        """Queue a change."""

    @abstractmethod
    async def apply(self, statements: Statements, change: Change) -> int:
        """Change rows now, and return how many there were."""

    @abstractmethod
    async def merge(self, upsert: Upsert) -> list[Row]:
        """Add rows or change others now, and return those that were added or changed."""


class QueryTransaction(ReadOnly, _ServerTransaction[L]):
    """Reads only: one read by itself, or several on one snapshot."""

    __slots__ = ("_pool", "_single")

    def __init__(self, server: Server[L], *, single: bool, left: Left, latest: bool) -> None:
        super().__init__(server, left)
        self._pool = server.engine.query_pool(latest=latest)
        self._single = single and server.engine.statements_commit

    def run(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read that is written in the driver's own signs."""
        if self._ended:
            raise ended()
        return self._read_alone(statement, bindings) if self._single else self._read(statement, bindings)

    async def _read_alone(self, text: str, bindings: Sequence[Any]) -> list[Row]:
        """Run the one read of a query; once more on another connection where the first one was of no use."""
        for last in (False, True):
            link, pool = await lent(self._pool, self._engine.readers, self._left())
            try:
                return await link.fetch(text, bindings, self._left())
            except GIVEN_UP as error:
                if last:
                    raise told(error) from error
                self._pool = self._engine.readers
            finally:
                pool.give(link)
        raise AssertionError("unreachable")

    async def _read(self, text: str, bindings: Sequence[Any]) -> list[Row]:
        async with self._lock:
            for last in (False, True):
                begun = self._link is not None
                try:
                    link = await self._ready()
                    return await link.fetch(text, bindings, self._left())
                except GIVEN_UP as error:
                    if begun or last:  # another connection would see another snapshot
                        raise told(error) from error
                    await self._let_go()
                    self._pool = self._engine.readers
        raise AssertionError("unreachable")

    async def _ready(self) -> L:
        if self._ended:
            raise ended()
        if self._link is None:
            self._link, self._pool = await lent(self._pool, self._engine.readers, self._left())
            await self._link.execute(self._engine.begin_query, self._left())
        return self._link

    def snapshot_stream(
        self, statement: str, bindings: Sequence[Any], batch: int
    ) -> AsyncGenerator[list[Row], None] | None:
        """Give the rows of a read in batches; None where they are read page by page, of the same snapshot."""
        if not self._server.streams:
            self._single = False
            return None
        return self._stream(self._server.text(statement), bindings, batch)

    async def _stream(self, text: str, bindings: Sequence[Any], batch: int) -> AsyncGenerator[list[Row], None]:
        try:
            async with self._lock:
                link = await self._ready()
        except ConnectionLost as error:
            raise away(error) from error
        batches = self._server.stream(link, text, bindings, batch)
        try:
            while True:
                async with self._lock:
                    rows = await anext(batches, None)
                if rows is None:
                    return
                yield rows
        except (ConnectionLost, StaleStatement) as error:
            raise away(error) from error
        finally:
            await batches.aclose()

    async def flush(self) -> None:
        """Do nothing: there is nothing to be written."""

    async def commit(self) -> None:
        await self.rollback()

    async def rollback(self) -> None:
        self._ended = True
        if self._link is not None or self._lock.locked():  # a read by itself has given its connection back
            async with self._lock:
                await self._let_go()

    async def _let_go(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await give_back(link, self._pool.give)


async def give_back(link: L, give: Callable[[L], None]) -> None:
    """End a connection's transaction, if one is open, and give it back; where that fails, the connection ends."""
    try:
        if not link.closed and link.in_transaction:
            await link.execute("ROLLBACK", _ROLLBACK_SECONDS)
    except (ConnectionLost, DeadlineExceeded):
        link.terminate()
    finally:
        give(link)


class CommandTransaction(_ServerTransaction[L]):
    """Reads and writes. Writes are queued, and carried out in order before the next read, at a flush or at the end.

    A transaction is begun by the first read. A command that only writes has none where its writes go as one statement.
    """

    __slots__ = ("_begin", "_done", "_failure", "_queue")

    def __init__(self, server: Server[L], *, left: Left, isolation: Isolation) -> None:
        super().__init__(server, left)
        self._begin = server.engine.begin_command(isolation)
        self._queue: list[Write] = []
        self._done: list[Write | Upsert] = []  # to be told anew, should it be asked which of them broke a rule
        self._failure: Exception | None = None

    def run(self, statement: str, bindings: Sequence[Any]) -> Found:
        """Run a read that is written in the driver's own signs, behind all queued writes."""
        self._check()
        return self._read(statement, bindings)

    async def _read(self, text: str, bindings: Sequence[Any]) -> list[Row]:
        async with self._lock:
            link = await self._ready()
            with self._noting():
                return await link.fetch(text, bindings, self._left())

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
        write = alteration(statements, change, bump=True)
        async with self._lock:
            link = await self._ready()
            with self._noting():
                met = await self._writer(link).one(write)
        self._done.append(write)
        return met

    async def merge(self, upsert: Upsert) -> list[Row]:
        """Add rows or change others behind all queued writes."""
        self._check()
        async with self._lock:
            link = await self._ready()
            with self._noting():
                found = await self._writer(link).merge(upsert)
        self._done.append(upsert)
        return found

    async def flush(self) -> None:
        if self._queue or self._failure is not None:
            async with self._lock:
                await self._ready()

    async def commit(self) -> None:
        self._check()
        async with self._lock:
            with self._noting():
                await self._commit()
        self._ended = True

    async def _commit(self) -> None:
        queue, self._queue = self._queue, []
        groups = list(self._server.grouped(queue))
        if self._link is None:
            if not groups:
                return
            if len(groups) == 1 and self._engine.statements_commit and self._server.stands_alone(groups[0]):
                alone = partial(self._commit_alone, groups[0])
                await self._server.commit_alone(groups[0], alone, self._left())
                return
            self._link = await self._engine.writers.take(self._left())
            await self._link.execute(self._begin, self._left())
        await self._carry_out(self._link, groups)
        await self._end(self._link)

    async def _commit_alone(self, group: Group) -> None:
        """Carry a group out as a statement that commits itself."""
        link = self._link = await self._engine.writers.take(self._left())
        try:
            succeeded = await self._writer(link, _COMMIT_SECONDS).carry_out(group)
        except (ConnectionLost, DeadlineExceeded) as error:
            if not in_doubt(error):
                raise
            link.terminate()
            raise commit_unknown(error) from error
        if not succeeded:
            await self._writer(link).diagnose(group)
        await self._let_go()

    async def _end(self, link: L) -> None:
        try:
            committed = await link.commit(_COMMIT_SECONDS)
        except (ConnectionLost, DeadlineExceeded) as error:
            if not in_doubt(error):
                raise
            link.terminate()
            raise commit_unknown(error) from error
        if not committed:
            raise rolled_back(None)
        await self._let_go()

    async def rollback(self) -> None:
        self._ended = True
        self._queue.clear()
        async with self._lock:
            await self._let_go()

    async def _let_go(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await give_back(link, self._engine.writers.give)

    def _check(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise ended()

    async def _ready(self) -> L:
        """Return the connection, in a transaction begun now where it was not, with all queued writes carried out."""
        self._check()
        with self._noting():
            link = self._link
            if link is None:
                link = self._link = await self._engine.writers.take(self._left())
                await link.execute(self._begin, self._left())
            if self._queue:
                queue, self._queue = self._queue, []
                await self._carry_out(link, list(self._server.grouped(queue)))
        return link

    async def _carry_out(self, link: L, groups: list[Group]) -> None:
        writer = self._writer(link)
        for group in groups:
            if not await writer.carry_out(group):
                await writer.diagnose([*self._done, *group])
            self._done.extend(group)

    def _writer(self, link: L, timeout: float | None = None) -> Writer[L]:
        return self._server.writer(link, self._left() if timeout is None else timeout, self._begin)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what fails, and raise it as a Problem; it is raised again of whatever else is asked for."""
        try:
            yield
        except ConnectionLost as error:
            raise self._noted(rolled_back(error)) from error
        except StaleStatement as error:
            raise self._noted(SerializationConflict("the schema was changed meanwhile")) from error
        except Exception as error:
            self._noted(error)
            raise
        except BaseException:
            if self._link is not None:  # nobody knows what of it was carried out: none of it may be committed
                self._noted(NotCommitted("a statement of this change was given up"))
            raise

    def _noted(self, failure: Exception) -> Exception:
        if self._failure is None:
            self._failure = failure
        return failure
