"""Values as they stand in statements of MariaDB and MySQL, for defaults and for what migrations fill in."""

from __future__ import annotations

from typing import Any

from mainstay.adapters.sql import values
from mainstay.ports.documents import json_text


def mysql_literal(kind: str, value: Any, *, long: bool) -> str:
    """Return a value of a kind as a literal.

    As a default of a ``long`` text it must be an expression, in brackets. MySQL keeps that as a text with backslashes,
    which it cannot read again where they stand for themselves: what has one, or a quote, is given by its bytes.
    """
    if kind == "uuid":
        return f"x'{value.hex}'"
    if kind == "boolean":
        return str(int(value))
    if kind == "decimal":
        return f"{value:f}"
    if kind == "datetime":
        value = values.in_utc(value).replace(tzinfo=None).isoformat(" ", "microseconds")
    elif kind == "json":
        value = json_text(value)
    elif isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if long and {"'", "\\"} & set(text):
        return f"(convert(unhex('{text.encode().hex()}') using utf8mb4))"
    quoted = "'" + text.replace("'", "''") + "'"
    return f"({quoted})" if long else quoted
