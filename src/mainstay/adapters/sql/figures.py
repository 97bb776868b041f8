"""Sums, counts and extremes: exact, in the type of the field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mainstay.adapters.sql.columns import BoundColumn, Columns, UnknownField
from mainstay.adapters.sql.dialect import Take
from mainstay.model.schema import FieldKind
from mainstay.ports.rows import Aggregate

_EXACT = frozenset({FieldKind.INTEGER, FieldKind.DECIMAL})


class Figures(NamedTuple):
    """What to select, and what turns a row of it into the grouping values and measures."""

    selected: list[str]
    decode: Callable[[tuple[Any, ...]], tuple[Any, ...]]


def figures(columns: Columns, aggregate: Aggregate) -> Figures:
    """Return the figures that an aggregate asks for. Raises ``UnknownField`` for a function that a field has not."""
    selected: list[str] = []
    takes: list[Take] = []
    for name in aggregate.by:
        column = columns.comparable(name)
        selected.append(column.sql)
        takes.append(_value(column))
    for function, field in aggregate.measures:
        made, take = _measure(columns, function, field)
        selected.extend(made)
        takes.append(take)

    def decode(row: tuple[Any, ...]) -> tuple[Any, ...]:
        cells = list(reversed(row))
        return tuple(take(cells) for take in takes)

    return Figures(selected, decode)


def _measure(columns: Columns, function: str, field: str | None) -> tuple[list[str], Take]:
    if function == "count":
        return [f"count({'*' if field is None else columns[field].sql})"], list.pop
    if field is None:
        raise UnknownField(f"{function} needs a field")
    column = columns.comparable(field)
    if function in ("min", "max"):
        return [columns.dialect.extreme(function, column.sql, column.attribute)], _value(column)
    if function != "sum":
        raise UnknownField(f"{function!r} is no figure: count, sum, min, max")
    if column.attribute.kind is FieldKind.FLOAT:
        return [f"sum({column.sql})"], list.pop
    if column.attribute.kind not in _EXACT:
        raise UnknownField(f"{columns.shape.name}.{field} is a {column.attribute.kind.value}: it has no sum")
    return columns.dialect.total(column.sql, column.attribute, column.decode)


def _value(column: BoundColumn) -> Take:
    def take(cells: list[Any]) -> Any:
        cell = cells.pop()
        return None if cell is None else column.decode(cell)

    return take
