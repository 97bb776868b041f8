"""Entities as tables: columns, keys, references and indexes, with names that are the same on every run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Any

import sqlalchemy as sa

from mainstay.adapters.sql import types
from mainstay.adapters.sql.documents import document_codec
from mainstay.model.policy import owner_fields
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.store import Table

MAX_DIGITS = 18
"""The digits that fit an integer of 64 bits whatever they are."""

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}
_ON_DELETE = {"restrict": "RESTRICT", "cascade": "CASCADE", "null": "SET NULL"}
_SIMPLE: dict[FieldKind, type[types.ColumnType]] = {
    FieldKind.STRING: types.Text,
    FieldKind.INTEGER: types.Integer,
    FieldKind.FLOAT: types.Float,
    FieldKind.BOOLEAN: types.Boolean,
    FieldKind.DATETIME: types.DateTime,
    FieldKind.DATE: types.Date,
    FieldKind.TIME: types.Time,
    FieldKind.UUID: types.Uuid,
    FieldKind.BYTES: types.Bytes,
}
_DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})


class TableFault(Exception):
    """An entity that cannot be stored as it is declared: which field, why, and what to do."""


def build_metadata(tables: Sequence[Table]) -> sa.MetaData:
    """Return the tables of these entities. Raises ``TableFault`` with all that is wrong, one a line."""
    metadata = sa.MetaData(naming_convention=NAMING)
    faults: list[str] = []
    for table in tables:
        _build_table(metadata, table, tables, faults)
    if faults:
        raise TableFault("\n".join(faults))
    return metadata


def _build_table(metadata: sa.MetaData, table: Table, tables: Sequence[Table], faults: list[str]) -> None:
    if table.name in metadata.tables:
        faults.append(f"{table.shape.name}: another entity's table is named {table.name} too: give one another name")
        return
    parts: list[Any] = []
    for attribute in table.shape.attributes:
        try:
            parts.append(_column(attribute))
            parts.extend(_constraints(table, attribute, tables))
        except TableFault as fault:
            faults.append(f"{table.shape.name}.{attribute.name}: {fault}")
    parts.append(sa.PrimaryKeyConstraint("id"))
    built = sa.Table(table.name, metadata, *parts, sqlite_strict=True)
    for name in indexed_fields(table):
        if name in built.c:
            sa.Index(None, built.c[name], built.c.id)  # the id ends every order: a page is read off the index


def _column(attribute: Attribute) -> sa.Column[Any]:
    return sa.Column(attribute.name, column_type(attribute), nullable=attribute.optional)


def _constraints(table: Table, attribute: Attribute, tables: Sequence[Table]) -> Iterator[Any]:
    if attribute.spec.unique:
        yield sa.UniqueConstraint(attribute.name)
    if attribute.spec.references is not None:
        target = referenced(table, attribute, tables)
        yield sa.ForeignKeyConstraint(
            [attribute.name], [f"{target.name}.id"], ondelete=_ON_DELETE[attribute.spec.on_delete]
        )


def column_type(attribute: Attribute) -> types.ColumnType:
    """Return the type of a field's column. Raises ``TableFault`` where it has none."""
    kind = attribute.kind
    if kind is FieldKind.DECIMAL:
        if not 0 <= attribute.places <= attribute.digits <= MAX_DIGITS:
            raise TableFault(
                f"digits={attribute.digits}, places={attribute.places} cannot be stored exactly: "
                f"use at most {MAX_DIGITS} digits, and no more places than digits"
            )
        return types.Decimal(digits=attribute.digits, places=attribute.places)
    if kind is FieldKind.ENUM:
        return types.Enum(attribute.base, _enum_storage(attribute.base))
    if kind in _DOCUMENTS:
        return types.Json(*document_codec(attribute))
    simple = _SIMPLE.get(kind)
    if simple is None:
        raise TableFault(f"a {kind.value} cannot be stored in a column")
    return simple()


def _enum_storage(enumeration: type[Enum]) -> str:
    held = {type(member.value) for member in enumeration}
    if held == {int}:
        return "INTEGER"
    if held == {str}:
        return "TEXT"
    raise TableFault(f"the values of {enumeration.__name__} must be all strings or all integers to be stored")


def referenced(table: Table, attribute: Attribute, tables: Sequence[Table]) -> Table:
    """Return the table that a field refers to. Raises ``TableFault`` where there is none, or more than one."""
    target = attribute.spec.references
    if isinstance(target, type):
        found = [t for t in tables if t.shape.type is target]
    else:
        named = [t for t in tables if t.shape.name == target]
        found = [t for t in named if t.module == table.module] or named
    if len(found) == 1:
        return found[0]
    name = getattr(target, "__name__", target)
    if found:
        raise TableFault(f"references {name!r}, which more than one module has: give the class instead of its name")
    raise TableFault(f"references {name!r}, which is no entity of this store")


def indexed_fields(table: Table) -> list[str]:
    """Return the fields with a plain index: where it was asked for, references, and owners that a row policy names.

    A unique field has its index already.
    """
    policy = table.shape.type.__mainstay_rows__
    owners = set(owner_fields(policy)) if policy is not None else set()
    return [
        a.name
        for a in table.shape.attributes
        if a.name != "id" and not a.spec.unique and (a.spec.index or a.spec.references is not None or a.name in owners)
    ]
