"""Rows of the driver to entities and back, by functions that are generated once for each entity.

A stored row is trusted: it is built without today's bounds, so that a bound that was tightened does not make a row
unreadable. The generated source holds field names of a class and no value; ADR 0041 has what it was measured against.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from mainstay.adapters.sql import values
from mainstay.adapters.sql.columns import BoundColumn, Columns
from mainstay.adapters.sql.dialect import Dialect

Row = tuple[Any, ...]


class RowUnreadable(Exception):
    """A stored row does not fit the entity any more: a migration of its values is missing."""


class Codec(NamedTuple):
    """``one`` and ``many`` build entities of rows; ``encode`` gives the values of one in the order of its columns."""

    one: Callable[[Row], Any]
    many: Callable[[Sequence[Row]], list[Any]]
    encode: Callable[[Any], Row]


def codec(columns: Columns, unread: Collection[str] = ()) -> Codec:
    """Generate the functions of one entity; of rows that were read without some fields, which then hold None."""
    bound, dialect = [column for column in columns.by_name.values() if column.name not in unread], columns.dialect
    scope = scope_of(columns, bound)
    scope.update(_making(columns))
    scope["ROWS"] = _rows_type(bound, dialect)
    exec(compile(_source(bound, dialect), f"<codec of {columns.shape.name}>", "exec"), scope)  # noqa: S102 - our own text
    return Codec(scope["one"], scope["many"], scope["encode"])


def scope_of(columns: Columns, bound: Sequence[BoundColumn]) -> dict[str, Any]:
    """Return what the expressions of columns name."""
    dialect = columns.dialect
    scope: dict[str, Any] = {
        "Entity": columns.shape.type,
        "unreadable": _unreadable,
        "convert": msgspec.convert,
        "multiply": values.EXACT.multiply,
        "UUID": UUID,
        "Decimal": Decimal,
        "moment": datetime.fromisoformat,
        "day": date.fromisoformat,
        "clock": time.fromisoformat,
        "text": values.text_of,
        "AWARE": values.AWARE,
        "NAIVE": values.NAIVE,
        **dialect.functions,
    }
    for index, column in enumerate(bound):
        scope[f"decode_{index}"] = column.decode
        scope[f"encode_{index}"] = column.encode
        scope[f"step_{index}"] = values.step_of(column.attribute.places)
    return scope


def _making(columns: Columns) -> dict[str, Any]:
    """Return ``make`` and ``like``: a row is made as a copy of a row in which every column is replaced.

    Before Python 3.12 a class of our metaclass is called by way of a dict of its arguments, which takes three times as
    long as to copy (16.5 against 5.7 microseconds for 50 rows of eight columns). An entity with a ``__post_init__`` of
    its own is called all the same: there may be no row of it without values.
    """
    entity = columns.shape.type
    if hasattr(entity, "__post_init__"):
        return {"make": lambda _, **given: entity(**given), "like": None}
    return {"make": msgspec.structs.replace, "like": entity(**dict.fromkeys(columns.by_name))}


def _unreadable(entity: type, error: Exception) -> RowUnreadable:
    reason = f"{type(error).__name__}: {error}"
    return RowUnreadable(f"a stored {entity.__name__} does not fit its entity any more ({reason}): migrate its values")


def _rows_type(bound: list[BoundColumn], dialect: Dialect) -> Any:
    """Return what msgspec converts a list of rows to."""
    if not dialect.converted:
        return None
    return list[tuple[tuple(_list_type(column, dialect) for column in bound)]]  # type: ignore[misc]  # made at run time


def _list_type(column: BoundColumn, dialect: Dialect) -> Any:
    read = dialect.readings.get(column.attribute.kind)
    known = read is not None and read[1] is not None and not column.attribute.secret
    kind = read[1] if known and read is not None else dialect.converted[column.storage]
    return kind | None if column.attribute.optional else kind


def _source(bound: list[BoundColumn], dialect: Dialect) -> str:
    names = ", ".join(f"c{index}" for index in range(len(bound)))
    one = ", ".join(f"{c.name}={_read_one(bound, i, dialect)}" for i, c in enumerate(bound))
    many = ", ".join(f"{c.name}={_read(c, i, dialect, True)}" for i, c in enumerate(bound))
    wrote = ", ".join(_write(c, i, dialect) for i, c in enumerate(bound))
    columns = "\n".join(_read_columns(bound, names, dialect))
    rows = "convert(rows, ROWS)" if dialect.converted else f"zip({names})" if columns else "rows"
    return f"""
