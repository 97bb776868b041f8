"""What a statement can fail of that is no answer for a caller.

The layer above knows the entities and turns a failed constraint into a Problem of its own; any other failure is a fault
of ours (500, with its detail in the log only).
"""

from __future__ import annotations

from typing import Literal

ConstraintKind = Literal["unique", "foreign_key", "not_null", "check", "datatype", "other"]


class ConstraintFailed(Exception):
    """A constraint of the schema refused a statement; the statement, and only it, was undone.

    ``table`` and ``columns`` are empty where the database does not name them: SQLite, for a foreign key always, and for
    a unique index over an expression. ``constraint`` is then the index's name; for a check it is the constraint's name,
    or its expression where it has none.
    """

    def __init__(self, kind: ConstraintKind, table: str, columns: tuple[str, ...], constraint: str) -> None:
        super().__init__(f"{kind} constraint failed: {constraint or '.'.join((table, ','.join(columns)))}")
        self.kind = kind
        self.table = table
        self.columns = columns
        self.constraint = constraint

    def __reduce__(self) -> tuple[type[ConstraintFailed], tuple[ConstraintKind, str, tuple[str, ...], str]]:
        return ConstraintFailed, (self.kind, self.table, self.columns, self.constraint)


class StatementFailed(Exception):
    """The database refused or failed a statement for a reason that is no constraint. ``code`` is the database's own."""

    def __init__(self, message: str, code: int | str) -> None:
        super().__init__(f"{message} (code {code})")
        self.code = code
