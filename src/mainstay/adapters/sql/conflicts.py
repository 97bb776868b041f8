"""Constraints that refused a statement, told in the terms of entities and fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mainstay.adapters.sql.sqlite import ConstraintFailed
from mainstay.adapters.sql.statements import Statements
from mainstay.ports.rows import Change, reference_conflict, still_referenced, unique_conflict

Execute = Callable[[str, Sequence[Any]], list[Any]]


def insert_conflict(
    error: ConstraintFailed, statements: Statements, rows: Sequence[Any], execute: Execute
) -> Exception:
    """Return the problem of rows that could not be inserted."""
    links = {link.field for link in statements.links}
    named = ({field: getattr(row, field) for field in links} for row in rows)
    return _conflict(error, statements, named, execute)


def change_conflict(error: ConstraintFailed, statements: Statements, change: Change, execute: Execute) -> Exception:
    """Return the problem of an update or a deletion that could not be done."""
    if change.changes is None:
        return still_referenced(statements.name) if error.kind == "foreign_key" else error
    return _conflict(error, statements, [change.changes], execute)


def _conflict(
    error: ConstraintFailed, statements: Statements, written: Iterable[Mapping[str, Any]], execute: Execute
) -> Exception:
    """Not null, type and check are none of a caller's faults: the doorway has checked the values. They stay errors."""
    if error.kind == "unique" and error.columns:
        return unique_conflict(statements.name, error.columns[0])
    if error.kind == "foreign_key":
        field = _missing(statements, written, execute)
        if field is not None:
            return reference_conflict(field)
    return error


def _missing(statements: Statements, written: Iterable[Mapping[str, Any]], execute: Execute) -> str | None:
    """Find the first reference that names no row: SQLite does not say which one it was."""
    encode = {link.field: statements.columns[link.field].encode for link in statements.links}
    for values in written:
        for link in statements.links:
            value = values.get(link.field)
            if value is not None and not execute(link.exists, (encode[link.field](value),)):
                return link.field
    return None
