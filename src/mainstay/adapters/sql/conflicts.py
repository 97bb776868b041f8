"""Constraints that refused a statement, told in the terms of entities and fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mainstay.adapters.sql.codec import Row
from mainstay.adapters.sql.faults import ConstraintFailed
from mainstay.adapters.sql.statements import Link, Statements
from mainstay.ports.rows import reference_conflict, still_referenced, unique_conflict

Execute = Callable[[str, Sequence[Any]], list[Any]]


def insert_conflict(
    error: ConstraintFailed, statements: Statements, rows: Sequence[Row], execute: Execute | None = None
) -> Exception:
    """Return the problem of encoded rows that could not be inserted."""
    named = ((link, row[link.place]) for row in rows for link in statements.links)
    return _conflict(error, statements, named, execute)


def update_conflict(
    error: ConstraintFailed, statements: Statements, changes: Mapping[str, Any], execute: Execute | None = None
) -> Exception:
    """Return the problem of an update that could not be done."""
    columns = statements.columns
    changed = [(link, changes[link.field]) for link in statements.links if changes.get(link.field) is not None]
    return _conflict(error, statements, [(link, columns[link.field].encode(v)) for link, v in changed], execute)


def delete_conflict(error: ConstraintFailed, statements: Statements) -> Exception:
    """Return the problem of a deletion that could not be done."""
    return still_referenced(statements.name) if error.kind == "foreign_key" else error


def _conflict(
    error: ConstraintFailed, statements: Statements, named: Iterable[tuple[Link, Any]], execute: Execute | None = None
) -> Exception:
    """Not null, type and check are no caller's faults, since the doorway has checked the values: they stay errors."""
    if error.kind == "unique" and error.columns:
        return unique_conflict(statements.name, statements.unique.told(error.columns))
    if error.kind == "foreign_key" and error.columns:
        return reference_conflict(error.columns[0])
    if error.kind == "foreign_key" and execute is not None:
        for link, stored in named:  # SQLite does not say which reference it was
            if stored is not None and not execute(link.exists, (stored,)):
                return reference_conflict(link.field)
    return error
