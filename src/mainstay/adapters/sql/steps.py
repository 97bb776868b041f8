"""What migration files do to rows, in the words of the database that they are run on.

A file is written once and run on any database: it says what a value means, and never how it is stored.
"""

# ruff: noqa: S608 - names are quoted by the dialect, values are literals of it
from __future__ import annotations

from alembic import op

from mainstay.adapters.sql.migrations.conversions import conversion
from mainstay.adapters.sql.types import ColumnType, literal


def fill(table: str, column: str, kind: ColumnType, text: str) -> None:
    """Give rows without a value one, told as in JSON: ``fill("product", "price", types.Decimal(places=2), "9.90")``."""
    dialect = op.get_bind().dialect
    name = dialect.identifier_preparer.quote(column)
    value = literal(dialect, kind, text).replace(":", "\\:")  # else a name behind a colon would stand for a value
    op.execute(f"UPDATE {dialect.identifier_preparer.quote(table)} SET {name} = {value} WHERE {name} IS NULL")


def convert(table: str, column: str, old: ColumnType, new: ColumnType) -> None:
    """Make the values of a column those of another type, before the column is altered.

    Where the database converts them as it alters the column, as PostgreSQL does, there is nothing to be done here.
    """
    dialect = op.get_bind().dialect
    found = conversion(table, column, old, new)
    if dialect.name == "sqlite" and found is not None and found.expression:
        name = dialect.identifier_preparer.quote(column)
        expression = found.expression.format(name)
        op.execute(f"UPDATE {dialect.identifier_preparer.quote(table)} SET {name} = {expression}")
