"""Reading connections: short reads on the loop, long ones in a thread, at most so many at a time."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from math import inf
from time import monotonic, perf_counter, sleep
from typing import Any, TypeVar

import apsw

from mainstay.adapters.sql.sqlite import connection as sql
from mainstay.adapters.sql.sqlite.errors import ReadersBusy, SnapshotTooOld, translate
from mainstay.adapters.sql.sqlite.long_reads import LongReads
from mainstay.adapters.sql.sqlite.options import Options, Row, Statistics
from mainstay.model.problem import Unavailable

T = TypeVar("T")

_STEPS = 1000  # of SQLite's machine between two looks at the clock: some tens of microseconds
_PAUSE = 0.005  # seconds between two tries on a file that is being recovered
_MANY_JOBS = 256  # nobody has asked about for a while


def _too_old() -> Unavailable:
    return SnapshotTooOld(retry_after=1)


def _stopping() -> Unavailable:
    return Unavailable("The service is stopping.", retry_after=1)


class Reader:
    """One read-only connection, used by the loop or by one thread, never by both at once."""

    def __init__(self, options: Options) -> None:
        self.connection = sql.open_reader(options)
        self.cursor = self.connection.cursor()
        self.streams: list[apsw.Cursor] = []
        self.job: asyncio.Future[Any] | None = None
        self.since = 0.0
        self.ended: Callable[[], Unavailable] | None = None  # why the snapshot is over before its close
        self._ours = False
        self._until = inf
        self._inline_seconds = options.inline_read_seconds
        self._busy_tries = int(options.busy_seconds / _PAUSE)
        self.connection.set_progress_handler(self._overdue, _STEPS)
        self.connection.set_busy_handler(self._wait)
        sql.guard(self.connection, lambda: self._ours)

    @property
    def busy(self) -> bool:
        """Whether a thread is using the connection."""
        return self.job is not None and not self.job.done()

    def fetch_inline(self, statement: str, bindings: Sequence[Any]) -> list[Row]:
        """Run a read within the bound of inline reads, or raise ``apsw.InterruptError`` or ``apsw.BusyError``."""
        self._until = perf_counter() + self._inline_seconds
        return self.cursor.execute(statement, bindings).fetchall()

    def fetch(self, statement: str, bindings: Sequence[Any]) -> list[Row]:
        """Run a read to its end, in a thread."""
        return self.cursor.execute(statement, bindings).fetchall()

    async def free(self) -> None:
        """Wait for a read that was cancelled to leave the connection."""
        while self.job is not None and not self.job.done():
            await asyncio.wait({self.job})

    def unbound(self) -> None:
        """Let the next read take its time: it is going to run in a thread."""
        self._until = inf

    def cancel(self) -> None:
        """Have the read that runs, or is about to run, in a thread end soon with ``apsw.InterruptError``."""
        self._until = -inf

    def begin(self) -> None:
        """Begin a snapshot; it is taken at the first read."""
        self._control(sql.BEGIN_SNAPSHOT)

    def reset(self) -> None:
        """End the streams and the snapshot."""
        for cursor in self.streams:
            cursor.close(True)
        self.streams.clear()
        if self.connection.in_transaction:
            self._control(sql.END_SNAPSHOT)

    def _control(self, statement: str) -> None:
        self._ours, self._until = True, inf
        try:
            self.cursor.execute(statement)
        finally:
            self._ours = False

    def _overdue(self) -> bool:
        return perf_counter() > self._until

    def _wait(self, tries: int) -> bool:
        if self._until != inf or tries >= self._busy_tries:
            return False  # the loop must not sleep: the read is run again in a thread
        sleep(_PAUSE)
        return True


class _Job:
    """Work for a thread, and whether one has begun it."""

    __slots__ = ("_work", "begun", "since")

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self.since = monotonic()
        self.begun = False

    def run(self) -> Any:
        self.begun = True
        return self._work()


class ReaderPool:
    """Leases readers, opens them as they are needed, and runs long reads in its threads."""

    def __init__(self, options: Options, statistics: Statistics, log_too_long: Callable[[], bool]) -> None:
        self._options = options
        self._statistics = statistics
        self._log_too_long = log_too_long
        self._single = Reader(options)
        self.long: LongReads = LongReads()
        self._idle: list[Reader] = []
        self._leased: set[Reader] = set()
        self._waiting: OrderedDict[asyncio.Future[Reader], float] = OrderedDict()  # and since when
        self._jobs: deque[_Job] = deque()  # in order of arrival, those that have begun too until somebody asks
        self._threads = ThreadPoolExecutor(options.readers, thread_name_prefix="mainstay-sqlite-reader")
        self._loop = asyncio.get_running_loop()
        self._watch: asyncio.TimerHandle | None = None
        self._stopping = False

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def delay(self) -> float:
        """For how long the read that has waited longest has waited, for a connection or for a thread, in seconds."""
        jobs = self._jobs
        while jobs and jobs[0].begun:
            jobs.popleft()
        if not jobs and not self._waiting:
            return 0.0
        since = jobs[0].since if jobs else inf
        return monotonic() - min(since, next(iter(self._waiting.values()), inf))

    def read(self, statement: str, bindings: Sequence[Any]) -> list[Row] | Awaitable[list[Row]]:
        """Run one read that needs no snapshot: at once if it is short, else an awaitable of its rows."""
        if self.long.pauses and self.long.skips(statement):
            return self._read_in_thread(statement, bindings)
        rows = self.try_inline(self._single, statement, bindings)
        return self._read_in_thread(statement, bindings) if rows is None else rows

    def try_inline(self, reader: Reader, statement: str, bindings: Sequence[Any]) -> list[Row] | None:
        """Run a read on the loop and return its rows; None where it is too long for that, or meets a busy file."""
        try:
            rows = reader.fetch_inline(statement, bindings)
        except apsw.InterruptError:
            self.long.was_long(statement)
        except apsw.BusyError:
            pass
        except Exception as error:
            raise translate(error) from error
        else:
            if self.long.pauses:
                self.long.was_short(statement)
            self._statistics.reads_inline += 1
            return rows
        self._statistics.interrupted += 1
        return None

    def data_version(self) -> int:
        """Return a number that differs from the last one if any connection has committed in between."""
        try:
            return int(self._single.fetch_inline(sql.DATA_VERSION, ())[0][0])
        except apsw.Error as error:
            raise translate(error) from error

    def lease(self) -> Reader | None:
        """Return a reader at once, or None when all are leased."""
        self._check_open()
        if self._waiting:
            return None
        if self._idle:
            reader = self._idle.pop()
        elif len(self._leased) < self._options.snapshots:
            try:
                reader = Reader(self._options)
            except apsw.Error as error:
                raise ReadersBusy("No more connections can be opened.", retry_after=1) from error
        else:
            return None
        return self._lend(reader)

    async def wait_for_lease(self) -> Reader:
        """Return a reader in order of arrival. Raises :class:`ReadersBusy` when too many wait, or wait too long."""
        if reader := self.lease():
            return reader
        if len(self._waiting) >= self._options.queue_limit:
            raise ReadersBusy(retry_after=1)
        future: asyncio.Future[Reader] = self._loop.create_future()
        self._waiting[future] = monotonic()
        timer = self._loop.call_later(self._options.busy_seconds, _refuse, future)  # there may be no Task to time out
        try:
            return await future
        except BaseException:
            self._forget(future)
            raise
        finally:
            timer.cancel()

    def release(self, reader: Reader) -> None:
        """Take a reader back, as soon as no thread uses it any more."""
        if reader.job is not None and not reader.job.done():
            reader.cancel()
            reader.job.add_done_callback(lambda _: self.release(reader))
            return
        reader.job = None
        self._leased.discard(reader)
        try:
            reader.reset()
        except apsw.Error:
            reader.connection.close(True)  # a connection that cannot end its snapshot is of no more use
            return
        while self._waiting:
            future, _ = self._waiting.popitem(last=False)
            if not future.done():
                future.set_result(self._lend(reader))
                return
        if self._stopping:
            reader.connection.close(True)
        else:
            self._idle.append(reader)

    async def in_thread(self, reader: Reader, work: Callable[[], T]) -> T:
        """Run work that uses the reader's connection in a thread; when cancelled, have it end soon."""
        self._check_open()
        reader.unbound()
        queued = _Job(work)
        if len(self._jobs) >= _MANY_JOBS:
            self._jobs = deque(each for each in self._jobs if not each.begun)
        self._jobs.append(queued)
        job = self._loop.run_in_executor(self._threads, queued.run)
        reader.job = job
        self._statistics.reads_in_thread += 1
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            reader.cancel()
            raise
        except apsw.InterruptError as error:
            raise (reader.ended() if reader.ended is not None else translate(error)) from error
        except apsw.BusyError as error:
            raise ReadersBusy(retry_after=1) from error
        except apsw.Error as error:
            raise translate(error) from error

    async def stop(self) -> None:
        """Cancel the reads that run in threads, end the threads, close the connections that are not leased."""
        self._stopping = True
        if self._watch is not None:
            self._watch.cancel()
        for future in self._waiting:
            if not future.done():
                future.set_exception(_stopping())
        self._waiting.clear()
        for reader in self._leased:
            reader.ended = _stopping
            reader.cancel()
        await asyncio.to_thread(self._threads.shutdown)
        for reader in (self._single, *self._idle, *self._leased):
            reader.connection.close(True)
        self._idle.clear()

    async def _read_in_thread(self, statement: str, bindings: Sequence[Any]) -> list[Row]:
        reader = self.lease() or await self.wait_for_lease()
        try:
            return await self.in_thread(reader, partial(reader.fetch, statement, bindings))
        finally:
            self.release(reader)

    def _check_open(self) -> None:
        if self._stopping:
            raise _stopping()

    def _forget(self, future: asyncio.Future[Reader]) -> None:
        self._waiting.pop(future, None)
        if future.done() and not future.cancelled() and future.exception() is None:
            self.release(future.result())

    def _lend(self, reader: Reader) -> Reader:
        reader.since, reader.ended = monotonic(), None
        self._leased.add(reader)
        if self._watch is None:
            self._watch = self._loop.call_later(1.0, self._end_old)
        return reader

    def _end_old(self) -> None:
        """End snapshots that keep the log from being cut, once they are old and the log is over its limit."""
        self._watch = self._loop.call_later(1.0, self._end_old) if self._leased else None
        if not self._leased or not self._log_too_long():
            return
        oldest = monotonic() - self._options.snapshot_seconds
        for reader in self._leased:
            if reader.since < oldest and reader.ended is None:
                reader.ended = _too_old
                if reader.busy:
                    reader.cancel()
                else:
                    with suppress(apsw.Error):  # its release will find out, and close the connection
                        reader.reset()


def _refuse(waiting: asyncio.Future[Reader]) -> None:
    if not waiting.done():
        waiting.set_exception(ReadersBusy(retry_after=1))
