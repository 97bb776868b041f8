"""Steps that change rows, as operations of a plan: a revision file calls ``mainstay.sql.steps`` for each."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import renderers
from alembic.operations.ops import MigrateOperation


class Step(MigrateOperation):
    """``fill`` or ``convert``, for a column of these types; ``text`` is the value that fills it."""

    def __init__(self, name: str, table: str, column: str, kinds: tuple[Any, ...], text: str | None = None) -> None:
        self.name = name
        self.table = table
        self.column = column
        self.kinds = kinds
        self.text = text


@renderers.dispatch_for(Step)
def _render(_context: Any, step: Step) -> str:
    kinds = ", ".join(f"types.{kind!r}" for kind in step.kinds)
    text = "" if step.text is None else f", {step.text!r}"
    return f"steps.{step.name}({step.table!r}, {step.column!r}, {kinds}{text})"
