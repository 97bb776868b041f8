"""A change in two parts: what can be done while the version before serves, and what has to wait until none of it does.

The rule (M. Fowler, "Parallel Change"; P. Sadalage and S. Ambler, "Refactoring Databases"): what the new version needs
and the old one does not mind expands the schema; what the old one needs, or may break, is contracted later. A column
that goes is let go of first: rows can be added without it from then on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.operations import ops

from mainstay.adapters.sql.migrations.empties import default_clause, empty_text
from mainstay.adapters.sql.migrations.files import Phase


class Split(NamedTuple):
    """The operations of both phases, each in their order."""

    expand: list[Any]
    contract: list[Any]


def split(all_ops: Sequence[Any]) -> Split:
    """Tell what expands from what contracts."""
    made = Split([], [])
    for op in all_ops:
        if isinstance(op, ops.DropTableOp):
            made.contract.append(op)
        elif isinstance(op, ops.ModifyTableOps):
            table = _Table(op)
            for phase, chosen in table.parts().items():
                if chosen:
                    getattr(made, phase).append(ops.ModifyTableOps(op.table_name, chosen, schema=op.schema))
        else:
            made.expand.append(op)
    return made


class _Table:
    """The operations on one table, and what of them belongs together."""

    def __init__(self, table: ops.ModifyTableOps) -> None:
        self._name = table.table_name
        self._ops: list[Any] = list(table.ops)
        self._added = {op.column.name: op.column for op in self._ops if isinstance(op, ops.AddColumnOp)}
        self._dropped = {op.column_name: op.to_column() for op in self._ops if isinstance(op, ops.DropColumnOp)}
        self._made = {_name_of(op) for op in self._ops if isinstance(op, _MAKING)}

    def parts(self) -> Mapping[Phase, list[Any]]:
        """Return the operations by phase, in their order; those that let go of columns come behind constraints."""
        expand: list[Any] = []
        contract: list[Any] = []
        for op in self._ops:
            (expand if self._expands(op) else contract).append(op)
        letting_go = list(self._let_go())
        after = sum(isinstance(op, ops.DropIndexOp | ops.DropConstraintOp) for op in expand)
        return {"expand": [*expand[:after], *letting_go, *expand[after:]], "contract": contract}

    def _expands(self, op: Any) -> bool:
        match op:
            case ops.AddColumnOp() | ops.CreateIndexOp():
                return True
            case ops.AlterColumnOp():
                return op.modify_type is None and op.modify_nullable is not False
            case ops.CreateUniqueConstraintOp() | ops.CreateForeignKeyOp():
                return all(self._is_left_null(name) for name in _columns_of(op))
            case ops.DropIndexOp():
                return _name_of(op) in self._made
            case ops.DropConstraintOp():
                return self._frees(op)
        return False

    def _frees(self, op: ops.DropConstraintOp) -> bool:
        """Whether a constraint is in the way of the new version. One that is made anew is exchanged at the end."""
        if _name_of(op) in self._made:
            return False
        columns = _columns_of(op)
        gone = [self._dropped[name] for name in columns if name in self._dropped]
        return len(gone) < len(columns) or any(_is_required(column) for column in gone)

    def _is_left_null(self, name: str) -> bool:
        column = self._added.get(name)
        return column is not None and bool(column.nullable)

    def _let_go(self) -> Iterator[ops.AlterColumnOp]:
        """Give a default to columns that go, and that a new row needs until then: the new version gives no value."""
        for name, column in self._dropped.items():
            if _is_required(column):
                yield ops.AlterColumnOp(
                    self._name,
                    name,
                    existing_type=column.type,
                    existing_nullable=False,
                    existing_server_default=None,
                    modify_server_default=default_clause(column.type, empty_text(column.type)),
                )


_MAKING = (ops.CreateIndexOp, ops.CreateUniqueConstraintOp, ops.CreateForeignKeyOp)


def _is_required(column: sa.Column[Any]) -> bool:
    return not column.nullable and column.server_default is None


def _name_of(op: Any) -> str:
    return str(getattr(op, "constraint_name", None) or getattr(op, "index_name", None))


def _columns_of(op: Any) -> list[str]:
    return [column.name for column in op.to_constraint().columns]
