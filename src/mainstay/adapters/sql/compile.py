"""Outlines to SQL: compiled once per shape by SQLAlchemy, for the raw driver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql import ClauseElement, ColumnElement

from mainstay.adapters.sql.columns import Columns
from mainstay.adapters.sql.outline import Outline
from mainstay.model.conditions import OPERATORS
from mainstay.model.schema import FieldKind

Predicate = ColumnElement[bool]

CACHED = 512
"""The shapes of statements that are kept for one entity."""


class Statement:
    """The text of a statement, and which values of its shape's walk it takes, in the driver's order.

    Values may be left over: SQLAlchemy takes out of an expression what cannot change its answer.
    """

    __slots__ = ("_as_walked", "_count", "_order", "sql")

    def __init__(self, sql: str, order: tuple[int, ...]) -> None:
        self.sql = sql
        self._order = order
        self._count = len(order)
        self._as_walked = order == tuple(range(len(order)))

    def bindings(self, values: list[Any]) -> list[Any]:
        """Return the values in the order of the placeholders."""
        if self._as_walked and len(values) == self._count:
            return values
        return [values[index] for index in self._order]


class Binds:
    """Placeholders, numbered in the order of the walk."""

    def __init__(self) -> None:
        self._count = count()

    def next(self) -> Any:
        """Return the next placeholder."""
        return sa.bindparam(self.name())

    def name(self) -> str:
        """Return the name of the next placeholder, for a piece of text that has it as ``:name``."""
        return f"mainstay_{next(self._count)}"


def compiled(element: ClauseElement) -> Statement:
    """Compile a statement whose placeholders are all from ``Binds``."""
    made = element.compile(dialect=sqlite.dialect(paramstyle="qmark"), compile_kwargs={"render_postcompile": True})
    names: list[str] = getattr(made, "positiontup", None) or []
    return Statement(str(made), tuple(int(name.removeprefix("mainstay_")) for name in names))


class StatementCache:
    """Compiled statements by shape; the one that was not asked for the longest goes first."""

    def __init__(self, size: int = CACHED) -> None:
        self._kept: dict[Any, Statement] = {}
        self._size = size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, shape: Any, make: Callable[[], ClauseElement]) -> Statement:
        """Return the statement of a shape, compiled now where it was not."""
        kept = self._kept
        found = kept.pop(shape, None)
        if found is None:
            found = compiled(make())
            if len(kept) >= self._size:
                del kept[next(iter(kept))]
        kept[shape] = found
        return found


def predicate(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    """Return the expression of an outline. Its placeholders come in the order of the walk that made the outline."""
    if isinstance(shape, bool):
        return sa.true() if shape else sa.false()
    return _MAKERS[shape[0]](shape, columns, binds)


def _compare(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    op, field = shape
    return _operate(op, _plain(columns, field), binds.next())


def plain(column: sa.Column[Any]) -> ColumnElement[Any]:
    """Return a column without its type: values are bound as they are stored, and SQLAlchemy must not look at them."""
    return sa.type_coerce(column, sa.types.NullType())


def _plain(columns: Columns, field: str) -> ColumnElement[Any]:
    return plain(columns[field].column)


def _operate(op: str, left: Any, right: Any) -> Predicate:
    made: Any = OPERATORS[op](left, right)
    return made  # type: ignore[no-any-return]  # columns overload the operators


def _null(shape: Outline, columns: Columns, _: Binds) -> Predicate:
    return columns[shape[1]].column.is_(None)


def _given(shape: Outline, columns: Columns, _: Binds) -> Predicate:
    return columns[shape[1]].column.is_not(None)


def _in(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    return _plain(columns, shape[1]).in_([binds.next() for _ in range(shape[2])])


def _listed(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    array = sa.func.json_each(binds.next()).table_valued("value")
    return _plain(columns, shape[1]).in_(sa.select(array.c.value))


def _contains(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    return sa.func.instr(_plain(columns, shape[1]), binds.next()) > sa.literal_column("0")


def _starts(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    column = _plain(columns, shape[1])
    return sa.and_(column >= binds.next(), column < binds.next())


def _fields(shape: Outline, columns: Columns, _: Binds) -> Predicate:
    _, left, op, right = shape
    shift = _places(columns, left) - _places(columns, right)
    return _operate(op, _raised(_plain(columns, left), -shift), _raised(_plain(columns, right), shift))


def _places(columns: Columns, field: str) -> int:
    attribute = columns[field].attribute
    return attribute.places if attribute.kind is FieldKind.DECIMAL else 0


def _raised(column: Any, places: int) -> Any:
    return column * sa.literal_column(str(10**places)) if places > 0 else column


def _not(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    return sa.not_(sa.func.coalesce(predicate(shape[1], columns, binds), sa.false()))


def _parts(shape: Outline, columns: Columns, binds: Binds) -> Iterator[Predicate]:
    return (predicate(part, columns, binds) for part in shape[1:])


def _and(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    return sa.and_(sa.true(), *_parts(shape, columns, binds))


def _or(shape: Outline, columns: Columns, binds: Binds) -> Predicate:
    return sa.or_(sa.false(), *_parts(shape, columns, binds))


_MAKERS: Mapping[str, Callable[[Outline, Columns, Binds], Predicate]] = {
    **dict.fromkeys(OPERATORS, _compare),
    "null": _null,
    "given": _given,
    "in": _in,
    "listed": _listed,
    "contains": _contains,
    "starts": _starts,
    "fields": _fields,
    "not": _not,
    "and": _and,
    "or": _or,
}
