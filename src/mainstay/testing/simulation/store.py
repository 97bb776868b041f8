"""A store on a simulated database: what one process has of it, over a line on which things are lost and late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from mainstay.adapters.memory.layout import Layout
from mainstay.model.conditions import Condition
from mainstay.model.operation import Isolation
from mainstay.model.problem import CommitUnknown, NotCommitted, Unavailable
from mainstay.model.structs import Entity
from mainstay.ports.rows import Aggregate, Change, Query, Rows
from mainstay.ports.store import Capabilities, Claims, Store, Table, Transaction
from mainstay.testing.simulation.database import Database
from mainstay.testing.simulation.line import Line, LineCut
from mainstay.testing.simulation.work import Session, Work

T = TypeVar("T")

DETECTION = 8.0  # seconds within which a server finds that a connection is gone
LATE = 4.0  # seconds within which a commit is carried out that nobody waits for any more
RUNG = 0.05


class SimulatedStore(Store):
    """A process's store. A lost request ends its session: what was open in it is undone when the server finds out.

    A commit whose request or answer is lost raises ``CommitUnknown``: it was carried out, or not, or will be.
    """

    capabilities = Capabilities(inline=False)

    def __init__(self, database: Database, line: Line | None = None) -> None:
        self.database = database
        self.line = line or Line()
        self.claims = self._claims = SimulatedClaims(self)
        self._session = Session()
        self._open = False
        self._heard: Callable[[], None] | None = None

    async def start(self, tables: Sequence[Table]) -> None:
        self.database.declare(tables)
        self._open = True

    async def stop(self) -> None:
        self._open = False
        if self._heard is not None:
            self.database.rings.remove(self._heard)
            self._heard = None
        self.database.disconnect(self._session)

    @property
    def session(self) -> Session:
        """The session that there is, or a new one, in which the claims of this process are taken anew."""
        if not self._session.open:
            self._session = Session()
            self._claims.renew()
        return self._session

    def begin(
        self,
        *,
        write: bool,
        single: bool = False,  # noqa: ARG002 - a hint that it has no use for
        deadline: float | None = None,  # noqa: ARG002 - requests are lost, and locks waited for, for a bounded time
        latest: bool = False,  # noqa: ARG002 - there is no replica
        isolation: Isolation = "serializable",
    ) -> SimulatedTransaction:
        if not self._open:
            raise RuntimeError("the simulated store is not open: start() it with its tables first")
        return SimulatedTransaction(self, write, isolation)

    def lose(self) -> None:
        """Have the connection be gone: the server finds out after a while, and the next request makes another one."""
        session, self._session = self._session, Session()
        self._session.open = False
        asyncio.get_running_loop().call_later(
            self.line.chance.random() * DETECTION, self.database.disconnect, session, context=Context()
        )

    def interrupt(self) -> None:
        """Have the server undo what this process leaves idle."""
        self.database.interrupt(self._session)

    def health(self) -> str | None:
        return None if self._open else "the store is not open"

    def statistics(self) -> Mapping[str, float]:
        return {"commits": len(self.database.commits), "rollbacks": self.database.undone}

    def ring(self) -> None:
        loop = asyncio.get_running_loop()
        for heard in self.database.rings:
            if heard is not self._heard and self.line.chance.random() < 0.8:
                loop.call_later(self.line.chance.random() * RUNG, heard)

    def listen(self, heard: Callable[[], None]) -> None:
        loop, context = asyncio.get_running_loop(), copy_context()

        def ring() -> None:
            loop.call_soon(heard, context=context)

        self._heard = ring
        self.database.rings.append(ring)


class SimulatedClaims(Claims):
    """The claims of one process, held by its session."""

    def __init__(self, store: SimulatedStore) -> None:
        self._store = store
        self._taken: dict[bytes, None] = {}

    async def take(self, key: bytes) -> bool:
        try:
            await self._store.line.cross()
            claims, session = self._store.database.claims, self._store.session
            taken = key not in self._taken and claims.setdefault(key, session) is session
            if taken:
                self._taken[key] = None
            await self._store.line.cross()
        except LineCut as cut:
            self._store.lose()
            raise Unavailable("the database cannot be reached", retry_after=1) from cut
        return taken

    async def drop(self, key: bytes) -> None:
        self._taken.pop(key, None)
        try:
            await self._store.line.cross()
            claims = self._store.database.claims
            if claims.get(key) is self._store.session:
                del claims[key]
        except LineCut as cut:
            self._store.lose()
            raise Unavailable("the database cannot be reached", retry_after=1) from cut

    def renew(self) -> None:
        """Take anew what is held, as far as nobody else has it by now."""
        for key in self._taken:
            self._store.database.claims.setdefault(key, self._store.session)


class SimulatedTransaction(Transaction):
    """A process's side of a transaction."""

    def __init__(self, store: SimulatedStore, write: bool, isolation: Isolation) -> None:
        self._store = store
        self._write = write
        self._isolation: Isolation = isolation
        self._work: Work | None = None
        self._queue: list[Callable[[Work], Awaitable[int]]] = []
        self._fault: Exception | None = None
        self._ended = False

    def rows(self, entity: type[Entity]) -> SimulatedRows:
        return SimulatedRows(self, self._store.database.layout(entity))

    def queue(self, write: Callable[[Work], Awaitable[int]]) -> None:
        """Queue a write."""
        self.check_writing()
        self._queue.append(write)

    def check_writing(self) -> None:
        """Refuse a write where none may come. Raises ``TypeError`` in a transaction that was begun for reading."""
        if not self._write:
            raise TypeError("this transaction was begun for reading")
        self._check()

    def _check(self) -> None:
        self._store.line.check()
        if self._ended:
            raise RuntimeError("this transaction has ended: begin another one")
        if self._fault is not None:
            raise self._fault

    async def ask(self, statement: Callable[[Work], Awaitable[T]]) -> T:
        """Send what is queued, then a statement, and return its answer. A fault is kept."""
        self._check()
        try:
            await self._store.line.cross()
            work = await self._carry_out()
            answer = await statement(work)
            await self._store.line.cross()
        except LineCut as cut:
            self._fault = self._lost()
            raise self._fault from cut
        except Exception as fault:
            self._fault = fault
            raise
        return answer

    async def _carry_out(self) -> Work:
        """Carry out what is queued, on the server."""
        work = self._work
        if work is None:
            session = self._store.session
            work = Work(self._store.database, session, write=self._write, isolation=self._isolation)
            self._work = work
        work.check()
        queued, self._queue = self._queue, []
        for write in queued:
            await write(work)
        return work

    def _lost(self) -> Unavailable:
        self._store.lose()
        if self._write:
            return NotCommitted("the connection to the database was lost before the change was committed")
        return Unavailable("the database cannot be reached", retry_after=1)

    async def flush(self) -> None:
        if self._queue or self._fault is not None:
            await self.ask(_nothing)

    async def commit(self) -> None:
        self._check()
        if self._work is None and not self._queue:
            self._ended = True
            return
        try:
            await self._store.line.cross()
        except LineCut as cut:
            raise self._in_doubt() from cut
        try:
            self._store.database.commit(await self._carry_out())
        except Exception as fault:
            self._fault = fault
            raise
        self._ended = True
        try:
            await self._store.line.cross()
        except LineCut as cut:
            self._store.lose()
            raise CommitUnknown("the connection to the database was lost while the change was committed") from cut

    def _in_doubt(self) -> CommitUnknown:
        """Lose a commit under way; now and then it arrives all the same, behind everything that was done meanwhile."""
        chance = self._store.line.chance
        if self._work is not None and not self._queue and chance.random() < 0.5:
            delay = chance.random() * LATE
            asyncio.get_running_loop().call_later(delay, self._arrive, self._work, context=Context())
        self._store.lose()
        self._fault = CommitUnknown("the connection to the database was lost while the change was committed")
        self._ended = True
        return self._fault

    def _arrive(self, work: Work) -> None:
        if not work.ended:
            with suppress(Exception):  # the answer has nobody to go to
                self._store.database.commit(work)

    async def rollback(self) -> None:
        if self._ended:
            return
        self._ended = True
        self._queue = []
        if self._work is None:
            return
        try:
            await self._store.line.cross()
        except LineCut:
            self._store.lose()
        else:
            self._store.database.abort(self._work)


