"""How a database differs from the model, told for people, and whether an older service minds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops

from mainstay.adapters.sql.dialects import dialect_named
from mainstay.adapters.sql.migrations.runner import context_of
from mainstay.adapters.sql.tables import build_metadata
from mainstay.ports.store import Table


class Drift(NamedTuple):
    """One difference. ``harmless``: a service of this model can work with it."""

    text: str
    harmless: bool


def drift(connection: sa.Connection, tables: Sequence[Table]) -> list[Drift]:
    """Return the differences between a database and the model."""
    script = produce_migrations(context_of(connection), build_metadata(tables, dialect_named(connection.dialect.name)))
    up = script.upgrade_ops
    return [] if up is None else list(_walk(up.ops, connection))


def _walk(all_ops: Sequence[Any], connection: sa.Connection) -> Iterator[Drift]:
    for op in all_ops:
        if isinstance(op, ops.ModifyTableOps):
            yield from _walk(op.ops, connection)
        else:
            yield _told(op, connection)


def _told(op: Any, connection: sa.Connection) -> Drift:
    """What the model would do to the database says what is different: it would create what the database lacks."""
    match op:
        case ops.CreateTableOp():
            return Drift(f"the table {op.table_name} is missing", False)
        case ops.DropTableOp():
            return Drift(f"the table {op.table_name} is in no model", True)
        case ops.AddColumnOp():
            return Drift(f"the column {op.table_name}.{op.column.name} is missing", False)
        case ops.DropColumnOp():
            return _extra_column(op, connection)
        case ops.AlterColumnOp():
            return Drift(f"the column {op.table_name}.{op.column_name} is of another type", False)
        case ops.CreateIndexOp():
            return Drift(f"the index {op.index_name} of {op.table_name} is missing", not op.unique)
        case ops.DropIndexOp():
            unique = bool(op.to_index().unique)
            return Drift(f"the index {op.index_name} of {op.table_name} is in no model", not unique)
        case ops.DropConstraintOp():
            return Drift(f"the constraint {op.constraint_name} of {op.table_name} is in no model", False)
        case ops.CreateUniqueConstraintOp() | ops.CreateForeignKeyOp():
            name = getattr(op, "table_name", None) or getattr(op, "source_table", "")
            return Drift(f"the constraint {op.constraint_name} of {name} is missing", False)
    return Drift(f"{type(op).__name__}", False)


def _extra_column(op: ops.DropColumnOp, connection: sa.Connection) -> Drift:
    columns = sa.inspect(connection).get_columns(op.table_name)
    column = next(each for each in columns if each["name"] == op.column_name)
    free = bool(column["nullable"]) or column["default"] is not None
    text = f"the column {op.table_name}.{op.column_name} is in no model"
    return Drift(text if free else f"{text}, and must be given a value", free)
