"""Rows that the model itself would refuse today: bounds are the model's, not the schema's, so that no file tells them.

A bound that was made narrower needs no migration; the rows beyond it stay readable, and cannot be written again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from mainstay.adapters.sql.dialects import dialect_named
from mainstay.adapters.sql.dialects.common import enum_values
from mainstay.adapters.sql.migrations.measuring import Breach, Live
from mainstay.adapters.sql.tables import column_type
from mainstay.adapters.sql.types import Integer, Text
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.store import Table

_LENGTHS = frozenset({FieldKind.STRING, FieldKind.BYTES})


class Outside(NamedTuple):
    """Rows of a table that are outside of what the model lets a field be."""

    table: str
    field: str
    breach: Breach


def outside(tables: Sequence[Table], live: Live) -> list[Outside]:
    """Return the rows that the model would refuse, by table and field."""
    return [
        Outside(table.name, attribute.name, breach)
        for table in tables
        for attribute in table.shape.attributes
        if live.has(table.name, (attribute.name,))
        for breach in _breaches(table.name, attribute, live)
        if breach is not None
    ]


def _breaches(table: str, attribute: Attribute, live: Live) -> Iterator[Breach | None]:
    for why, condition in _conditions(attribute, live.dialect):
        yield live.counted(why, table, condition)
    pattern = attribute.spec.pattern
    if pattern is not None and attribute.kind is FieldKind.STRING:
        matches = re.compile(pattern).fullmatch
        yield live.looked_through(
            "they do not match the pattern", table, attribute.name, Text(), lambda value: matches(value) is not None
        )


def _conditions(attribute: Attribute, dialect: str) -> Iterator[tuple[str, Any]]:
    spec = attribute.spec
    column: Any = sa.column(attribute.name, column_type(attribute, dialect_named(dialect)))
    if attribute.kind in _LENGTHS:
        count = sa.func.char_length if dialect == "mysql" and attribute.kind is FieldKind.STRING else sa.func.length
        size = count(column, type_=Integer())
        if spec.max_length is not None:
            yield f"they are longer than {spec.max_length}", size > spec.max_length
        if spec.min_length is not None:
            yield f"they are shorter than {spec.min_length}", size < spec.min_length
    if attribute.kind is FieldKind.DECIMAL:
        most = Decimal(10) ** (attribute.digits - attribute.places)
        yield f"they have more than {attribute.digits} digits", sa.or_(column >= most, column <= -most)
    if attribute.kind is FieldKind.ENUM:
        values = [member.value for member in attribute.base]
        stored: Any = sa.column(attribute.name, Integer() if enum_values(attribute.base) is int else Text())
        yield "they are of no member", sa.and_(stored.is_not(None), stored.not_in(values))
    for name, bad in (("ge", column.__lt__), ("gt", column.__le__), ("le", column.__gt__), ("lt", column.__ge__)):
        bound = getattr(spec, name)
        if bound is not None and attribute.kind not in _LENGTHS:
            yield f"they are not {name} {bound}", bad(bound)
