"""Writes to rows in memory, under the rules that a database would keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from mainstay.adapters.memory.layout import Layout, copied
from mainstay.adapters.memory.selection import select
from mainstay.adapters.memory.state import State
from mainstay.model.problem import NotFound, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, reference_conflict, still_referenced


class Writing(Protocol):
    """A transaction that writes."""

    def layout(self, entity: type[Entity]) -> Layout:
        """Return the rules of a table."""

    def state(self, entity: type[Entity]) -> State:
        """Return the rows of a table as this transaction sees them."""

    def working(self, layout: Layout) -> State:
        """Return the rows of a table to change."""


def insert(transaction: Writing, layout: Layout, row: Any) -> None:
    """Add a row. Raises ``UniqueConflict`` and ``ReferenceConflict``."""
    transaction.working(layout).add(layout, row)
    _check_references(transaction, layout, row, None)


def change(transaction: Writing, layout: Layout, wanted: Change, *, bump: bool) -> int:
    """Carry out a change and return the number of rows that it met; ``bump`` raises their versions by one."""
    state = transaction.working(layout)
    seen = select(state, wanted.where)
    met = seen if wanted.version is None else [row for row in seen if row.version == wanted.version]
    if wanted.expected is not None and len(met) != wanted.expected:
        if len(seen) == wanted.expected:
            raise StaleVersion(f"the {layout.name} was changed since it was read")
        raise NotFound(f"there is no such {layout.name}")
    for row in met:
        if wanted.changes is None:
            if row.id in state.rows:  # a cascade from one of the others may have taken it
                _delete(transaction, layout, row)
        else:
            _update(transaction, layout, row, wanted.changes, bump)
    return len(met)


def _update(transaction: Writing, layout: Layout, row: Any, changes: Mapping[str, Any], bump: bool) -> None:
    given = {name: copied(value) if name in layout.shared else value for name, value in changes.items()}
    if bump:
        given.setdefault("version", row.version + 1)
    changed = msgspec.structs.replace(row, **given)
    transaction.working(layout).replace(layout, row, changed)
    _check_references(transaction, layout, changed, changes)


def _check_references(transaction: Writing, layout: Layout, row: Any, changes: Mapping[str, Any] | None) -> None:
    for reference in layout.outgoing:
        if changes is not None and reference.field not in changes:
            continue
        target = getattr(row, reference.field)
        if target is not None and target not in transaction.state(reference.target).rows:
            raise reference_conflict(reference.field)


def _delete(transaction: Writing, layout: Layout, row: Any) -> None:
    transaction.working(layout).remove(row)
    for reference in layout.incoming:
        kept = transaction.state(reference.entity).rows
        children = [child for child in kept.values() if getattr(child, reference.field) == row.id]
        if not children:
            continue
        if reference.on_delete == "restrict":
            raise still_referenced(layout.name)
        below = transaction.layout(reference.entity)
        for child in children:
            if reference.on_delete == "cascade":
                if child.id in transaction.state(reference.entity).rows:
                    _delete(transaction, below, child)
            else:
                _update(transaction, below, child, {reference.field: None}, bump=False)
