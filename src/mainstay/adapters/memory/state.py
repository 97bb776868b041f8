"""The rows of one table at one moment, with the index of its unique fields."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mainstay.adapters.memory.layout import Layout
from mainstay.ports.rows import unique_conflict


class State:
    """Rows by id. A committed state is never changed again: who writes works on a copy of it."""

    __slots__ = ("rows", "unique")

    def __init__(self, rows: dict[UUID, Any], unique: dict[tuple[str, ...], dict[Any, UUID]]) -> None:
        self.rows = rows
        self.unique = unique

    @classmethod
    def empty(cls, layout: Layout) -> State:
        """Return the state of a table without rows."""
        return cls({}, {layout.unique.columns(field): {} for field in layout.unique.fields})

    def copy(self) -> State:
        """Return a state to work on."""
        return State(self.rows.copy(), {columns: index.copy() for columns, index in self.unique.items()})

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
        for columns, index in self.unique.items():
            value = _value(row, columns)
            if value is None:
                continue
            if value in index:
                raise unique_conflict(layout.name, columns[-1])
            index[value] = row.id

    def _unindex(self, row: Any) -> None:
        for columns, index in self.unique.items():
            value = _value(row, columns)
            if value is not None:
                index.pop(value, None)


def _value(row: Any, columns: tuple[str, ...]) -> Any:
    """Return what is unique of a row, or None where it has no value: those without one are all distinct."""
    value = getattr(row, columns[-1])
    return value if value is None or len(columns) == 1 else (getattr(row, columns[0]), value)
