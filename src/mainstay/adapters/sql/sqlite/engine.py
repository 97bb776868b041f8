"""One SQLite file, shared by the calls of this process and by the processes of this host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import apsw

from mainstay.adapters.sql.sqlite import connection as sql
from mainstay.adapters.sql.sqlite.checkpoint import Checkpointer
from mainstay.adapters.sql.sqlite.locks import Claims
from mainstay.adapters.sql.sqlite.options import Options, Row, Statistics, Synchronous
from mainstay.adapters.sql.sqlite.readers import ReaderPool
from mainstay.adapters.sql.sqlite.snapshot import Snapshot
from mainstay.adapters.sql.sqlite.turn import Turn
from mainstay.adapters.sql.sqlite.writer import GroupWriter

_Part = TypeVar("_Part")


class SqliteEngine:
    """Statements on one SQLite file: writes in turns, gathered in groups of one durable commit; reads on snapshots.

    Beside the file ``shop.db`` lie SQLite's own ``-wal`` and ``-shm``, and the empty ``-turns`` and ``-claims`` that
    the processes of the host lock; the file system must be a local one. Use an engine on the loop that started it.

    - ``synchronous``: ``full`` survives loss of power, ``normal`` may then lose the last commits, ``off`` may lose all.
    - ``group_seconds``, ``group_calls``: no further turn begins in a group after so long, or so many.
    - ``turn_seconds``: a turn held longer is rolled back alone.
    - ``busy_seconds``: how long a call waits for a file that another process holds, or for a free reader.
    - ``queue_limit``: how many calls may wait for the writer, and for readers; one more is refused at once.
    - ``inline_read_seconds``: a read that takes longer is run again in a thread.
    - ``readers``: threads for long reads. ``snapshots``: connections for queries of several statements.
    - ``snapshot_seconds``: a snapshot older than this is ended if the log is over its limit.
    - ``wal_limit_bytes``: the length to which the log is held.
    - ``memory_bytes``: what SQLite should hold in this process (its soft heap limit): near it, connections use their
      cached pages anew instead of taking more. It counts for all engines of the process.
    - ``vfs``: the name of a registered SQLite VFS, for special file systems and for tests.
    """

    def __init__(
        self,
        path: Path,
        *,
        synchronous: Synchronous = "full",
        group_seconds: float = 0.005,
        group_calls: int = 256,
        turn_seconds: float = 5.0,
        busy_seconds: float = 5.0,
        queue_limit: int = 1024,
        inline_read_seconds: float = 0.001,
        readers: int = 4,
        snapshots: int = 32,
        snapshot_seconds: float = 60.0,
        wal_limit_bytes: int = 64 * 1024 * 1024,
        statement_cache: int = 512,
        memory_bytes: int = 8 * 1024 * 1024,
        vfs: str | None = None,
    ) -> None:
        given = locals()
        self.options = Options(**{each.name: given[each.name] for each in fields(Options)})
        self.statistics = Statistics()
        self._writer: GroupWriter | None = None
        self._readers: ReaderPool | None = None
        self._checkpointer: Checkpointer | None = None
        self._claims: Claims | None = None

    async def start(self) -> None:
        """Open the file, creating it if need be, and start the threads.

        Raises ``RuntimeError`` on a file system without WAL, and ``apsw.Error`` where the file cannot be opened.
        """
        if self._writer is not None:
            raise RuntimeError(f"the engine of {self.options.path} is running already")
        apsw.soft_heap_limit(self.options.memory_bytes)
        connection = await asyncio.to_thread(sql.open_writer, self.options)
        try:
            self._checkpointer = await asyncio.to_thread(Checkpointer, self.options, self.statistics)
            self._readers = ReaderPool(self.options, self.statistics, self._checkpointer.too_long)
            self._claims = Claims(self.options.path.with_name(self.options.path.name + "-claims"))
            self._writer = GroupWriter(self.options, connection, self.statistics, self._checkpointer.bound)
        except BaseException:
            connection.close(True)
            raise
        self._checkpointer.start(connection)
        self._writer.start()

    async def stop(self) -> None:
        """Refuse new work, commit the open group, end all threads, copy the log into the file and close it.

        Raises ``RuntimeError`` when another process keeps the file and the writer thread cannot end; all else is done.
        """
        writer, self._writer = self._writer, None
        if writer is None or self._readers is None or self._checkpointer is None or self._claims is None:
            return
        ended = await writer.stop()
        await self._readers.stop()
        await asyncio.to_thread(self._checkpointer.stop, self.options.busy_seconds)
        self._claims.close()
        if not ended:
            raise RuntimeError(
                f"{self.options.path}: another process still holds the file; the writer was left waiting"
            )
        await asyncio.to_thread(sql.close_writer, writer.connection)

    def turn(self, owner: asyncio.Task[Any] | None = None, patience: float | None = None) -> Turn | Awaitable[Turn]:
        """Return the writer's turn where it is free at once, else an awaitable that gives it in order of arrival.

        The awaitable may be cancelled, and raises ``DeadlineExceeded`` after ``patience`` seconds. A turn is rolled
        back when its ``owner`` ends before it; without an owner the caller must end it. Raises :class:`WriterBusy` or
        :class:`WritesStopped`, both 503, here or from the awaitable.
        """
        return self._started(self._writer).turn(owner, patience)

    def snapshot(self, *, single: bool = False) -> Snapshot:
        """Return a view for a query's reads; the connection is taken at the first. ``single``: only one will come."""
        return Snapshot(self._started(self._readers), single)

    def read(self, statement: str, bindings: Sequence[Any] = ()) -> list[Row] | Awaitable[list[Row]]:
        """Run one read that needs no snapshot: ``snapshot(single=True).fetch`` without the object."""
        readers = self._readers
        return (self._started(readers) if readers is None else readers).read(statement, bindings)

    @property
    def claims(self) -> Claims:
        """Names that one call of one process of the host may hold at a time."""
        return self._started(self._claims)

    @property
    def memory(self) -> int:
        """How much memory SQLite holds in this process, in bytes."""
        return apsw.memory_used()

    @property
    def queue(self) -> int:
        """How many calls wait for the writer."""
        return len(self._writer) if self._writer is not None else 0

    @property
    def delay(self) -> float:
        """How long the first in the writer's queue has waited, in seconds, if a group has ended without it."""
        return self._writer.delay if self._writer is not None else 0.0

    @property
    def read_delay(self) -> float:
        """How long the read that has waited longest has waited to begin, in seconds."""
        return self._readers.delay if self._readers is not None else 0.0

    @property
    def reader_queue(self) -> int:
        """How many reads wait for a connection."""
        return len(self._readers) if self._readers is not None else 0

    def health(self) -> str | None:
        """Return why the database is not well, or None. Writes stay stopped after a commit that ended unknown."""
        if self._writer is None or self._checkpointer is None:
            return "the database is not open"
        return self._writer.health() or self._checkpointer.failure

    def data_version(self) -> int:
        """Return a number that differs from the last one if anyone, this process included, committed in between.

        It costs microseconds: poll it to see other processes' work.
        """
        return self._started(self._readers).data_version()

    def _started(self, part: _Part | None) -> _Part:
        if part is None:
            raise RuntimeError(f"the engine of {self.options.path} is not running: start it first")
        return part
