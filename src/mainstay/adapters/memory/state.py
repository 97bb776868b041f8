"""The rows of one table at one moment, with the index of its unique fields."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mainstay.adapters.memory.layout import Layout
from mainstay.ports.rows import unique_conflict
from mainstay.ports.uniqueness import Uniqueness


class State:
    """Rows by id. A committed state is never changed again: who writes works on a copy of it."""

    __slots__ = ("_rule", "rows", "unique")

    def __init__(self, rows: dict[UUID, Any], unique: dict[str, dict[Any, UUID]], rule: Uniqueness) -> None:
        self._rule = rule
        self.rows: dict[UUID, Any] = rows
        self.unique: dict[str, dict[Any, UUID]] = unique

    @classmethod
    def empty(cls, layout: Layout) -> State:
        """Return the state of a table without rows."""
        return cls({}, {field: {} for field in layout.unique.fields}, layout.unique)

    def copy(self) -> State:
        """Return a state to work on."""
        return State(self.rows.copy(), {field: index.copy() for field, index in self.unique.items()}, self._rule)

    def add(self, layout: Layout, row: Any) -> None:
        """Put in a new row. Raises ``UniqueConflict``."""
        if row.id in self.rows:
            raise unique_conflict(layout.name, "id")
        self._index(layout, row)
        self.rows[row.id] = row

    def replace(self, layout: Layout, old: Any, new: Any) -> None:
        """Put a row in the place of what it was. Raises ``UniqueConflict``."""
        self._unindex(old)
        self._index(layout, new)
        self.rows[new.id] = new

    def remove(self, row: Any) -> None:
        """Take a row out."""
        self._unindex(row)
        del self.rows[row.id]

    def _index(self, layout: Layout, row: Any) -> None:
        for field, index in self.unique.items():
            value = self._rule.value(row, field)
            if value is None:
                continue
            if value in index:
                raise unique_conflict(layout.name, field)
            index[value] = row.id

    def _unindex(self, row: Any) -> None:
        for field, index in self.unique.items():
            value = self._rule.value(row, field)
            if value is not None:
                index.pop(value, None)

    def named(self, field: str, value: Any) -> UUID | None:
        """Return the id of the row that has a value in a field which is unique everywhere."""
        return self.unique[field].get(value)

    def names(self, field: str) -> bool:
        """Say whether a value of a field names one row by itself."""
        return field in self._rule.everywhere
