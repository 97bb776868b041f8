"""The schema of tables as statements, for files that have no migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.schema import CreateIndex, CreateTable

from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.keeping import keeping
from mainstay.adapters.sql.tables import build_metadata
from mainstay.adapters.sql.types import compiler_of
from mainstay.ports.store import Table


def create_statements(tables: Sequence[Table], dialect: Dialect) -> Iterator[str]:
    """Give the statements that make the tables and indexes which are not there, in the order of their references.

    Behind a table whose rows are only added stand the triggers that keep them. Where the database cannot be asked
    whether an index is there, one that is makes its statement fail.
    """
    compiler = compiler_of(dialect)
    kept = {table.name for table in tables if table.shape.type.__mainstay_options__.append_only}
    for table in build_metadata(tables, dialect).sorted_tables:
        yield str(CreateTable(table, if_not_exists=True).compile(dialect=compiler)).strip()
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            yield str(CreateIndex(index, if_not_exists=dialect.indexes_if_absent).compile(dialect=compiler)).strip()
        if table.name in kept:
            yield from keeping(compiler, table.name).make
