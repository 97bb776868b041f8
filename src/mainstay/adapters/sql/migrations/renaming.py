"""Columns that got another name: said by who renames them, never guessed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from alembic.operations import ops

from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.splitting import Renames
from mainstay.adapters.sql.types import ColumnType, same_storage


def read_renames(said: Sequence[str]) -> Renames:
    """Return the columns that were renamed, of ``table.old=new`` each. Raises ``MigrationFault``."""
    found: dict[tuple[str, str], str] = {}
    for text in said:
        old, _, new = text.partition("=")
        table, _, column = old.rpartition(".")
        if not (table and column and new):
            raise MigrationFault(f"{text}: a rename is said as table.old=new, for example product.title=name")
        found[table, column] = new
    return found


def unknown_renames(all_ops: Sequence[Any], renames: Renames) -> Iterator[str]:
    """Yield what is wrong with renames: the old column has to go, and the new one of the same kind to come."""
    tables = {op.table_name: op for op in all_ops if isinstance(op, ops.ModifyTableOps)}
    for (table, old), new in renames.items():
        candidates = dict(_candidates(tables[table])) if table in tables else {}
        if new not in candidates.get(old, ()):
            yield (
                f"{table}.{old}={new}: there is no column {old} that goes from {table}, "
                f"with a column {new} of the same kind that comes"
            )


def rename_hints(table: ops.ModifyTableOps, renames: Renames) -> Iterator[str]:
    """Yield what to do where a column that goes and one that comes may be the same."""
    renamed = {new for (name, _), new in renames.items() if name == table.table_name}
    for old, news in _candidates(table):
        free = [new for new in news if new not in renamed]
        if free and (table.table_name, old) not in renames:
            name = f"{table.table_name}.{old}"
            ways = " or ".join(f"mainstay db plan --rename {name}={new}" for new in free)
            yield f"{name} goes with its values: if it was renamed, delete the new files and say so: {ways}"


def _candidates(table: ops.ModifyTableOps) -> Iterator[tuple[str, list[str]]]:
    added = [op.column for op in table.ops if isinstance(op, ops.AddColumnOp)]
    for op in table.ops:
        if isinstance(op, ops.DropColumnOp):
            old = op.to_column()
            yield op.column_name, [new.name for new in added if _is_same(old.type, new.type)]


def _is_same(one: Any, other: Any) -> bool:
    return isinstance(one, ColumnType) and isinstance(other, ColumnType) and same_storage(one, other)
