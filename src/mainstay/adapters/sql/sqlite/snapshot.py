"""A query's view of the data: one connection, one snapshot, for as long as the query lasts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Sequence
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import apsw

from mainstay.adapters.sql.sqlite.errors import TurnEnded
from mainstay.adapters.sql.sqlite.options import Row
from mainstay.model.problem import Unavailable

if TYPE_CHECKING:
    from mainstay.adapters.sql.sqlite.readers import Reader, ReaderPool


class Snapshot:
    """Reads that all see the data as it was at the first of them. Close it at the end of the query.

    With ``single`` only one statement will come: it runs without BEGIN and without a connection of its own.
    """

    __slots__ = ("_closed", "_lock", "_pool", "_reader", "_single")

    def __init__(self, pool: ReaderPool, single: bool) -> None:
        self._pool = pool
        self._single = single
        self._reader: Reader | None = None
        self._lock: asyncio.Lock | None = None
        self._closed = False

    def fetch(self, sql: str, bindings: Sequence[Any] = ()) -> list[Row] | Awaitable[list[Row]]:
        """Run one read and return its rows: at once when it is short, else an awaitable of them.

        A read that takes longer than the bound for inline reads is interrupted and run again in a thread, on the same
        snapshot. Raises :class:`StatementFailed`; ``Unavailable`` when no connection is free in time, or when the
        snapshot had to be ended.
        """
        if self._closed:
            raise TurnEnded("this snapshot is closed: take another one")
        if self._single:
            return self._pool.read(sql, bindings)
        reader = self._reader or self._take(self._pool.lease())
        if reader is None or reader.busy or self._pool.long.skips(sql):
            return self._fetch_in_thread(sql, bindings)
        self._check(reader)
        rows = self._pool.try_inline(reader, sql, bindings)
        return self._fetch_in_thread(sql, bindings) if rows is None else rows

    async def stream(
        self, sql: str, bindings: Sequence[Any] = (), *, batch: int = 500
    ) -> AsyncGenerator[list[Row], None]:
        """Run one read in a thread and give its rows in batches as they are asked for, in constant memory.

        Other reads may run between two batches. Who stops before the end closes it, so that SQLite lets go of what the
        read holds. Raises as ``fetch`` does.
        """
        async with self._alone():
            reader = await self._ready()
            cursor = reader.connection.cursor()
            reader.streams.append(cursor)
        try:
            rows = await self._next(partial(_start, cursor, sql, bindings, batch))
            while rows:
                yield rows
                rows = await self._next(partial(_more, cursor, batch))
        finally:
            if cursor in reader.streams and not reader.busy:  # else the end of the snapshot sees to it
                reader.streams.remove(cursor)
                cursor.close(True)

    def close(self) -> None:
        """End the snapshot and give the connection back; a read still running in a thread is cut short."""
        self._closed = True
        reader, self._reader = self._reader, None
        if reader is not None:
            self._pool.release(reader)

    def _take(self, reader: Reader | None) -> Reader | None:
        if reader is not None:
            self._reader = reader
            if not self._single:
                reader.begin()
        return reader

    async def _ready(self) -> Reader:
        reader = self._reader
        if reader is None:
            reader = await self._pool.wait_for_lease()
            if self._reader is None:
                self._take(reader)
            else:  # another read of this snapshot found one in the meantime
                self._pool.release(reader)
                reader = self._reader
        await reader.free()
        if self._closed:
            self.close()
            raise TurnEnded("this snapshot was closed while a read waited for it")
        self._check(reader)
        return reader

    def _check(self, reader: Reader) -> None:
        if reader.ended is not None:
            raise reader.ended()
        if not self._single and not reader.connection.in_transaction:
            raise Unavailable("The database ended the read after an error.", retry_after=1)

    def _alone(self) -> asyncio.Lock:
        """Return the lock that has the reads of this snapshot that run in threads follow one another."""
        if self._lock is None:
            self._lock = asyncio.Lock()
        return self._lock

    async def _fetch_in_thread(self, sql: str, bindings: Sequence[Any]) -> list[Row]:
        async with self._alone():
            reader = await self._ready()
            return await self._pool.in_thread(reader, partial(reader.fetch, sql, bindings))

    async def _next(self, work: partial[list[Row]]) -> list[Row]:
        async with self._alone():
            return await self._pool.in_thread(await self._ready(), work)


def _start(cursor: apsw.Cursor, sql: str, bindings: Sequence[Any], batch: int) -> list[Row]:
    return list(islice(cursor.execute(sql, bindings), batch))


def _more(cursor: apsw.Cursor, batch: int) -> list[Row]:
    return list(islice(cursor, batch))