def one(row):
    try:
        {names}, = row
        return make(like, {one})
    except Exception as error:
        raise unreadable(Entity, error) from error

def many(rows):
    try:{columns}
        return [make(like, {many}) for {names}, in {rows}]
    except Exception as error:
        raise unreadable(Entity, error) from error

def encode(row):
    return ({wrote},)
"""


def twin(bound: Sequence[BoundColumn], index: int) -> int | None:
    """Return the place of ``created_at`` before ``updated_at``: of a row that was never changed they are the same."""
    places = [place for place, column in enumerate(bound[:index]) if column.name == "created_at"]
    return places[0] if places and bound[index].name == "updated_at" else None


def _read_one(bound: list[BoundColumn], index: int, dialect: Dialect) -> str:
    """Return the expression of a value; a point in time that a row has twice is made once."""
    column, expression = bound[index], one_cell(bound[index], index, dialect)
    if column.name == "created_at" and expression != f"c{index}":
        return f"(made := {expression})"
    first = twin(bound, index)
    if first is None or expression == f"c{index}":
        return expression
    return f"(made if c{index} == c{first} else {expression})"


def _read_columns(bound: list[BoundColumn], names: str, dialect: Dialect) -> Iterator[str]:
    """Give the lines that take rows apart into columns, and read those that are read as a whole."""
    whole = [index for index, column in enumerate(bound) if _is_whole(column, dialect)]
    if whole:
        yield f"\n        if not rows:\n            return []\n        {names}, = zip(*rows)"
    for index in whole:
        first, made = twin(bound, index), in_whole(bound[index], index, dialect)
        if first is not None:
            made = f"m{first} if c{index} == c{first} else {made}"
        yield f"        m{index} = {made}"
    if whole:
        yield "        " + "; ".join(f"c{index} = m{index}" for index in whole)


def in_whole(column: BoundColumn, index: int, dialect: Dialect) -> str:
    """Return the expression of the values of a column, of its cells."""
    cell, each = f"c{index}", one_cell(column, index, dialect)
    if _is_whole(column, dialect):
        made = f"{dialect.columnwise[column.attribute.kind]}({cell})"
        return f"{made} if None not in {cell} else [{each} for {cell} in {cell}]" if column.attribute.optional else made
    return cell if each == cell else f"[{each} for {cell} in {cell}]"


def one_cell(column: BoundColumn, index: int, dialect: Dialect) -> str:
    """Return the expression of a value by itself, of its cell."""
    return _read(column, index, dialect, False)


def _is_whole(column: BoundColumn, dialect: Dialect) -> bool:
    return column.attribute.kind in dialect.columnwise and not column.attribute.secret


def _read(column: BoundColumn, index: int, dialect: Dialect, in_list: bool) -> str:
    attribute, cell = column.attribute, f"c{index}"
    if attribute.secret:
        expression = f"decode_{index}({cell})"
    elif attribute.kind in dialect.as_read or (in_list and _is_whole(column, dialect)):
        return cell
    else:
        template, listed = dialect.readings.get(attribute.kind, ("decode_{1}({0})", None))
        if in_list and listed is not None:
            return cell
        expression = template.format(cell, index)
    return f"(None if {cell} is None else {expression})" if attribute.optional else expression


def _write(column: BoundColumn, index: int, dialect: Dialect) -> str:
    attribute, value = column.attribute, f"row.{column.name}"
    function = None if attribute.secret else dialect.written.get(attribute.kind)
    if function == "":
        return value
    call = function or f"encode_{index}"
    return f"(None if (v := {value}) is None else {call}(v))" if attribute.optional else f"{call}({value})"
