"""Changes of a column's type that keep its values."""

from __future__ import annotations

from typing import Any, NamedTuple

from mainstay.adapters.sql.types import Bytes, ColumnType, Decimal, Enum, Text, same_storage

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
    if dialect.name == "mysql":
        bounded = isinstance(wanted, Text | Bytes) and wanted.length is None  # by the model: it is in no file
        return mysql_holds(dialect, there, type(wanted)(1) if bounded else wanted)
    text = str(wanted.compile(dialect=dialect))  # of a database that tells the types of its columns itself
    return str(there.compile(dialect=dialect)) in (text, f"{text} WITHOUT TIME ZONE")


COLLATIONS = frozenset({"utf8mb4_nopad_bin", "utf8mb4_0900_bin"})
"""Those of MariaDB and MySQL in which texts are in the order of their code points."""
_UNBOUNDED = {"VARCHAR": "LONGTEXT", "VARBINARY": "LONGBLOB"}


def mysql_holds(dialect: Any, there: Any, wanted: Any) -> bool:
    """Say whether a column of MariaDB or MySQL holds what one of another type does: in longer texts too."""
    if getattr(there, "collation", None) not in (None, *COLLATIONS):
        return False
    word, length = _parsed(str(there.compile(dialect=dialect)))
    wanted_word, wanted_length = _parsed(str(wanted.compile(dialect=dialect)))
    if wanted_word not in _UNBOUNDED:
        return (word, length) == (wanted_word, wanted_length)
    return word == _UNBOUNDED[wanted_word] or (word == wanted_word and int(length) >= int(wanted_length))


def _parsed(text: str) -> tuple[str, str]:
    """Return the word of a type and what stands in its brackets; how wide integers are shown is no part of them."""
    word, _, rest = text.partition(" CHARACTER SET ")[0].partition(" COLLATE ")[0].partition("(")
    return word, "" if word == "BIGINT" else rest.rstrip(")")


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


class Way(NamedTuple):
    """How MariaDB and MySQL convert a column: it is first of the type ``through`` (empty: it stays as it is), then its
    values are set to expressions of the column ``{0}``, then it gets the type that is wanted.

    ``form`` is what texts must be (a regular expression): these servers would have changed the rows before one is found
    that cannot be converted.
    """

    through: str = ""
    expressions: tuple[str, ...] = ()
    form: str = ""


_GROUPS = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
_DASHED = ", ".join(f"substr(lower(hex({{0}})), {start}, {length})" for start, length in _GROUPS)
_TO_TEXT = {
    "uuid": Way("VARBINARY(255)", (f"concat_ws('-', {_DASHED})",)),
    "datetime": Way("VARCHAR(255)", ("concat(replace({0}, ' ', 'T'), 'Z')",)),
}
_DAY, _TIME = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?"
_FROM_TEXT = {
    "uuid": Way(
        "VARBINARY(255)", ("unhex(replace({0}, '-', ''))",), "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
    ),
    "datetime": Way("VARCHAR(255)", ("replace(replace({0}, 'T', ' '), 'Z', '')",), f"^{_DAY}[T ]{_TIME}Z?$"),
    "date": Way(form=f"^{_DAY}$"),
    "time": Way(form=f"^{_TIME}$"),
    "json": Way("LONGTEXT", ("json_quote({0})",)),
}


def mysql_way(there: ColumnType, wanted: ColumnType) -> Way:
    """Return how MariaDB and MySQL convert values: the same as on SQLite."""
    old, new = _kind(there), _kind(wanted)
    if old == "text":
        return _FROM_TEXT.get(new, Way())
    if old in _TEXTS and new in _TEXTS and old != new:
        to, of = _TO_TEXT.get(old, Way()), _FROM_TEXT.get(new, Way())
        return Way(to.through or of.through, to.expressions + of.expressions)
    if (old, new) == ("integer", "boolean"):
        return Way(expressions=("{0} <> 0",))
    if old == "decimal" and new in _NUMBERS and _places(wanted) < _places(there):
        return Way(expressions=(f"truncate({{0}}, {_places(wanted)})",))
    return Way()


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
