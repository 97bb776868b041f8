"""Steps that change rows, as operations of a plan: a revision file calls ``mainstay.sql.steps`` for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alembic.autogenerate import renderers
from alembic.operations.ops import MigrateOperation

from mainstay.adapters.sql.types import ColumnType

_INVERSES: Mapping[str, str] = {
    "fill_on_write": "stop_filling",
    "stop_filling": "fill_on_write",
    "mirror": "stop_mirroring",
    "stop_mirroring": "mirror",
}


class Step(MigrateOperation):
    """One call, of a table and of what else it takes: names of columns, types, values as text.

    ``undone`` is what the step that undoes it takes, where it is not the same.
    """

    def __init__(self, name: str, table: str, *given: Any, undone: tuple[Any, ...] | None = None) -> None:
        self.name = name
        self.table = table
        self.given = given
        self.undone = undone

    @property
    def is_undone(self) -> bool:
        """Whether going down there is something to be done about it."""
        return self.name in _INVERSES

    def reverse(self) -> Step:
        """Return the step that undoes it."""
        return Step(_INVERSES[self.name], self.table, *(self.given if self.undone is None else self.undone))


@renderers.dispatch_for(Step)
def _render(_context: Any, step: Step) -> str:
    given = (f"types.{each!r}" if isinstance(each, ColumnType) else repr(each) for each in step.given)
    return f"steps.{step.name}({', '.join((repr(step.table), *given))})"
