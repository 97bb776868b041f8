"""Opening connections to one database file, all configured alike."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Final

import apsw

from mainstay.adapters.sql.sqlite.options import Options

# Comments keep these texts apart from what a team may write: the statement cache is keyed by text, and a cached
# statement is not shown to the authorizer again.
BEGIN_GROUP: Final = "BEGIN IMMEDIATE -- group"
COMMIT_GROUP: Final = "COMMIT -- group"
ROLLBACK_GROUP: Final = "ROLLBACK -- group"
SAVEPOINT: Final = "SAVEPOINT mainstay_turn -- turn"
RELEASE: Final = "RELEASE mainstay_turn -- turn"
ROLLBACK_TO: Final = "ROLLBACK TO mainstay_turn -- turn"
BEGIN_SNAPSHOT: Final = "BEGIN -- snapshot"
END_SNAPSHOT: Final = "ROLLBACK -- snapshot"
DATA_VERSION: Final = "PRAGMA data_version"

BUSY_MS: Final = 250  # of one try to begin; the writer tries again as long as calls may wait

_CONTROL = frozenset(
    {apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT, apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH, apsw.SQLITE_PRAGMA}
)
_HARMLESS_PRAGMAS = frozenset(
    {"data_version", "table_info", "table_xinfo", "table_list", "index_list", "index_xinfo", "foreign_key_list"}
)
_HARDENING = (
    (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
    (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
    (apsw.SQLITE_DBCONFIG_DQS_DML, 0),
    (apsw.SQLITE_DBCONFIG_DQS_DDL, 0),
    (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1),
    (apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1),  # without it "LIMIT ?" is prepared anew for each value: four times as slow
)


def open_writer(options: Options) -> apsw.Connection:
    """Open the file for writing, creating it if need be, in WAL mode.

    Raises ``apsw.Error`` where the file cannot be opened, and ``RuntimeError`` where its file system has no WAL.
    """
    connection = _open(options, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
    connection.set_busy_timeout(int(options.busy_seconds * 1000))
    mode = connection.pragma("journal_mode", "wal")
    if mode != "wal":
        raise RuntimeError(f"{options.path}: SQLite keeps journal_mode={mode} here; a local file system is needed")
    connection.wal_autocheckpoint(0)  # checkpoints are the Checkpointer's: none inside a commit that callers wait for
    connection.pragma("synchronous", options.synchronous)
    connection.pragma("journal_size_limit", options.wal_limit_bytes)
    connection.set_busy_timeout(BUSY_MS)
    return connection


def open_reader(options: Options) -> apsw.Connection:
    """Open the file, which must exist, for reading only. No busy handler is set."""
    return _open(options, apsw.SQLITE_OPEN_READONLY)


def close_writer(connection: apsw.Connection) -> None:
    """Copy the log into the file, as far as other processes' readers let it, and close."""
    connection.set_busy_timeout(0)
    try:
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    except apsw.BusyError:
        return  # another process is at it or reads the log: nothing is lost, the log stays
    finally:
        connection.close(True)


def watch_file(connection: apsw.Connection) -> Callable[[], bool]:
    """Return a function that says whether the file has another name now, or none: what is written is lost with it.

    It asks the file system, for about 3 us.
    """
    answer = ctypes.c_int(0)
    place = ctypes.addressof(answer)

    def moved() -> bool:
        connection.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, place)
        return answer.value != 0

    return moved


def guard(connection: apsw.Connection, ours: Callable[[], bool]) -> None:
    """Refuse statements that would end a transaction, attach a file or change a setting, unless ``ours()``.

    The check runs when a statement is prepared, so it costs nothing once the statement is cached.
    """

    def authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
        if action not in _CONTROL or ours():
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_PRAGMA and first in _HARMLESS_PRAGMAS:
            return apsw.SQLITE_OK
        if action == apsw.SQLITE_SAVEPOINT and second == "mainstay_turn":
            return apsw.SQLITE_OK
        return apsw.SQLITE_DENY

    connection.authorizer = authorize


def _open(options: Options, flags: int) -> apsw.Connection:
    connection = apsw.Connection(
        str(options.path), flags=flags, vfs=options.vfs, statementcachesize=options.statement_cache
    )
    for setting, value in _HARDENING:
        connection.config(setting, value)
    connection.pragma("case_sensitive_like", True)  # LIKE compares as binary collation does, in every store alike
    return connection