class SimulatedRows(Rows[Any]):
    """The rows of one table in one transaction."""

    def __init__(self, transaction: SimulatedTransaction, layout: Layout) -> None:
        self._transaction = transaction
        self._layout = layout

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any | None:
        return await self._transaction.ask(lambda work: work.get(self._layout, id, where, lock=lock))

    async def fetch(self, query: Query) -> list[Any]:
        return await self._transaction.ask(lambda work: work.fetch(self._layout, query))

    async def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        for row in await self.fetch(query):
            yield row

    async def count(self, where: Condition) -> int:
        return await self._transaction.ask(lambda work: work.count(self._layout, where))

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        return await self._transaction.ask(lambda work: work.aggregate(self._layout, aggregate))

    def insert(self, rows: Sequence[Any]) -> None:
        for row in rows:
            kept = self._layout.take(row)
            self._transaction.queue(partial(_insert, self._layout, kept))

    def enqueue(self, change: Change) -> None:
        self._transaction.queue(partial(_change, self._layout, change, False))

    async def apply(self, change: Change) -> int:
        self._transaction.check_writing()
        return await self._transaction.ask(partial(_change, self._layout, change, True))


async def _nothing(_: Work) -> None:
    """Ask for nothing: what is queued goes before it."""


async def _insert(layout: Layout, row: Any, work: Work) -> int:
    return await work.insert(layout, row)


async def _change(layout: Layout, wanted: Change, bump: bool, work: Work) -> int:
    return await work.change(layout, wanted, bump=bump)
