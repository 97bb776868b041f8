"""What can go wrong with MariaDB and MySQL, and how their errors are read.

Answers for a caller are Problems. What a server says of a statement is told by its number. Which key was not unique,
and which reference was broken, stands in its words only: sessions ask for them in English.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from asyncmy import errors

from mainstay.adapters.sql.faults import ConstraintFailed, ConstraintKind, StatementFailed
from mainstay.adapters.sql.outages import StaleStatement, lost
from mainstay.model.problem import DeadlineExceeded, SerializationConflict

DUPLICATE_INDEX = 1061

_CONSTRAINTS: Mapping[int, ConstraintKind] = MappingProxyType(
    {
        1062: "unique",
        1586: "unique",
        1216: "foreign_key",  # without the privilege to see the other table: no names
        1217: "foreign_key",
        1451: "foreign_key",  # a row is referred to
        1452: "foreign_key",  # a row refers to none
        1048: "not_null",
        3819: "check",  # MySQL
        4025: "check",  # MariaDB
    }
)
_AGAIN = frozenset({1213, 1205, 1020})  # deadlock, lock wait timeout, record has changed since last read
_STALE = frozenset({1615, 1243})  # to be prepared again; the server does not know it any more
_LATE = frozenset({1969, 3024, 1317})  # MariaDB's bound, MySQL's bound, interrupted
_GONE = frozenset(
    {
        *(1040, 1203, 1226),  # too many connections: of the server, of the user
        *(1053, 1077, 1079, 1080, 1094, 1152, 1158, 1159, 1160, 1161, 1184, 1927),  # shutdown, killed, broken off
        *(1290, 1836, 1792),  # a fail-over has made this server read only
        *(2006, 2013, 2014, 2055, 4031),  # told by the client, and by MySQL of one that was idle for too long
    }
)
_KEY = re.compile(r".*for key '(?P<key>[^']+)'", re.DOTALL)  # the last: the value before it may say so too
_REFERENCE = re.compile(r"\(`.*?`\.`(?P<table>.*?)`, CONSTRAINT `(?P<name>.*?)` FOREIGN KEY \(`(?P<column>.*?)`\)")


class Columns:
    """The columns of unique indexes by name: the server tells the name, and MySQL the table before it."""

    __slots__ = ("_known",)

    QUERY = """
        SELECT table_name, index_name, column_name FROM information_schema.statistics
        WHERE table_schema = DATABASE() AND non_unique = 0 ORDER BY table_name, index_name, seq_in_index
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, tuple[str, ...]]] = {}

    def learn(self, rows: Sequence[Sequence[Any]]) -> None:
        """Take what ``QUERY`` has found."""
        known: dict[str, dict[str, tuple[str, ...]]] = {}
        for table, index, column in rows:
            tables = known.setdefault(str(index), {})
            tables[str(table)] = (*tables.get(str(table), ()), str(column))
        self._known = known

    def of(self, key: str) -> tuple[str, tuple[str, ...]]:
        """Return the table and the columns of a key as it is told; empty where it does not tell them."""
        if key in self._known:
            tables = self._known[key]
            columns = set(tables.values())
            table = next(iter(tables)) if len(tables) == 1 else ""
            return table, columns.pop() if len(columns) == 1 else ()
        table, _, index = key.partition(".")
        return table if index else "", self._known.get(index, {}).get(table, ())


def number_of(error: BaseException) -> int | None:
    """Return the number of an error that the server, or the driver, has told."""
    if isinstance(error, errors.MySQLError) and error.args and isinstance(error.args[0], int):
        return error.args[0]
    return None


def translate(error: BaseException, columns: Columns) -> BaseException:
    """Return what a failed statement raises: this package's own exception for the driver's, all else unchanged."""
    if isinstance(error, TimeoutError):
        return DeadlineExceeded("the database took too long")
    number = number_of(error)
    if number is not None and number >= 1000:
        return _told(error, number, columns)
    if isinstance(error, OSError | EOFError | errors.MySQLError):
        return lost(error)
    return error


def _told(error: BaseException, number: int, columns: Columns) -> BaseException:
    words = str(error.args[1]) if len(error.args) > 1 else ""
    kind = _CONSTRAINTS.get(number)
    if kind is not None:
        return _constraint(kind, words, columns)
    if number in _AGAIN:
        return SerializationConflict("the change met a concurrent one")
    if number in _LATE:
        return DeadlineExceeded("the database took too long")
    if number in _STALE:
        return StaleStatement()
    if number in _GONE:
        return lost(error)
    return StatementFailed(words, number)


def _constraint(kind: ConstraintKind, words: str, columns: Columns) -> ConstraintFailed:
    if kind == "unique" and (found := _KEY.match(words)):
        table, known = columns.of(found["key"])
        return ConstraintFailed(kind, table, known, found["key"])
    if kind == "foreign_key" and (found := _REFERENCE.search(words)):
        return ConstraintFailed(kind, found["table"], (found["column"],), found["name"])
    return ConstraintFailed(kind, "", (), "")  # the words of the others may hold values: they are not passed on
