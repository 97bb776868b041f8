"""What migration files do to rows, in the words of the database that they are run on.

A file is written once and run on any database: it says what a value means, and never how it is stored. Where others are
at work meanwhile, rows are changed in batches that are committed one by one. Each of these can be done twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op

from mainstay.adapters.sql.keeping import keeping
from mainstay.adapters.sql.migrations.bridges import Bridge, filling, mirroring
from mainstay.adapters.sql.migrations.conversions import conversion
from mainstay.adapters.sql.migrations.recording import recorder_of
from mainstay.adapters.sql.migrations.stepping import change_rows, stepper_of
from mainstay.adapters.sql.types import ColumnType, literal


def fill(table: str, column: str, kind: ColumnType, text: str) -> None:
    """Give rows without a value one, told as in JSON: ``fill("product", "price", types.Decimal(places=2), "9.90")``."""
    _change(table, column, literal(op.get_bind().dialect, kind, text), f"{_quoted(column)} IS NULL")


def copy(table: str, old: str, new: str) -> None:
    """Give rows without a value of the column ``new`` that of ``old``: ``copy("product", "title", "name")``."""
    _change(table, new, _quoted(old), f"{_quoted(new)} IS NULL AND {_quoted(old)} IS NOT NULL")


def backfill(table: str, column: str, expression: str, where: str | None = None) -> None:
    """Give rows the value of an SQL expression over their columns, where the condition holds: where there is none yet.

    ``backfill("product", "slug", "lower(name)")``. A condition of your own has to end to hold for rows that are done.
    """
    _change(table, column, expression, where or f"{_quoted(column)} IS NULL")


def convert(table: str, column: str, old: ColumnType, new: ColumnType) -> None:
    """Make the values of a column those of another type, before the column is altered.

    Where the database converts them as it alters the column, as PostgreSQL does, there is nothing to be done here.
    """
    found = conversion(table, column, old, new)
    if op.get_bind().dialect.name == "sqlite" and found is not None and found.expression:
        _change(table, column, found.expression.format(_quoted(column)), "1 = 1", kind="convert")


def fill_on_write(table: str, column: str, kind: ColumnType, text: str) -> None:
    """Have the database fill a column where null is written, as the version before may: see ``stop_filling``."""
    dialect = op.get_bind().dialect
    _bridge(table, (column,), filling(dialect, table, column, literal(dialect, kind, text)), made=True)


def stop_filling(table: str, column: str) -> None:
    """Take away what ``fill_on_write`` has made."""
    _bridge(table, (column,), filling(op.get_bind().dialect, table, column, "NULL"), made=False)


def mirror(table: str, old: str, new: str) -> None:
    """Have the database keep two columns the same, the old name and the new one of a field: see ``stop_mirroring``."""
    _bridge(table, (old, new), mirroring(op.get_bind().dialect, table, old, new), made=True)


def stop_mirroring(table: str, old: str, new: str) -> None:
    """Take away what ``mirror`` has made."""
    _bridge(table, (old, new), mirroring(op.get_bind().dialect, table, old, new), made=False)


def append_only(table: str) -> None:
    """Have the database refuse every change and delete of the table's rows: see ``stop_append_only``."""
    keep = keeping(op.get_bind().dialect, table)
    _carry_out("keep", table, (), keep.make)


def stop_append_only(table: str) -> None:
    """Take away what ``append_only`` has made: before the rows themselves are changed by a migration, for example."""
    keep = keeping(op.get_bind().dialect, table)
    _carry_out("keep no more", table, (), keep.drop)


def _change(table: str, column: str, expression: str, where: str, *, kind: str = "rows") -> None:
    context = op.get_context()
    recorder = recorder_of(context)
    if recorder is not None:
        recorder.note(kind, table, column)
    else:
        change_rows(op.get_bind(), stepper_of(context), table, {column: expression}, where)


def _bridge(table: str, columns: tuple[str, ...], bridge: Bridge, *, made: bool) -> None:
    _carry_out("bridge" if made else "no bridge", table, columns, bridge.make if made else bridge.drop)


def _carry_out(kind: str, table: str, columns: tuple[str, ...], statements: Sequence[str]) -> None:
    """Run the statements that make triggers or take them away, as one step; or have it noted."""
    context = op.get_context()
    recorder, stepper = recorder_of(context), stepper_of(context)
    connection = op.get_bind()

    def carry_out() -> None:
        doubled = connection.dialect.name == "mysql"  # its driver takes a single % for a place of a value
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%") if doubled else statement)

    if recorder is not None:
        recorder.note(kind, table, *columns)
    elif stepper is None:
        carry_out()
    else:
        stepper.step(carry_out)


def _quoted(name: str) -> Any:
    return op.get_bind().dialect.identifier_preparer.quote(name)
