"""Entities as SQLAlchemy's tables, with names that are the same on every run: for schemas, migrations and ``Sql``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from mainstay.adapters.sql import types
from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.dialects.common import DOCUMENTS, enum_values
from mainstay.adapters.sql.layout import check_tables, referenced
from mainstay.model.policy import owner_fields
from mainstay.model.schema import Attribute, FieldKind
from mainstay.ports.documents import document_codec
from mainstay.ports.store import Table

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}
_ON_DELETE = {"restrict": "RESTRICT", "cascade": "CASCADE", "null": "SET NULL"}
_SIMPLE: dict[FieldKind, type[types.ColumnType]] = {
    FieldKind.INTEGER: types.Integer,
    FieldKind.FLOAT: types.Float,
    FieldKind.BOOLEAN: types.Boolean,
    FieldKind.DATETIME: types.DateTime,
    FieldKind.DATE: types.Date,
    FieldKind.TIME: types.Time,
    FieldKind.UUID: types.Uuid,
}


def build_metadata(tables: Sequence[Table], dialect: Dialect) -> sa.MetaData:
    """Return the tables of these entities. Raises ``TableFault`` with all that is wrong, one a line."""
    check_tables(tables, dialect)
    metadata = sa.MetaData(naming_convention=NAMING)
    for table in tables:
        _build_table(metadata, table, tables, dialect)
    return metadata


def _build_table(metadata: sa.MetaData, table: Table, tables: Sequence[Table], dialect: Dialect) -> None:
    parts: list[Any] = []
    for attribute in table.shape.attributes:
        parts.append(sa.Column(attribute.name, column_type(attribute, dialect), nullable=attribute.optional))
        parts.extend(_constraints(table, attribute, tables))
    parts.append(sa.PrimaryKeyConstraint("id"))
    built = sa.Table(table.name, metadata, *parts, sqlite_strict=True, **dialect.table_options)
    for name in indexed_fields(table):
        first: Any = built.c[name]
        if first.nullable and dialect.nulls_placed:
            first = first.asc().nulls_first()
        options = dialect.index_options(table.shape.by_name[name])
        sa.Index(f"ix_{table.name}_{name}", first, built.c.id, **options)  # every order ends with the id: pages need it


def _constraints(table: Table, attribute: Attribute, tables: Sequence[Table]) -> Iterator[Any]:
    if attribute.spec.unique:
        yield sa.UniqueConstraint(attribute.name)
    if attribute.spec.references is not None:
        target = referenced(table, attribute, tables)
        yield sa.ForeignKeyConstraint(
            [attribute.name], [f"{target.name}.id"], ondelete=_ON_DELETE[attribute.spec.on_delete]
        )


def column_type(attribute: Attribute, dialect: Dialect) -> types.ColumnType:
    """Return the type of the column of a field that can be stored."""
    kind, bound = attribute.kind, dialect.bound(attribute)
    if kind is FieldKind.DECIMAL:
        return types.Decimal(digits=attribute.digits, places=attribute.places)
    if kind is FieldKind.ENUM:
        return types.Enum(attribute.base, "INTEGER" if enum_values(attribute.base) is int else "TEXT", bound)
    if kind in DOCUMENTS:
        return types.Json(*document_codec(attribute))
    if kind is FieldKind.STRING:
        return types.Text(bound)
    return types.Bytes(bound) if kind is FieldKind.BYTES else _SIMPLE[kind]()


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
