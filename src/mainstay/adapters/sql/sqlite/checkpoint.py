"""Keeping the write-ahead log short without making callers wait for it."""

from __future__ import annotations

import threading
from pathlib import Path

import apsw

from mainstay.adapters.sql.sqlite import connection as sql
from mainstay.adapters.sql.sqlite.options import Options, Statistics

_PATIENCE_MS = 50  # for readers of old frames, while this process holds the file


class Checkpointer:
    """Copies the log into the database on a thread of its own, and has the writer restart the log when it is long.

    A passive checkpoint blocks nobody, but under steady load the log never comes to its end and so is never begun
    anew. From half of the limit on, the writer restarts it between two groups, when the rest to copy is short. Only a
    reader that stays on an old snapshot can prevent that: see ``too_long``.
    """

    def __init__(self, options: Options, statistics: Statistics) -> None:
        self.failure: str | None = None
        self._options = options
        self._statistics = statistics
        self._log = Path(f"{options.path}-wal")
        self._connection = sql.open_writer(options)
        page = int(self._connection.pragma("page_size"))
        self._limit = max(options.wal_limit_bytes // page, 8)
        self._copy_at = self._limit // 4
        self._restart_at = self._limit // 2
        self._wake = threading.Event()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="mainstay-sqlite-checkpointer", daemon=True)

    def start(self, writer: apsw.Connection) -> None:
        """Listen to the writer's commits and start the thread."""
        writer.set_wal_hook(self._committed)
        self._thread.start()

    def stop(self, seconds: float) -> None:
        """End the thread and close its connection."""
        self._stopping = True
        self._wake.set()
        self._thread.join(seconds)
        if not self._thread.is_alive():
            self._connection.close()

    def bound(self, writer: apsw.Connection) -> None:
        """Restart a log that is long. Called on the writer thread between two groups, with the file still held."""
        if self._statistics.wal_pages < self._restart_at:
            return
        writer.set_busy_timeout(_PATIENCE_MS)
        try:
            self._record(writer, apsw.SQLITE_CHECKPOINT_RESTART)
            self._restart_at = self._limit // 2
        except apsw.BusyError:
            self._restart_at = self._statistics.wal_pages + self._limit // 8  # a reader is in the way: not every group
        finally:
            writer.set_busy_timeout(sql.BUSY_MS)

    def too_long(self) -> bool:
        """Whether the log has outgrown its limit, so that old snapshots have to go."""
        try:
            return self._log.stat().st_size > self._options.wal_limit_bytes
        except FileNotFoundError:
            return False

    def _committed(self, _: apsw.Connection, name: str, pages: int) -> int:
        if name == "main":
            self._statistics.wal_pages = pages
            if pages >= self._copy_at:
                self._wake.set()
        return apsw.SQLITE_OK

    def _run(self) -> None:
        copied = 0
        while True:
            self._wake.wait()
            if self._stopping:
                return
            self._wake.clear()
            pages = self._statistics.wal_pages
            if pages < copied or pages - copied >= self._copy_at:
                copied = pages
                self._copy()

    def _copy(self) -> None:
        try:
            self._record(self._connection, apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.BusyError:
            return  # another process is at it

    def _record(self, connection: apsw.Connection, mode: int) -> None:
        try:
            connection.wal_checkpoint(mode=mode)
        except apsw.BusyError:
            raise
        except apsw.Error as error:
            self.failure = f"a checkpoint failed: {error}"
        else:
            self.failure = None
            self._statistics.checkpoints += 1
