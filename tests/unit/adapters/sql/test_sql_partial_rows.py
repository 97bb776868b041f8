"""Rows that are read without some of their fields: their codecs are kept, a bounded number of them."""

from __future__ import annotations

from itertools import combinations

from mainstay.adapters.sql.dialects.sqlite import SqliteDialect
from mainstay.adapters.sql.statements import PARTIAL, Statements
from mainstay.ports.rows import Query
from mainstay.testing.conformance.model import TABLES, Everything


def test_codecs_of_parts_are_bounded() -> None:
    (table,) = [table for table in TABLES if table.shape.type is Everything]
    statements = Statements(table, SqliteDialect())
    queries = [Query(unread=pair) for pair in combinations(statements.columns.by_name, 2)][: PARTIAL + 5]
    first = statements.codec_of(queries[0])
    assert statements.codec_of(queries[0]) is first
    for query in queries:
        statements.codec_of(query)
    assert statements.codec_of(queries[-1]) is statements.codec_of(queries[-1])
    assert statements.codec_of(queries[0]) is not first
    assert len(statements._partial) == PARTIAL


def test_the_first_rows_of_each_value_are_whole() -> None:
    (table,) = [table for table in TABLES if table.shape.type is Everything]
    statements = Statements(table, SqliteDialect())
    query = Query(per="number", limit=1, unread=("text",))
    assert statements.codec_of(query) is statements.codec
    assert '"text"' in statements.select(query)[0]
