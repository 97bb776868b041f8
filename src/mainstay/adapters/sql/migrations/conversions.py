"""Changes of a column's type that keep its values."""

from __future__ import annotations

from typing import Any, NamedTuple

from mainstay.adapters.sql.types import ColumnType, Decimal, Enum, same_storage

_TEXTS = frozenset({"text", "uuid", "datetime", "date", "time"})


class Conversion(NamedTuple):
    """How values are brought over: an SQL expression of the column ``{0}`` (none: as they are), and what to look at."""

    expression: str = ""
    warning: str = ""


def conversion(table: str, column: str, there: object, wanted: object) -> Conversion | None:
    """Return how the values of a column become those of another type, or None where nothing safe is known.

    The expression is run before the type is changed, while SQLite still holds the old storage class.
    """
    if not isinstance(there, ColumnType) or not isinstance(wanted, ColumnType):
        return None
    old, new = _kind(there), _kind(wanted)
    if old in _NUMBERS and new in _NUMBERS:
        return _rescaled(_places(wanted) - _places(there))
    if old in _TEXTS and new in _TEXTS:
        if new == "text":
            return Conversion()
        return Conversion(warning=f"values of {table}.{column} stay as they are: each must be a {new} already")
    if (old, new) == ("text", "json"):
        return Conversion("json_quote({0})")
    if (old, new) in (("integer", "boolean"), ("boolean", "integer")):
        warning = "values stay as they are: each must be 0 or 1" if new == "boolean" else ""
        return Conversion(warning=warning)
    if (old, new) in (("integer", "text"), ("integer", "float")):
        return Conversion()  # the copy of the table casts them
    return None


def has_type(dialect: Any, there: Any, wanted: ColumnType) -> bool:
    """Say whether a column of a type that was read from a database is stored as another type is."""
    if isinstance(there, ColumnType):
        return same_storage(there, wanted)
    text = str(wanted.compile(dialect=dialect))  # of a database that tells the types of its columns itself
    return str(there.compile(dialect=dialect)) in (text, f"{text} WITHOUT TIME ZONE")


_MOMENT = "to_char({0} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"
_USING = {
    ("text", "json"): "to_json({0})",
    ("datetime", "text"): _MOMENT,
    ("time", "text"): "to_char({0}, 'HH24:MI:SS.US')",
    ("integer", "boolean"): "{0} <> 0",
    ("boolean", "integer"): "{0}::int",
    ("decimal", "integer"): "trunc({0})",
}


def using(there: ColumnType, wanted: ColumnType) -> str:
    """Return the expression of the column ``{0}`` by which PostgreSQL converts its values: the same as on SQLite."""
    old, new = _kind(there), _kind(wanted)
    expression = _USING.get((old, new))
    if expression is not None:
        return expression
    if old == new == "decimal":
        return f"trunc({{0}}, {_places(wanted)})"
    return f"{{0}}::{_cast(wanted)}"


_NUMBERS = frozenset({"integer", "decimal"})


def _cast(column: ColumnType) -> str:
    if isinstance(column, Enum):
        return "bigint" if column.storage == "INTEGER" else "text"
    return column.postgres_text.partition(" COLLATE")[0]


def _kind(column: ColumnType) -> str:
    if isinstance(column, Enum):
        return "integer" if column.storage == "INTEGER" else "text"
    return column.kind


def _places(column: ColumnType) -> int:
    return column.places if isinstance(column, Decimal) else 0


def _rescaled(shift: int) -> Conversion:
    if shift > 0:
        return Conversion(f"{{0}} * {10**shift}")
    if shift < 0:
        return Conversion(f"{{0}} / {10**-shift}", "digits behind the last place that is kept are cut off")
    return Conversion()
