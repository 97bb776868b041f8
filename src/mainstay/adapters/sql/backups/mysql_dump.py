"""What is in a dump of MariaDB or MySQL: the rows of each table, counted as the dump passes by."""

from __future__ import annotations

import re

from mainstay.adapters.sql.migrations.state import VERSION_TABLE

_MADE = re.compile(rb"CREATE TABLE `((?:[^`]|``)+)` \(")
_FILLED = re.compile(rb"INSERT INTO `((?:[^`]|``)+)` (?:\([^)]*\) )?VALUES")
_TEXT = re.compile(rb"'(?:[^'\\]|\\.|'')*'", re.DOTALL)


class Counted:
    """The rows of each table, and the revision, of the lines that were taken.

    A dump has no line break inside a text, and no bracket outside of one but around a row: MySQL writes many rows in a
    line, MariaDB one.
    """

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.revision: str | None = None
        self._table: str | None = None  # whose rows follow

    def take(self, line: bytes) -> None:
        """Take the next line."""
        rest = line
        if self._table is None:
            if made := _MADE.match(line):
                self.rows.setdefault(_name(made[1]), 0)
            filled = _FILLED.match(line)
            if filled is None:
                return
            self._table = _name(filled[1])
            rest = line[filled.end() :]
        if self._table == VERSION_TABLE and (found := _TEXT.search(rest)):
            self.revision = found[0][1:-1].decode()
        bare = _TEXT.sub(b"", rest)
        self.rows[self._table] = self.rows.get(self._table, 0) + bare.count(b"(")
        if bare.rstrip().endswith(b";"):
            self._table = None


def _name(quoted: bytes) -> str:
    return quoted.decode().replace("``", "`")
