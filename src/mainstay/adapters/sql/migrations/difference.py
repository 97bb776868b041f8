"""What has to be done to a schema so that it is the model's, in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops

from mainstay.adapters.sql.dialects import dialect_named
from mainstay.adapters.sql.migrations.conversions import Conversion, conversion
from mainstay.adapters.sql.migrations.files import MigrationFault
from mainstay.adapters.sql.migrations.ordering import in_order
from mainstay.adapters.sql.migrations.runner import context_of
from mainstay.adapters.sql.migrations.steps import Step
from mainstay.adapters.sql.tables import build_metadata
from mainstay.adapters.sql.types import ColumnType, Enum
from mainstay.adapters.sql.types import value as value_of
from mainstay.model.fields import MISSING
from mainstay.model.schema import Attribute
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.ports.documents import json_text
from mainstay.ports.store import Table

_EMPTY: Mapping[str, str] = {
    "text": "",
    "integer": "0",
    "float": "0.0",
    "bytes": "",
    "boolean": "false",
    "decimal": "0",
    "uuid": "00000000-0000-0000-0000-000000000000",
    "datetime": "1970-01-01T00:00:00.000000Z",
    "date": "1970-01-01",
    "time": "00:00:00.000000",
    "json": "null",
}
"""What a column that comes back by a downgrade holds: its values are gone."""


class Difference(NamedTuple):
    """Operations up and down, what a reviewer has to look at, and a few words for the name of the file."""

    up: ops.UpgradeOps
    down: ops.DowngradeOps
    warnings: list[str]
    words: str


def difference(connection: sa.Connection, tables: Sequence[Table]) -> Difference | None:
    """Return what the model has that the database has not, and the other way round; None where they agree.

    Raises ``MigrationFault`` with every change that cannot be made by itself, one a line.
    """
    metadata = build_metadata(tables, dialect_named(connection.dialect.name))
    up = produce_migrations(context_of(connection), metadata).upgrade_ops
    if up is None or up.is_empty():
        return None
    up.ops = in_order(up.ops, metadata)
    down: ops.DowngradeOps = up.reverse()
    attributes = {(t.name, a.name): a for t in tables for a in t.shape.attributes}
    faults: list[str] = []
    warnings: list[str] = []
    for table_ops in _modified(up):
        _prepare_up(table_ops, attributes, faults, warnings)
    for table_ops in _modified(down):
        _prepare_down(table_ops)
    if faults:
        raise MigrationFault("\n".join(faults))
    dropped = [op.table_name for op in up.ops if isinstance(op, ops.DropTableOp)]
    warnings.extend(f"the table {name} is dropped with all its rows" for name in dropped)
    warnings.extend(_without_tenant(up, tables))
    words = _words(up)
    up.ops, down.ops = _with_conversions(up), _with_conversions(down)
    return Difference(up, down, warnings, words)


def _modified(all_ops: Any) -> Iterator[ops.ModifyTableOps]:
    for op in all_ops.ops:
        if isinstance(op, ops.ModifyTableOps):
            yield op


def _without_tenant(up: ops.UpgradeOps, tables: Sequence[Table]) -> Iterator[str]:
    """Warn of rows whose entity belongs to tenants from now on."""
    tenancies = {t.name: t.shape.type.__mainstay_options__.tenancy for t in tables}
    for table in _modified(up):
        tenancy = tenancies.get(table.table_name)
        added = [op.column.name for op in table.ops if isinstance(op, ops.AddColumnOp)]
        if tenancy is not None and tenancy.field in added:
            yield (
                f"{table.table_name}.{tenancy.field}: the rows that are there belong to no tenant, so that nobody sees "
                "them: give each its own here"
            )


def _prepare_up(
    table: ops.ModifyTableOps, attributes: Mapping[tuple[str, str], Attribute], faults: list[str], warnings: list[str]
) -> None:
    added = [op.column.name for op in table.ops if isinstance(op, ops.AddColumnOp)]
    dropped = [op.column_name for op in table.ops if isinstance(op, ops.DropColumnOp)]
    for op in table.ops:
        if isinstance(op, ops.AddColumnOp) and not op.column.nullable:
            attribute = attributes[table.table_name, op.column.name]
            _give_default(op.column, default_text(attribute, op.column.type), table.table_name, faults)
        elif isinstance(op, ops.AlterColumnOp):
            _check_alter(table.table_name, op, attributes, faults, warnings)
    warnings.extend(f"the column {table.table_name}.{name} is dropped with all its values" for name in dropped)
    if DELETED_AT in dropped:
        warnings.append(f"{table.table_name}: rows that were deleted are there again: take them out here")
    if added and dropped:
        warnings.append(
            f"{table.table_name}: if {dropped[0]} was only renamed to {added[0]}, "
            f'write batch_op.alter_column("{dropped[0]}", new_column_name="{added[0]}") in the place of both, '
            "and the other way round below"
        )


def _give_default(column: sa.Column[Any], default: str | None, table: str, faults: list[str]) -> None:
    if default is None:
        faults.append(
            f"{table}.{column.name} is new and has no value for the rows that are there: "
            "give the field a default, or make its type optional (... | None)"
        )
    else:
        column.server_default = default_clause(column.type, default)


def default_clause(kind: Any, text: str) -> sa.DefaultClause:
    """Return a default that is the same on every database."""
    return sa.DefaultClause(value_of(kind, text) if isinstance(kind, ColumnType) else text)


def default_text(attribute: Attribute, kind: Any) -> str | None:
    """Return the text in JSON of a field's default, which is written into the rows that are there, or None."""
    spec = attribute.spec
    if spec.default_factory in (list, dict, set, frozenset, tuple):
        value: Any = spec.default_factory()
    elif spec.default is MISSING or spec.default is None:
        return None
    else:
        value = spec.default
    if not isinstance(kind, ColumnType) or kind.sqlite == "BLOB":
        return None
    text = json_text(value)
    return str(msgspec.json.decode(text)) if text.startswith('"') and kind.kind != "json" else text


