"""Rows that are added or change others, by the one statement that SQLite and PostgreSQL have for it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.statements import Bound, Statements
from mainstay.ports.rows import Merge
from mainstay.ports.selection import plain


class Upsert(NamedTuple):
    """Encoded rows to be merged: what follows the insertion of each, and what that binds."""

    statements: Statements
    rows: list[Row]
    end: str
    bindings: Sequence[Any]

    def parts(self) -> Iterator[Bound]:
        """Give the statements to be carried out: one for all rows, where the database takes lists of their values."""
        statements = self.statements
        if len(self.rows) > 1 and statements.insert_many is not None:
            yield statements.insert_many + self.end, [*zip(*self.rows, strict=True), *self.bindings]
            return
        for row in self.rows:
            yield statements.insert + self.end, [*row, *self.bindings]


def upsert(statements: Statements, merge: Merge[Any]) -> Upsert:
    """Return a merge as it is carried out."""
    end, bindings = statements.on_conflict(merge)
    return Upsert(statements, list(map(statements.codec.encode, merge.rows)), end, bindings)


def matched(merge: Merge[Any], found: Sequence[Any]) -> list[Any]:
    """Return the rows that a merge gave, in the order of those it was of; None where one was not changed."""
    by_value = {value: row for row in found if (value := plain(getattr(row, merge.on))) is not None}
    by_id = {row.id: row for row in found}
    values = ((row, plain(getattr(row, merge.on))) for row in merge.rows)
    return [by_id.get(row.id) if value is None else by_value.get(value) for row, value in values]
