"""Outlines to SQL: written once per shape, as text for the raw driver.

The text holds field names that were looked up in the entity, operators of a closed set and a ``?`` for each value;
values are bound, in the order of the walk that made the outline. ADR 0090 says why no library writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from mainstay.adapters.sql.columns import Columns
from mainstay.adapters.sql.outline import Outline
from mainstay.model.schema import FieldKind

ALL, NONE = "TRUE", "FALSE"
"""The expressions that are true of every row, and of none."""

CACHED = 512
"""The shapes of statements that are kept for one entity."""

_SIGNS: Mapping[str, str] = MappingProxyType({"eq": "=", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="})


class StatementCache:
    """Statements by shape; the one that was not asked for the longest goes first."""

    def __init__(self, size: int = CACHED) -> None:
        self._kept: dict[Outline, str] = {}
        self._size = size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, shape: Outline, make: Callable[[], str]) -> str:
        """Return the statement of a shape, written now where it was not."""
        kept = self._kept
        found = kept.pop(shape, None)
        if found is None:
            found = make()
            if len(kept) >= self._size:
                del kept[next(iter(kept))]
        kept[shape] = found
        return found


def where_clause(*parts: str) -> str:
    """Return the clause that asks for all of these expressions, or nothing where they ask for nothing."""
    asked = [part for part in parts if part != ALL]
    return f" WHERE {' AND '.join(asked)}" if asked else ""


def predicate(shape: Outline, columns: Columns) -> str:
    """Return the expression of an outline. Its placeholders come in the order of the walk that made the outline."""
    if isinstance(shape, bool):
        return ALL if shape else NONE
    return _WRITERS[shape[0]](shape, columns)


def led_by(field: str, shape: Outline, columns: Columns) -> str:
    """Return the expression of an outline whose rows are found by one field, whatever else it asks.

    Where the database would look for them by another part of it, the dialect keeps it from that.
    """
    if isinstance(shape, bool) or shape[0] != "and" or not any(_names(part, field) for part in shape[1:]):
        return predicate(shape, columns)
    return _joined(" AND ", ALL, (_led(field, part, columns) for part in shape[1:]))


def _led(field: str, part: Outline, columns: Columns) -> str:
    text = predicate(part, columns)
    return text if _names(part, field) or text == ALL else columns.dialect.aside(text)


def _names(part: Outline, field: str) -> bool:
    """Whether a part is a list of values, or one, of a field."""
    return not isinstance(part, bool) and part[0] in ("eq", "in", "listed") and part[1] == field


def _compare(shape: Outline, columns: Columns) -> str:
    op, field = shape
    return f"{columns[field].sql} {_SIGNS[op]} ?"


def _null(shape: Outline, columns: Columns) -> str:
    return f"{columns[shape[1]].sql} IS NULL"


def _given(shape: Outline, columns: Columns) -> str:
    return f"{columns[shape[1]].sql} IS NOT NULL"


def _in(shape: Outline, columns: Columns) -> str:
    return f"{columns[shape[1]].sql} IN ({', '.join('?' * shape[2])})"


def _listed(shape: Outline, columns: Columns) -> str:
    return columns.dialect.listed(columns[shape[1]].sql)


def _contains(shape: Outline, columns: Columns) -> str:
    return columns.dialect.contains(columns[shape[1]].sql)


def _starts(shape: Outline, columns: Columns) -> str:
    column = columns[shape[1]].sql
    return f"({column} >= ? AND {column} < ?)"


def _word(shape: Outline, columns: Columns) -> str:
    """Find rows by the table of their words, all fields in one go, so that an index serves each of them."""
    quoted = columns.dialect.quoted
    ranges = " OR ".join([f"({quoted('word')} >= ? AND {quoted('word')} < ?)"] * shape[1])
    return f"{columns['id'].sql} IN (SELECT {quoted('row_id')} FROM {columns.words} WHERE {ranges})"  # noqa: S608 - names


def _fields(shape: Outline, columns: Columns) -> str:
    _, left, op, right = shape
    shift = _places(columns, left) - _places(columns, right)
    return f"{_compared(columns, left, shift)} {_SIGNS[op]} {_compared(columns, right, -shift)}"


def _places(columns: Columns, field: str) -> int:
    attribute = columns[field].attribute
    return attribute.places if attribute.kind is FieldKind.DECIMAL else 0


def _compared(columns: Columns, field: str, places: int) -> str:
    column = columns[field]
    return columns.dialect.compared(column.sql, column.attribute, places)


def _not(shape: Outline, columns: Columns) -> str:
    """Two-valued: what is not known to be true is false, so that its negation is true."""
    return f"({predicate(shape[1], columns)}) IS NOT TRUE"


def _and(shape: Outline, columns: Columns) -> str:
    return _joined(" AND ", ALL, (predicate(part, columns) for part in shape[1:]))


def _or(shape: Outline, columns: Columns) -> str:
    return _joined(" OR ", NONE, (predicate(part, columns) for part in shape[1:]))


def _joined(word: str, nothing: str, parts: Iterable[str]) -> str:
    """Join expressions, without those that change nothing."""
    telling = [part for part in parts if part != nothing]
    return f"({word.join(telling)})" if telling else nothing


_WRITERS: Mapping[str, Callable[[Outline, Columns], str]] = MappingProxyType(
    {
        **dict.fromkeys(_SIGNS, _compare),
        "null": _null,
        "given": _given,
        "in": _in,
        "listed": _listed,
        "contains": _contains,
        "starts": _starts,
        "word": _word,
        "fields": _fields,
        "not": _not,
        "and": _and,
        "or": _or,
    }
)
