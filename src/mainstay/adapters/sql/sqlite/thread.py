"""The writer thread: where a group begins and commits, and where the process waits for its turn on the file.

It touches the connection inside its jobs only, and the loop gives it a job only after it has let the connection go.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

import apsw

from mainstay.adapters.sql.sqlite import connection as sql
from mainstay.adapters.sql.sqlite.errors import FileMoved
from mainstay.adapters.sql.sqlite.locks import FileTurn

# A COMMIT that these end has left nothing in the log.
_KNOWN = (apsw.BusyError, apsw.FullError, apsw.ConstraintError, FileMoved)


class Outcome(NamedTuple):
    """How a group ended. ``fault`` is None when it is durable; ``known`` says that a failure surely changed nothing."""

    fault: BaseException | None
    known: bool = True


class Listener(NamedTuple):
    """What the thread tells the loop, by callbacks run on the loop."""

    opened: Callable[[BaseException | None], None]
    settled: Callable[[Outcome, bool], None]  # the second says that the thread goes on to open the next group
    wanted: Callable[[], bool]  # asked on the thread: do calls wait for a next group?
    broken: Callable[[BaseException], None]  # the thread has ended on an error that it has no answer to


class WriterThread:
    """Runs BEGIN IMMEDIATE and COMMIT off the loop, and the locks around them."""

    def __init__(
        self,
        connection: apsw.Connection,
        file_turn: FileTurn,
        loop: asyncio.AbstractEventLoop,
        listener: Listener,
        bound_log: Callable[[apsw.Connection], None],
    ) -> None:
        self._connection = connection
        self._cursor = connection.cursor()
        self._moved = sql.watch_file(connection)
        self._file_turn = file_turn
        self._loop = loop
        self._listener = listener
        self._bound_log = bound_log
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        # A daemon, since it may be waiting for a process that was stopped in the middle of its turn.
        self._thread = threading.Thread(target=self._run, name="mainstay-sqlite-writer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def open_group(self) -> None:
        """Take the file and begin; ``opened`` follows."""
        self._jobs.put(self._open)

    def close_group(self) -> None:
        """Commit and let the file go; ``settled`` follows."""
        self._jobs.put(self._close)

    def drop_group(self) -> None:
        """Let the file go after SQLite itself ended the transaction; ``settled`` follows."""
        self._jobs.put(self._drop)

    def stop(self, seconds: float) -> bool:
        """End the thread, waiting so long at most; say whether it ended."""
        self._jobs.put(None)
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except BaseException as error:
                self._tell(partial(self._listener.broken, error))
                return

    def _tell(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop was closed without a stop: nobody is left to tell
            self._loop.call_soon_threadsafe(callback)

    def _open(self) -> None:
        fault: BaseException | None = None
        try:
            self._file_turn.take()
            try:
                self._cursor.execute(sql.BEGIN_GROUP)
            except BaseException:
                self._file_turn.leave()
                raise
        except Exception as error:
            fault = error
        self._tell(partial(self._listener.opened, fault))

    def _close(self) -> None:
        outcome = self._commit()
        if outcome.fault is None:
            self._settle(outcome, self._listener.wanted())
        else:
            self._settle(outcome, False)

    def _drop(self) -> None:
        self._settle(Outcome(None), self._listener.wanted())

    def _settle(self, outcome: Outcome, again: bool) -> None:
        self._tell(partial(self._listener.settled, outcome, again))
        if outcome.fault is None:
            self._bound_log(self._connection)
        self._file_turn.leave()
        if again:
            self._open()

    def _commit(self) -> Outcome:
        try:
            if self._moved():
                raise FileMoved("the database's file was moved or deleted")
            self._cursor.execute(sql.COMMIT_GROUP)
        except BaseException as error:
            known = isinstance(error, _KNOWN)
            if self._connection.in_transaction:
                try:
                    self._cursor.execute(sql.ROLLBACK_GROUP)
                except apsw.Error:
                    known = False
            return Outcome(error, known)
        return Outcome(None)