def _check_alter(
    table: str,
    op: ops.AlterColumnOp,
    attributes: Mapping[tuple[str, str], Attribute],
    faults: list[str],
    warnings: list[str],
) -> None:
    name = op.column_name
    if op.modify_nullable is False and op.modify_type is not None:
        faults.append(
            f"{table}.{name} gets another type and may be null no more: plan one change, then the other, "
            "so that rows without a value are filled with a value of one type"
        )
    elif op.modify_nullable is False:
        default = default_text(attributes[table, name], attributes_type(op))
        if default is None:
            faults.append(
                f"{table}.{name} may be null in the rows that are there, and no more in the model: "
                "give the field a default for them"
            )
        else:
            warnings.append(f"{table}.{name}: rows without a value get the field's default")
            op.kw["mainstay_fill"] = default
    if op.modify_type is not None:
        found = conversion(table, name, op.existing_type, op.modify_type)
        if found is None:
            faults.append(
                f"{table}.{name} cannot be changed from {_kind(op.existing_type)} to {_kind(op.modify_type)} "
                "by itself: add a field of another name, fill it in a migration of your own, then take the old one out"
            )
        elif found.warning:
            warnings.append(f"{table}.{name}: {found.warning}")


def attributes_type(op: ops.AlterColumnOp) -> Any:
    """Return the type that a column has behind an alteration."""
    return op.modify_type if op.modify_type is not None else op.existing_type


def _kind(column_type: Any) -> str:
    return column_type.meaning if isinstance(column_type, ColumnType) else str(column_type)


def _prepare_down(table: ops.ModifyTableOps) -> None:
    """What was dropped comes back empty; without a default a column that may not be null could not come back at all."""
    for op in table.ops:
        if isinstance(op, ops.AddColumnOp) and not op.column.nullable and op.column.server_default is None:
            op.column.server_default = default_clause(op.column.type, _empty(op.column.type))
        elif isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
            op.kw["mainstay_fill"] = _empty(attributes_type(op))


def _empty(kind: Any) -> str:
    """Return the text in JSON of what stands for no value. Of the numbers that stand for members any will do."""
    if isinstance(kind, Enum) and kind.storage == "INTEGER":
        return "0"
    return _EMPTY.get(getattr(kind, "kind", "text"), "")


def _with_conversions(all_ops: Any) -> list[Any]:
    """Put the statements that convert values before the alteration of their table.

    Indexes by themselves need no copy of it, and go with a table that is dropped.
    """
    made: list[Any] = []
    dropped = {op.table_name for op in all_ops.ops if isinstance(op, ops.DropTableOp)}
    for op in all_ops.ops:
        if isinstance(op, ops.ModifyTableOps):
            if all(isinstance(each, ops.CreateIndexOp | ops.DropIndexOp) for each in op.ops):
                made.extend(op.ops if op.table_name not in dropped else ())
                continue
            made.extend(_conversions(op))
        made.append(op)
    return made


def _conversions(table: ops.ModifyTableOps) -> Iterator[Step]:
    for op in table.ops:
        if not isinstance(op, ops.AlterColumnOp):
            continue
        fill = op.kw.pop("mainstay_fill", None)
        if fill is not None:
            yield Step("fill", table.table_name, op.column_name, (attributes_type(op),), fill)
        if op.modify_type is not None:
            found = conversion(table.table_name, op.column_name, op.existing_type, op.modify_type)
            if found is not None and found.expression:
                yield Step("convert", table.table_name, op.column_name, (op.existing_type, op.modify_type))


def _words(up: ops.UpgradeOps) -> str:
    """Name what is done: "create product", "add product stock", or the tables that it is about."""
    created = [op.table_name for op in up.ops if isinstance(op, ops.CreateTableOp)]
    own = [name for name in created if not name.startswith("mainstay_")] or created
    modified = list(_modified(up))
    if created and not modified:
        return f"create {' '.join(own)}"
    if len(modified) == 1 and not created:
        return f"{_verb(modified[0].ops)} {modified[0].table_name} {_columns(modified[0].ops)}"
    return "change " + " ".join([*own, *(m.table_name for m in modified)])


def _verb(table_ops: Iterable[Any]) -> str:
    kinds = {type(op) for op in table_ops}
    if ops.AddColumnOp in kinds and ops.DropColumnOp not in kinds:
        return "add"
    return "drop" if kinds <= {ops.DropColumnOp, ops.DropConstraintOp, ops.DropIndexOp} else "change"


def _columns(table_ops: Iterable[Any]) -> str:
    names = [
        op.column.name if isinstance(op, ops.AddColumnOp) else getattr(op, "column_name", None) for op in table_ops
    ]
    return " ".join(dict.fromkeys(name for name in names if name))


__all__ = ["Conversion", "Difference", "default_text", "difference"]
