"""What can go wrong with PostgreSQL, and how its errors are read.

Answers for a caller are Problems. What a server says of a statement is told by its SQLSTATE (PostgreSQL's appendix A),
never by its words, which are in the language of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import asyncpg

from mainstay.adapters.sql.faults import ConstraintFailed, ConstraintKind, StatementFailed
from mainstay.adapters.sql.outages import StaleStatement, lost
from mainstay.model.problem import DeadlineExceeded, SerializationConflict

_CONSTRAINTS: Mapping[str, ConstraintKind] = MappingProxyType(
    {
        "23505": "unique",
        "23503": "foreign_key",
        "23001": "foreign_key",  # restrict_violation
        "23502": "not_null",
        "23514": "check",
    }
)
_AGAIN = frozenset({"40001", "40P01", "55P03"})  # could not serialise, deadlock, lock not available
_STALE = "0A000"  # "cached plan must not change result type": the schema was changed under a prepared statement
_READ_ONLY = "25006"  # a fail-over has made this server a standby
_CANCELED = "57014"
_GONE = frozenset({"57P01", "57P02", "57P03", "57P05", "25P03", "53300"})
# shutdown, crash, starting up, idle session, idle in transaction, too many connections


class Columns:
    """The columns of unique indexes and foreign keys, by table and name: the server names the constraint only."""

    __slots__ = ("_known",)

    QUERY = """
        SELECT t.relname, i.relname, array(
            SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k(n, o)
            JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n ORDER BY k.o)
        FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class t ON t.oid = x.indrelid
        JOIN pg_namespace s ON s.oid = t.relnamespace
        WHERE x.indisunique AND s.nspname = ANY(current_schemas(false))
        UNION ALL
        SELECT t.relname, c.conname, array(
            SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY AS k(n, o)
            JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.n ORDER BY k.o)
        FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid
        JOIN pg_namespace s ON s.oid = t.relnamespace
        WHERE c.contype = 'f' AND s.nspname = ANY(current_schemas(false))
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str, ...]] = {}

    def learn(self, rows: list[asyncpg.Record]) -> None:
        """Take what ``QUERY`` has found."""
        self._known = {(str(table), str(name)): tuple(columns) for table, name, columns in rows}

    def of(self, table: str, constraint: str) -> tuple[str, ...] | None:
        """Return the columns of a constraint, or None where it is not known."""
        return self._known.get((table, constraint))


def translate(error: BaseException, columns: Columns) -> BaseException:
    """Return what a failed statement raises: this package's own exception for the driver's, all else unchanged."""
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("the database took too long")
    if isinstance(error, asyncpg.PostgresError):
        return _told(error, columns)
    if isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError):
        return StatementFailed(str(error), "")  # a value that the driver cannot encode: nothing was sent
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return lost(error)
    return error


def _told(error: asyncpg.PostgresError, columns: Columns) -> BaseException:
    state = str(getattr(error, "sqlstate", "") or "")
    kind = _CONSTRAINTS.get(state)
    if kind is not None:
        table, constraint = error.table_name or "", error.constraint_name or ""
        known = columns.of(table, constraint) or (() if error.column_name is None else (error.column_name,))
        return ConstraintFailed(kind, table, known, constraint)
    if state in _AGAIN:
        return SerializationConflict("the change met a concurrent one")
    if state == _CANCELED:
        return DeadlineExceeded("the database took too long")
    if state == _STALE:
        return StaleStatement()
    if state == _READ_ONLY:
        return lost(error, sent=False)  # it was refused: as good as not sent
    if state in _GONE or state[:2] == "08" or not state:
        return lost(error)
    return StatementFailed(str(error), state)
