"""Backups of a SQLite file, taken while it is in use (https://sqlite.org/backup.html)."""

# ruff: noqa: S608 - names of tables, quoted
from __future__ import annotations

from pathlib import Path

import apsw

from mainstay.adapters.sql.backups.contents import BackupFault, Contents, check_new, read_contents, write_contents
from mainstay.adapters.sql.migrations.state import read_revision, read_schema

_BUSY_MS = 10_000


def backup(database: Path, file: Path) -> Contents:
    """Copy a database, as it is at one moment, and return what is in the copy. Raises ``BackupFault``."""
    check_new(file)
    if not database.exists():
        raise BackupFault(f"{database}: there is no such database")
    unfinished = file.with_name(f"{file.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    try:
        _copy(database, unfinished)
        _check(unfinished)
        contents = Contents(store="sqlite", revision=read_revision(unfinished), rows=rows_of(unfinished))
        write_contents(file, contents)
        unfinished.rename(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return contents


def restore(file: Path, database: Path, *, replace: bool) -> Contents:
    """Make a database what a backup holds, in one transaction, and return that.

    Raises ``BackupFault`` where it has tables and ``replace`` does not say that they may go.
    """
    contents = read_contents(file, "sqlite")
    if not replace and database.exists() and database.stat().st_size and read_schema(database):
        raise BackupFault(f"{database} is not empty: --replace gives it up for the backup")
    _copy(file, database)
    _check(database)
    differences = contents.differences(rows_of(database))
    if differences:
        raise BackupFault(f"{database} is not what was backed up: {'; '.join(differences)}")
    return contents


def rows_of(database: Path) -> dict[str, int]:
    """Return the number of rows of each table."""
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        counted = {}
        for name in sorted(read_schema(database)):
            quoted = name.replace('"', '""')
            counted[name] = int(connection.execute(f'SELECT count(*) FROM "{quoted}"').fetchall()[0][0] or 0)
        return counted
    finally:
        connection.close()


def _copy(source: Path, target: Path) -> None:
    """Copy all pages in one step: what others write meanwhile is in it or not, and never half."""
    reading = apsw.Connection(str(source), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        writing = apsw.Connection(str(target))
        try:
            for connection in (reading, writing):
                connection.set_busy_timeout(_BUSY_MS)
            with writing.backup("main", reading, "main") as copying:
                while not copying.done:
                    copying.step(-1)
        finally:
            writing.close()
    except apsw.BusyError as error:
        raise BackupFault(f"{target} is in use: stop what works on it") from error
    except apsw.Error as error:
        raise BackupFault(f"{source} cannot be copied to {target}: {error}") from error
    finally:
        reading.close()


def _check(database: Path) -> None:
    connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    finally:
        connection.close()
    if found != [("ok",)]:
        raise BackupFault(f"{database} is damaged: {found[0][0]}")
