"""A database as migrations see it: a connection whose one transaction holds the file alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.types import ColumnType, plain_type, read_meanings


class MeaningfulDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's dialect for Python's SQLite, with the meaning of columns read from the text of their table."""

    supports_statement_cache = False  # each statement of a migration runs once

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **kw: Any) -> list[Any]:
        """Return the columns of a table, with the types of this package."""
        columns: list[Any] = super().get_columns(connection, table_name, schema, **kw)  # type: ignore[no-untyped-call]
        text = connection.exec_driver_sql(
            "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table_name,)
        ).scalar()
        meanings = read_meanings(text or "")
        for column in columns:
            if isinstance(column["type"], ColumnType):
                continue  # SQLAlchemy keeps the list from the last time
            kind = meanings.get(column["name"]) or plain_type(str(column["type"]))
            if kind is not None:
                column["type"] = kind
        return columns


def _engine(target: str, wait_seconds: float) -> sa.Engine:
    registry.register("sqlite.mainstay", __name__, "MeaningfulDialect")
    engine = sa.create_engine(
        f"sqlite+mainstay:///{target}",
        poolclass=sa.pool.StaticPool,
        connect_args={"isolation_level": None, "timeout": wait_seconds, "check_same_thread": False},
    )
    sa.event.listen(engine, "connect", _configure)
    # Of pysqlite's own transactions there is none before DDL: a failed migration would be left half done.
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _configure(connection: sqlite3.Connection, _: Any) -> None:
    """Before BEGIN, behind which it has no effect: with foreign keys on, the copy of a table deletes its children."""
    connection.execute("PRAGMA foreign_keys = OFF")


@contextmanager
def scratch() -> Iterator[sa.Connection]:
    """Give a connection to an empty database in memory."""
    engine = _engine(":memory:", 0)
    try:
        with engine.connect() as connection, connection.begin():
            yield connection
    finally:
        engine.dispose()


@contextmanager
def held(database: Path, wait_seconds: float) -> Iterator[sa.Connection]:
    """Give a connection whose transaction holds the file; commit it where every reference is whole, else undo it all.

    A second runner waits here until the first has ended. Raises ``MigrationFault`` where the wait is over, or where
    rows would be left that refer to none.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    engine = _engine(str(database), wait_seconds)
    try:
        with _waiting(database, wait_seconds), engine.connect() as connection, connection.begin():
            yield connection
            check_references(connection)
    finally:
        engine.dispose()


@contextmanager
def reading(database: Path) -> Iterator[sa.Connection]:
    """Give a connection that changes nothing. The file must exist."""
    registry.register("sqlite.mainstay", __name__, "MeaningfulDialect")
    engine = sa.create_engine("sqlite+mainstay://", creator=lambda: _open_for_reading(database), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _open_for_reading(database: Path) -> sqlite3.Connection:
    """Open a file for statements that write nothing. Who could not write at all could not read after a kill either."""
    connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=rw", uri=True, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection


@contextmanager
def _waiting(database: Path, wait_seconds: float) -> Iterator[None]:
    try:
        yield
    except sa.exc.OperationalError as error:
        if getattr(error.orig, "sqlite_errorcode", None) != sqlite3.SQLITE_BUSY:
            raise
        raise MigrationFault(
            f"{database}: something else has held it for {wait_seconds:g} s: wait for the other migration, "
            "or stop the service, and run this again"
        ) from error


def check_references(connection: sa.Connection) -> None:
    """Raise ``MigrationFault`` where a row refers to one that is not there."""
    broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
    if broken:
        tables = sorted({f"{row[0]} -> {row[2]}" for row in broken})
        raise MigrationFault(
            f"nothing was changed: after the migration {len(broken)} rows would refer to rows that are not there "
            f"({', '.join(tables)}): mend the rows or the migration"
        )
