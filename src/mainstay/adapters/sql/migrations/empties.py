"""Defaults of columns that are the same on every database, and the values that stand for none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from mainstay.adapters.sql.types import ColumnType, Enum
from mainstay.adapters.sql.types import value as value_of
from mainstay.model.fields import MISSING
from mainstay.model.schema import Attribute
from mainstay.ports.documents import json_text

_EMPTY: Mapping[str, str] = {
    "text": "",
    "integer": "0",
    "float": "0.0",
    "bytes": "",
    "boolean": "false",
    "decimal": "0",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "datetime": "1970-01-01T00:00:00.000000Z",
    "date": "1970-01-01",
    "time": "00:00:00.000000",
    "json": "null",
}
"""What a column that comes back by a downgrade, or that nobody fills any more, holds."""


def empty_text(kind: Any) -> str:
    """Return the text in JSON of what stands for no value. Of the numbers that stand for members any will do."""
    if isinstance(kind, Enum) and kind.storage == "INTEGER":
        return "0"
    return _EMPTY.get(getattr(kind, "kind", "text"), "")


def default_clause(kind: Any, text: str) -> sa.DefaultClause:
    """Return a default that is the same on every database."""
    return sa.DefaultClause(value_of(kind, text) if isinstance(kind, ColumnType) else text)


def default_text(attribute: Attribute, kind: Any) -> str | None:
    """Return the text in JSON of a field's default, which is written into the rows that are there, or None."""
    spec = attribute.spec
    if spec.default_factory in (list, dict, set, frozenset, tuple):
        value: Any = spec.default_factory()
    elif spec.default is MISSING or spec.default is None:
        return None
    else:
        value = spec.default
    if not isinstance(kind, ColumnType) or kind.sqlite == "BLOB":
        return None
    text = json_text(value)
    return str(msgspec.json.decode(text)) if text.startswith('"') and kind.kind != "json" else text
