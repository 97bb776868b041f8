"""What has to be done to a schema so that it is the model's, in both directions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations
from alembic.operations import ops

from mainstay.adapters.sql.dialects import dialect_named
from mainstay.adapters.sql.migrations.conversions import conversion
from mainstay.adapters.sql.migrations.empties import default_clause, default_text, empty_text
from mainstay.adapters.sql.migrations.files import MigrationFault, Phase
from mainstay.adapters.sql.migrations.ordering import in_order
from mainstay.adapters.sql.migrations.renaming import rename_hints, unknown_renames
from mainstay.adapters.sql.migrations.runner import context_of
from mainstay.adapters.sql.migrations.splitting import FILL, Renames, split
from mainstay.adapters.sql.migrations.steps import Step
from mainstay.adapters.sql.tables import build_metadata
from mainstay.adapters.sql.types import ColumnType
from mainstay.model.schema import Attribute
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.ports.store import Table


class Difference(NamedTuple):
    """One revision: its phase, operations up and down, what a reviewer has to look at, and words for its name."""

    phase: Phase
    up: ops.UpgradeOps
    down: ops.DowngradeOps
    warnings: list[str]
    words: str


def difference(connection: sa.Connection, tables: Sequence[Table], renames: Renames) -> list[Difference]:
    """Return what the model has that the database has not, and the other way round, by phase; nothing if they agree.

    ``renames`` are columns that got another name. Raises ``MigrationFault`` with every change that cannot be made by
    itself, one a line.
    """
    metadata = build_metadata(tables, dialect_named(connection.dialect.name))
    up = produce_migrations(context_of(connection), metadata).upgrade_ops
    if up is None or up.is_empty():
        return []
    all_ops = in_order(up.ops, metadata)
    attributes = {(t.name, a.name): a for t in tables for a in t.shape.attributes}
    faults = list(unknown_renames(all_ops, renames))
    for table_ops in _modified(all_ops):
        faults.extend(_prepared(table_ops, attributes, renames))
    if faults:
        raise MigrationFault("\n".join(faults))
    hints = [hint for table_ops in _modified(all_ops) for hint in rename_hints(table_ops, renames)]
    parts = split(all_ops, renames)
    phases: tuple[tuple[Phase, list[Any]], ...] = (("expand", parts.expand), ("contract", parts.contract))
    found = [_part(phase, each, tables) for phase, each in phases if each]
    found[0].warnings.extend(hints)
    return found


def _part(phase: Phase, all_ops: list[Any], tables: Sequence[Table]) -> Difference:
    up = ops.UpgradeOps(all_ops)
    down = ops.DowngradeOps(list(_reversed(all_ops)))
    for table_ops in _modified(down.ops):
        _prepare_down(table_ops)
    warnings: list[str] = [text for table_ops in _modified(all_ops) for text in warnings_of(table_ops)]
    dropped = [op.table_name for op in all_ops if isinstance(op, ops.DropTableOp)]
    warnings.extend(f"the table {name} is dropped with all its rows" for name in dropped)
    warnings.extend(_without_tenant(all_ops, tables))
    mirrored = {(op.table, op.given[0]) for op in all_ops if isinstance(op, Step) and op.name == "stop_mirroring"}
    warnings = [text for text in warnings if text not in {_dropped(*column) for column in mirrored}]
    words = _words(all_ops)
    up.ops, down.ops = _with_conversions(up), _with_conversions(down)
    kept = {table.name for table in tables if table.shape.type.__mainstay_options__.append_only}
    up.ops, down.ops = list(_with_keeping(up.ops, kept)), list(_with_keeping(down.ops, kept))
    return Difference(phase, up, down, warnings, words)


def _reversed(all_ops: Sequence[Any]) -> Iterator[Any]:
    for op in reversed(all_ops):
        if not isinstance(op, Step):
            yield op.reverse()
        elif op.is_undone:
            yield op.reverse()
            if op.name == "stop_mirroring":  # the column that went has come back, and has its values again
                yield Step("copy", op.table, *reversed(op.given))


def _modified(all_ops: Iterable[Any]) -> Iterator[ops.ModifyTableOps]:
    for op in all_ops:
        if isinstance(op, ops.ModifyTableOps):
            yield op


def _without_tenant(all_ops: Iterable[Any], tables: Sequence[Table]) -> Iterator[str]:
    """Warn of rows whose entity belongs to tenants from now on."""
    tenancies = {t.name: t.shape.type.__mainstay_options__.tenancy for t in tables}
    for table in _modified(all_ops):
        tenancy = tenancies.get(table.table_name)
        added = [op.column.name for op in table.ops if isinstance(op, ops.AddColumnOp)]
        if tenancy is not None and tenancy.field in added:
            yield (
                f"{table.table_name}.{tenancy.field}: the rows that are there belong to no tenant, so that nobody sees "
                "them: give each its own here"
            )


def _prepared(
    table: ops.ModifyTableOps, attributes: Mapping[tuple[str, str], Attribute], renames: Renames
) -> Iterator[str]:
    """Give new columns and those that may be null no more their values; yield what cannot be done by itself."""
    renamed = {new for (name, _), new in renames.items() if name == table.table_name}
    for op in table.ops:
        if isinstance(op, ops.AddColumnOp) and not op.column.nullable and op.column.name not in renamed:
            attribute = attributes[table.table_name, op.column.name]
            default = default_text(attribute, op.column.type)
            if default is None:
                yield (
                    f"{table.table_name}.{op.column.name} is new and has no value for the rows that are there: "
                    + (_OPTIONAL if attribute.encrypted else f"give the field a default, or {_OPTIONAL}")
                )
            else:
                op.column.server_default = default_clause(op.column.type, default)
        elif isinstance(op, ops.AlterColumnOp):
            yield from _check_alter(table.table_name, op, attributes)


def _check_alter(table: str, op: ops.AlterColumnOp, attributes: Mapping[tuple[str, str], Attribute]) -> Iterator[str]:
    name = op.column_name
    if op.modify_nullable is False and op.modify_type is not None:
        yield (
            f"{table}.{name} gets another type and may be null no more: plan one change, then the other, "
            "so that rows without a value are filled with a value of one type"
        )
    elif op.modify_nullable is False:
        default = default_text(attributes[table, name], attributes_type(op))
        if default is None:
            yield (
                f"{table}.{name} may be null in the rows that are there, and no more in the model: "
                "give the field a default for them"
            )
        else:
            op.kw[FILL] = default
    if op.modify_type is not None and conversion(table, name, op.existing_type, op.modify_type) is None:
        yield (
            _encrypting(table, name)
            if attributes[table, name].encrypted
            else (
                f"{table}.{name} cannot be changed from {_kind(op.existing_type)} to {_kind(op.modify_type)} "
                "by itself: add a field of another name, fill it in a migration of your own, then take the old one out"
            )
        )


_OPTIONAL = "make its type optional (... | None)"


def _encrypting(table: str, name: str) -> str:
    return (
        f"{table}.{name} is to be encrypted, and a migration has no key: add an optional encrypted field of another "
        "name, fill it by a command of the service, then take this one out"
    )


def _dropped(table: str, column: str) -> str:
    return f"the column {table}.{column} is dropped with all its values"


def warnings_of(table: ops.ModifyTableOps) -> Iterator[str]:
    """Yield what a reviewer has to look at."""
    for op in table.ops:
        name = f"{table.table_name}.{getattr(op, 'column_name', '')}"
        if isinstance(op, ops.DropColumnOp):
            yield _dropped(table.table_name, op.column_name)
            if op.column_name == DELETED_AT:
                yield f"{table.table_name}: rows that were deleted are there again: take them out here"
        elif isinstance(op, ops.AlterColumnOp):
            if FILL in op.kw:
                yield f"{name}: rows without a value get the field's default"
            if op.modify_server_default is not False and op.modify_server_default is not None:
                yield f"{name}: the version before reads this value in rows that the new one adds: is it one it knows?"
            found = op.modify_type is not None and conversion(
                table.table_name, op.column_name, op.existing_type, op.modify_type
            )
            if found and found.warning:
                yield f"{name}: {found.warning}"


def attributes_type(op: ops.AlterColumnOp) -> Any:
    """Return the type that a column has behind an alteration."""
    return op.modify_type if op.modify_type is not None else op.existing_type


def _kind(column_type: Any) -> str:
    return column_type.meaning if isinstance(column_type, ColumnType) else str(column_type)


def _prepare_down(table: ops.ModifyTableOps) -> None:
    """What was dropped comes back empty; without a default a column that may not be null could not come back at all."""
    for op in table.ops:
        if isinstance(op, ops.AddColumnOp) and not op.column.nullable and op.column.server_default is None:
            op.column.server_default = default_clause(op.column.type, empty_text(op.column.type))
        elif isinstance(op, ops.AlterColumnOp) and op.modify_nullable is False:
            op.kw[FILL] = empty_text(attributes_type(op))


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


def _with_keeping(all_ops: Iterable[Any], kept: Collection[str]) -> Iterator[Any]:
    """Have the rows of tables that are only added to be kept, but for the changes of a migration itself."""
    for op in all_ops:
        table: str = op.table if isinstance(op, Step) else getattr(op, "table_name", "")
        if table not in kept or isinstance(op, ops.CreateIndexOp | ops.DropIndexOp):
            yield op
            continue
        if not isinstance(op, ops.CreateTableOp):
            yield Step("stop_append_only", table)
        yield op
        if not isinstance(op, ops.DropTableOp):
            yield Step("append_only", table)


def _conversions(table: ops.ModifyTableOps) -> Iterator[Step]:
    for op in table.ops:
        if not isinstance(op, ops.AlterColumnOp):
            continue
        fill = op.kw.get(FILL)
        if fill is not None:
            yield Step("fill", table.table_name, op.column_name, attributes_type(op), fill)
        if op.modify_type is not None:
            found = conversion(table.table_name, op.column_name, op.existing_type, op.modify_type)
            if found is not None and found.expression:
                yield Step("convert", table.table_name, op.column_name, op.existing_type, op.modify_type)


def _words(all_ops: Sequence[Any]) -> str:
    """Name what is done: "create product", "add product stock", or the tables that it is about."""
    created = [op.table_name for op in all_ops if isinstance(op, ops.CreateTableOp)]
    own = [name for name in created if not name.startswith("mainstay_")] or created
    modified = list(_modified(all_ops))
    if created and not modified:
        return f"create {' '.join(own)}"
    if len(modified) == 1 and not created:
        return f"{_verb(modified[0].ops)} {modified[0].table_name} {_columns(modified[0].ops)}"
    dropped = [op.table_name for op in all_ops if isinstance(op, ops.DropTableOp)]
    if not created and not modified and not dropped:
        return f"fill {all_ops[0].table} {all_ops[0].given[0]}"
    if dropped and not created and not modified:
        return f"drop {' '.join(dropped)}"
    return "change " + " ".join([*own, *(m.table_name for m in modified), *dropped])


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
