"""How a database differs from the model, told for people, and whether an older service minds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    metadata = build_metadata(tables, dialect_named(connection.dialect.name))
    up = produce_migrations(context_of(connection), metadata).upgrade_ops
    return [] if up is None else list(_walk(up.ops, Known(connection, metadata)))


def _walk(all_ops: Sequence[Any], known: Known) -> Iterator[Drift]:
    for op in all_ops:
        if isinstance(op, ops.ModifyTableOps):
            yield from _walk(op.ops, known)
        else:
            yield _told(op, known)


def _told(op: Any, known: Known) -> Drift:
    """What the model would do to the database says what is different: it would create what the database lacks."""
    match op:
        case ops.CreateTableOp():
            return Drift(f"the table {op.table_name} is missing", False)
        case ops.DropTableOp():
            return Drift(f"the table {op.table_name} is in no model", True)
        case ops.AddColumnOp():
            return Drift(f"the column {op.table_name}.{op.column.name} is missing", False)
        case ops.DropColumnOp():
            return _extra_column(op, known)
        case ops.AlterColumnOp():
            return _other_column(op)
        case ops.CreateIndexOp():
            return Drift(f"the index {op.index_name} of {op.table_name} is missing", not op.unique)
        case ops.DropIndexOp():
            index = op.to_index()
            harmless = not index.unique or known.are_left_null(str(op.table_name), index.columns)
            return Drift(f"the index {op.index_name} of {op.table_name} is in no model", harmless)
        case ops.DropConstraintOp():
            made = op.to_constraint()
            harmless = known.are_left_null(op.table_name, made.columns)  # type: ignore[attr-defined]  # of a unique rule
            return Drift(f"the constraint {op.constraint_name} of {op.table_name} is in no model", harmless)
        case ops.CreateUniqueConstraintOp() | ops.CreateForeignKeyOp():
            name = getattr(op, "table_name", None) or getattr(op, "source_table", "")
            return Drift(f"the constraint {op.constraint_name} of {name} is missing", True)
    return Drift(f"{type(op).__name__}", False)


def _other_column(op: ops.AlterColumnOp) -> Drift:
    name = f"the column {op.table_name}.{op.column_name}"
    if op.modify_type is not None:
        return Drift(f"{name} is of another type", False)
    if op.modify_nullable:
        return Drift(f"{name} may not be null, and in the model it may", False)
    return Drift(f"{name} may be null, and in the model it may not", True)


def _extra_column(op: ops.DropColumnOp, known: Known) -> Drift:
    text = f"the column {op.table_name}.{op.column_name} is in no model"
    free = known.is_free(op.table_name, op.column_name)
    return Drift(text if free else f"{text}, and must be given a value", free)


class Known:
    """What the database says of columns that the model may not have."""

    def __init__(self, connection: sa.Connection, metadata: sa.MetaData) -> None:
        self._inspector = sa.inspect(connection)
        self._metadata = metadata

    def _column(self, table: str, name: str) -> Any:
        return next(each for each in self._inspector.get_columns(table) if each["name"] == name)

    def is_free(self, table: str, name: str) -> bool:
        """Whether a row can be added without a value of a column."""
        column = self._column(table, name)
        return bool(column["nullable"]) or column["default"] is not None

    def are_left_null(self, table: str, columns: Iterable[Any]) -> bool:
        """Whether a write of the model cannot break what is on these columns: it never writes them, and they are null.

        MariaDB and MySQL tell what is unique as an index, the others as a constraint.
        """
        names = [column.name for column in columns]
        return bool(names) and all(self._is_left_null(table, name) for name in names)

    def _is_left_null(self, table: str, name: str) -> bool:
        """Whether a column is none of the model's, and null in the rows that the model adds."""
        column = self._column(table, name)
        return name not in self._metadata.tables[table].columns and column["nullable"] and column["default"] is None
