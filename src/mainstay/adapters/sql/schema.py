"""The schema of tables as statements, for files that have no migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy.schema import CreateIndex, CreateTable

from mainstay.adapters.sql.dialect import Dialect
from mainstay.adapters.sql.tables import build_metadata
from mainstay.adapters.sql.types import compiler_of
from mainstay.ports.store import Table


def create_statements(tables: Sequence[Table], dialect: Dialect) -> Iterator[str]:
    """Give the statements that make the tables and indexes which are not there, in the order of their references."""
    compiler = compiler_of(dialect)
    for table in build_metadata(tables, dialect).sorted_tables:
        yield str(CreateTable(table, if_not_exists=True).compile(dialect=compiler)).strip()
        for index in sorted(table.indexes, key=lambda each: str(each.name)):
            yield str(CreateIndex(index, if_not_exists=True).compile(dialect=compiler)).strip()
