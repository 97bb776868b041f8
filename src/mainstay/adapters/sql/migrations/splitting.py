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
from mainstay.adapters.sql.migrations.steps import Step

FILL = "mainstay_fill"
"""The word by which an alteration is told the value of rows that have none."""


Renames = Mapping[tuple[str, str], str]
"""New names of columns that were renamed, by their table and their old name."""


class Split(NamedTuple):
    """The operations of both phases, each in their order."""

    expand: list[Any]
    contract: list[Any]


def split(all_ops: Sequence[Any], renames: Renames) -> Split:
    """Tell what expands from what contracts."""
    made = Split([], [])
    for op in all_ops:
        if isinstance(op, ops.DropTableOp):
            made.contract.append(op)
        elif isinstance(op, ops.ModifyTableOps):
            table = _Table(op, renames)
            made.expand.extend(table.expand())
            made.contract.extend(table.contract())
        else:
            made.expand.append(op)
    return made


class _Table:
    """The operations on one table, and what of them belongs together."""

    def __init__(self, table: ops.ModifyTableOps, renames: Renames) -> None:
        self._name = table.table_name
        self._ops: list[Any] = list(table.ops)
        self._added = {op.column.name: op.column for op in self._ops if isinstance(op, ops.AddColumnOp)}
        self._dropped = {op.column_name: op.to_column() for op in self._ops if isinstance(op, ops.DropColumnOp)}
        self._made = {_name_of(op) for op in self._ops if isinstance(op, _MAKING)}
        self._renamed = {old: new for (name, old), new in renames.items() if name == self._name}
        self._required = {new for new in self._renamed.values() if not self._added[new].nullable}
        for new in self._required:
            self._added[new].nullable = True  # until every row has its value
            self._added[new].server_default = None

    def expand(self) -> Iterator[Any]:
        """Yield what comes first; columns are let go of when the constraints on them are gone."""
        chosen = [op for op in self._ops if self._expands(op)]
        after = sum(isinstance(op, ops.DropIndexOp | ops.DropConstraintOp) for op in chosen)
        chosen[after:after] = self._let_go()
        yield from self._modified(chosen)
        for old, new in self._renamed.items():
            yield Step("mirror", self._name, old, new)
            yield Step("copy", self._name, old, new)
        for op in self._filled():
            yield Step("fill_on_write", self._name, *_fill_of(op), undone=(op.column_name,))
            yield Step("fill", self._name, *_fill_of(op))

    def contract(self) -> Iterator[Any]:
        """Yield what comes when the version before is gone: first what kept both together."""
        for op in self._filled():
            yield Step("stop_filling", self._name, op.column_name, undone=_fill_of(op))
        for old, new in self._renamed.items():
            yield Step("stop_mirroring", self._name, old, new)
        chosen = [op for op in self._ops if not self._expands(op)]
        for op in chosen:
            if isinstance(op, ops.DropColumnOp) and op.column_name in self._renamed:
                op.to_column().nullable = True  # as it is by then, and comes back
        yield from self._modified(sorted([*self._forbidding(), *chosen], key=self._rank_of_contract))

    def _rank_of_contract(self, op: Any) -> int:
        """What rows may be in the way of comes before what takes something away, but for what is made anew."""
        if isinstance(op, ops.DropIndexOp | ops.DropConstraintOp):
            return 0 if _name_of(op) in self._made else 2
        return 3 if isinstance(op, ops.DropColumnOp) else 1

    def _modified(self, chosen: list[Any]) -> Iterator[ops.ModifyTableOps]:
        if chosen:
            yield ops.ModifyTableOps(self._name, chosen)

    def _filled(self) -> list[ops.AlterColumnOp]:
        return [op for op in self._ops if isinstance(op, ops.AlterColumnOp) and FILL in op.kw]

    def _forbidding(self) -> Iterator[ops.AlterColumnOp]:
        for new in self._renamed.values():
            if new in self._required:
                yield ops.AlterColumnOp(
                    self._name,
                    new,
                    existing_type=self._added[new].type,
                    existing_nullable=True,
                    modify_nullable=False,
                )

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
        gone = [name for name in columns if name in self._dropped]
        return len(gone) < len(columns) or any(self._must_be_given(name) for name in gone)

    def _is_left_null(self, name: str) -> bool:
        column = self._added.get(name)
        return column is not None and bool(column.nullable)

    def _must_be_given(self, name: str) -> bool:
        """Whether a new row needs a value of a column that goes, which the new version does not give."""
        column = self._dropped[name]
        return name not in self._renamed and not column.nullable and column.server_default is None

    def _let_go(self) -> Iterator[ops.AlterColumnOp]:
        for name, column in self._dropped.items():
            if name in self._renamed and not column.nullable:
                yield self._altered(name, column, modify_nullable=True)
            elif self._must_be_given(name):
                default = default_clause(column.type, empty_text(column.type))
                yield self._altered(name, column, existing_server_default=None, modify_server_default=default)

    def _altered(self, name: str, column: sa.Column[Any], **given: Any) -> ops.AlterColumnOp:
        return ops.AlterColumnOp(self._name, name, existing_type=column.type, existing_nullable=False, **given)


_MAKING = (ops.CreateIndexOp, ops.CreateUniqueConstraintOp, ops.CreateForeignKeyOp)


def _fill_of(op: ops.AlterColumnOp) -> tuple[Any, ...]:
    kind = op.modify_type if op.modify_type is not None else op.existing_type
    return op.column_name, kind, op.kw[FILL]


def _name_of(op: Any) -> str:
    return str(getattr(op, "constraint_name", None) or getattr(op, "index_name", None))


def _columns_of(op: Any) -> list[str]:
    return [column.name for column in op.to_constraint().columns]
