"""Operations in one order on every run: Alembic walks sets, and the same change must make the same file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

# What is in the way of others goes first; what rests on columns comes last.
_RANKS: Mapping[type[Any], int] = {
    ops.DropIndexOp: 0,
    ops.DropConstraintOp: 1,
    ops.DropColumnOp: 2,
    ops.AddColumnOp: 3,
    ops.AlterColumnOp: 4,
    ops.CreateUniqueConstraintOp: 5,
    ops.CreateForeignKeyOp: 6,
    ops.CreateIndexOp: 7,
}


def in_order(all_ops: Sequence[Any], metadata: sa.MetaData) -> list[Any]:
    """Return operations in the order of their tables, what is referred to first, and dropped tables last."""
    places = {table.name: place for place, table in enumerate(metadata.sorted_tables)}
    dropped = _children_first([op for op in all_ops if isinstance(op, ops.DropTableOp)])
    created: list[Any] = [op for op in all_ops if isinstance(op, ops.CreateTableOp)]
    kept = [op for op in all_ops if isinstance(op, ops.ModifyTableOps) and op.table_name in places]
    for op in kept:
        op.ops = sorted(op.ops, key=lambda each: _rank(each, metadata.tables[op.table_name]))
    tables = sorted([*created, *kept], key=lambda op: (places[op.table_name], isinstance(op, ops.ModifyTableOps)))
    return [*tables, *dropped]


def _rank(op: Any, table: sa.Table) -> tuple[int, int, str]:
    name = getattr(op, "column_name", None) or getattr(op, "constraint_name", None) or getattr(op, "index_name", None)
    column = getattr(op, "column", None)
    if column is not None:
        return _RANKS[type(op)], list(table.c.keys()).index(column.name), ""
    return _RANKS[type(op)], 0, str(name)


def _children_first(dropped: list[ops.DropTableOp]) -> list[ops.DropTableOp]:
    """Drop what refers before what is referred to, so that the downgrade, in reverse, makes the target first."""
    left = sorted(dropped, key=lambda op: op.table_name)
    made: list[ops.DropTableOp] = []
    while left:
        targets = {target for op in left for target in _targets(op)}
        free = [op for op in left if op.table_name not in targets] or left[:1]
        made.extend(free)
        left = [op for op in left if op not in free]
    return made


def _targets(op: ops.DropTableOp) -> set[str]:
    named = {key.target_fullname.partition(".")[0] for key in op.to_table().foreign_keys}
    return named - {op.table_name}
