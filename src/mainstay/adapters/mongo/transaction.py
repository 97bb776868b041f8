"""Transactions: commands in one of the server's own, queries on one snapshot."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.read_preferences import ReadPreference
from pymongo.write_concern import WriteConcern

from mainstay.adapters.mongo import reading
from mainstay.adapters.mongo.codec import Document
from mainstay.adapters.mongo.faults import UNKNOWN, commit_problem, told
from mainstay.adapters.mongo.guards import SLOTS, TOUCH, ReadSet
from mainstay.adapters.mongo.layout import Layout
from mainstay.adapters.mongo.rows import MongoRows, Read, T
from mainstay.adapters.mongo.writing import Alteration, Insert, Writer
from mainstay.model.conditions import Condition
from mainstay.model.problem import SerializationConflict
from mainstay.model.structs import Entity
from mainstay.ports.rows import Query
from mainstay.ports.store import StoreUnusable, Transaction

if TYPE_CHECKING:
    from mainstay.adapters.mongo.store import MongoStore

COMMIT_MILLISECONDS = 10_000
COMMITS = 3  # attempts; a commit that is sent again does nothing where the first one came through


def _ended() -> RuntimeError:
    return RuntimeError("this transaction has ended: begin another one")


class QueryTransaction(Transaction):
    """Reads only: one by itself, or several on one snapshot, which costs the server nothing to keep."""

    __slots__ = ("_ended", "_lock", "_session", "_single", "_store")

    def __init__(self, store: MongoStore, single: bool) -> None:
        self._store = store
        self._single = single
        self._session: AsyncClientSession | None = None
        self._lock = asyncio.Lock()  # a session carries one operation at a time
        self._ended = False

    @property
    def pinned(self) -> bool:
        """True: nothing is written here."""
        return True

    def rows(self, entity: type[Entity]) -> MongoRows:
        return MongoRows(self, self._store.layout(entity))

    async def read(self, layout: Layout, read: Read[T]) -> T:
        """Run a read."""
        if self._ended:
            raise _ended()
        collection = self._store.collection(layout)
        with told(layout):
            if self._single:
                return await read(collection, None)
            async with self._lock:
                return await read(collection, self._snapshot())

    async def open(self, layout: Layout, query: Query) -> AsyncGenerator[Document, None]:
        """Give documents from the snapshot."""
        if self._ended:
            raise _ended()
        found = reading.stream(self._store.collection(layout), layout, query, self._snapshot())
        async with aclosing(found):
            async for document in found:
                yield document

    def _snapshot(self) -> AsyncClientSession:
        if self._session is None:
            self._session = self._store.client.start_session(snapshot=True)
        return self._session

    def met(self, layout: Layout, condition: Condition | None, found: int) -> None:
        """Do nothing: a snapshot meets nobody."""

    def queue(self, write: Insert | Alteration) -> None:
        """Refuse to write."""
        raise TypeError(f"{write.layout.name}: this transaction was begun for reading: make the use case a command")

    async def apply(self, write: Alteration) -> int:
        """Refuse to write."""
        raise TypeError(f"{write.layout.name}: this transaction was begun for reading: make the use case a command")

    async def flush(self) -> None:
        """Do nothing: nothing is queued."""

    async def commit(self) -> None:
        """End the snapshot."""
        await self.rollback()

    async def rollback(self) -> None:
        self._ended = True
        session, self._session = self._session, None
        if session is not None:
            await session.end_session()


class CommandTransaction(Transaction):
    """Reads and writes in one transaction of the server, begun by the first read or flush."""

    __slots__ = (
        "_ended",
        "_fault",
        "_guarded",
        "_in_line",
        "_lock",
        "_queue",
        "_seen",
        "_session",
        "_slot",
        "_store",
        "_writer",
    )

    def __init__(self, store: MongoStore, guarded: bool) -> None:
        self._store = store
        self._guarded = guarded  # what is read counts; else references only are guarded
        self._session: AsyncClientSession | None = None
        self._writer: Writer | None = None
        self._seen = ReadSet()
        self._queue: list[Insert | Alteration] = []
        self._lock = asyncio.Lock()  # a session carries one operation at a time
        self._fault: Exception | None = None
        self._in_line = False
        self._slot: int | None = None
        self._ended = False

    @property
    def pinned(self) -> bool:
        """False: rows may be written between two reads."""
        return False

    def rows(self, entity: type[Entity]) -> MongoRows:
        return MongoRows(self, self._store.layout(entity))

    async def read(self, layout: Layout, read: Read[T]) -> T:
        """Run a read behind all queued writes."""
        async with self._lock:
            writer = await self._settled()
            return await self._kept(self._read(layout, read, writer))

    async def _read(self, layout: Layout, read: Read[T], writer: Writer) -> T:
        with told(layout):
            return await read(self._store.collection(layout), writer.session)

    async def open(self, layout: Layout, query: Query) -> AsyncGenerator[Document, None]:  # noqa: ARG002 - refused
        """Refuse: ``pinned`` says so."""
        raise TypeError(f"{layout.name}: a command reads its streams in pages")
        yield {}  # never: it makes a generator of this

    def met(self, layout: Layout, condition: Condition | None, found: int) -> None:
        """Note what a read found."""
        if self._guarded:
            self._seen.met(layout, condition, found)

    def queue(self, write: Insert | Alteration) -> None:
        """Queue a write."""
        self._check()
        last = self._queue[-1] if self._queue else None
        if isinstance(write, Insert) and isinstance(last, Insert) and last.layout is write.layout:
            last.documents.extend(write.documents)
        else:
            self._queue.append(write)

    async def apply(self, write: Alteration) -> int:
        """Carry out a change behind all queued writes, and return how many rows it met."""
        self._check()
        async with self._lock:
            return await self._kept(write.run(await self._settled()))

    async def flush(self) -> None:
        if self._queue or self._fault is not None:
            async with self._lock:
                await self._settled()

    async def _settled(self) -> Writer:
        """Begin where that was not done, and carry out what is queued."""
        self._check()
        writer = self._writer
        if writer is None:
            writer = self._writer = await self._begin()
        queue, self._queue = self._queue, []
        for write in queue:
            await self._kept(write.run(writer))
        return writer

    async def _begin(self) -> Writer:
        self._in_line = await self._store.line.enter()
        if self._ended:
            self._leave()
            raise _ended()
        self._slot = self._store.slots.take()
        session = self._session = self._store.client.start_session(causal_consistency=False)
        await session.start_transaction(
            read_concern=ReadConcern("snapshot"),
            write_concern=WriteConcern("majority"),
            read_preference=ReadPreference.PRIMARY,
            max_commit_time_ms=COMMIT_MILLISECONDS,
        )
        return Writer(self._store.database, session, self._store.layouts, self._seen)

    async def _kept(self, work: Awaitable[T]) -> T:
        """Wait for a piece of work. A fault is kept: the server has ended the transaction, or ours is broken."""
        try:
            return await work
        except Exception as fault:
            self._failed(fault)
            raise

    def _failed(self, fault: Exception) -> None:
        self._fault = fault
        if isinstance(fault, SerializationConflict):
            self._store.conflicts += 1
            self._store.line.met()

    async def commit(self) -> None:
        self._check()
        async with self._lock:
            if self._queue:
                await self._settled()
            writer = self._writer
            if writer is not None:
                await self._kept(self._commit(writer))
            self._store.commits += 1
            await self._end()

    async def _commit(self, writer: Writer) -> None:
        slot = secrets.randbelow(SLOTS) if self._slot is None else self._slot
        if self._seen.written and not await writer.guard(self._store.guards, TOUCH, slot):
            raise StoreUnusable("documents of mainstay_guards are gone", "start the service again: it makes them anew")
        for left in reversed(range(COMMITS)):
            try:
                await writer.session.commit_transaction()
                return
            except PyMongoError as error:
                if left and error.has_error_label(UNKNOWN):
                    continue
                problem = commit_problem(error)
                if problem is None:
                    raise
                raise problem from error

    async def rollback(self) -> None:
        if not self._ended:
            self._store.rollbacks += 1
            await self._end()

    async def _end(self) -> None:
        """End the session; a transaction that was not committed is undone with it."""
        self._ended = True
        self._queue = []
        session, self._session, self._writer = self._session, None, None
        try:
            if session is not None:
                with suppress(PyMongoError):  # the server undoes by itself what is not heard of any more
                    await session.end_session()
        finally:
            self._leave()

    def _leave(self) -> None:
        slot, self._slot = self._slot, None
        if slot is not None:
            self._store.slots.give(slot)
        if self._in_line:
            self._in_line = False
            self._store.line.leave()

    def _check(self) -> None:
        if self._ended:
            raise _ended()
        if self._fault is not None:
            raise self._fault
