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
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.ports.documents import document_codec
from mainstay.ports.store import Table
from mainstay.ports.uniqueness import uniqueness

NAMING = {
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ix": "ix_%(table_name)s_%(column_0_name)s",
}
KEPT_MARK = "mainstay_kept"
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
    fields = table.shape.attributes
    parts: list[Any] = [sa.Column(each.name, column_type(each, dialect), nullable=each.optional) for each in fields]
    for attribute in fields:
        parts.extend(_constraints(table, attribute, tables))
    parts.append(sa.PrimaryKeyConstraint("id"))
    if table.shape.type.__mainstay_options__.soft_delete and not dialect.partial_indexes:
        parts.append(sa.Column(KEPT_MARK, types.Boolean(), sa.Computed(f"if({DELETED_AT} IS NULL, 1, NULL)")))
    built = sa.Table(table.name, metadata, *parts, sqlite_strict=True, **dialect.table_options)
    _index_unique(table, built, dialect)
    for name in indexed_fields(table):
        own: Any = built.c[name]
        if own.nullable and dialect.nulls_placed:
            own = own.asc().nulls_first()
        options = dialect.index_options(table.shape.by_name[name])
        leading = [built.c[before] for before in leading_fields(table, name)]
        sa.Index(f"ix_{table.name}_{name}", *leading, own, built.c.id, **options)  # every order ends with the id


def _index_unique(table: Table, built: sa.Table, dialect: Dialect) -> None:
    """Make the unique indexes over the rows that were not deleted.

    Where a database has no index over some of the rows, a column that is null in a deleted row sees to it: nulls are
    distinct.
    """
    rule = uniqueness(table.shape)
    if rule.unless is None:
        return
    kept = built.c[rule.unless].is_(None)
    for name in rule.fields:
        columns = [built.c[column] for column in rule.columns(name)]
        if dialect.partial_indexes:
            sa.Index(f"uq_{table.name}_{name}", *columns, unique=True, sqlite_where=kept, postgresql_where=kept)
        else:
            sa.Index(f"uq_{table.name}_{name}", *columns, built.c[KEPT_MARK], unique=True)


def _constraints(table: Table, attribute: Attribute, tables: Sequence[Table]) -> Iterator[Any]:
    rule = uniqueness(table.shape)
    if attribute.spec.unique and rule.unless is None:
        columns = rule.columns(attribute.name)
        yield sa.UniqueConstraint(*columns, name=sa.schema.conv(f"uq_{table.name}_{attribute.name}"))
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


def leading_fields(table: Table, name: str) -> list[str]:
    """Return what stands before a field in its index: the tenant, by which rows are asked for along with it.

    Not before a reference: the database looks for the rows that refer to one by that alone.
    """
    tenancy = table.shape.type.__mainstay_options__.tenancy
    if tenancy is None or tenancy.field == name or table.shape.by_name[name].spec.references is not None:
        return []
    return [tenancy.field]


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
