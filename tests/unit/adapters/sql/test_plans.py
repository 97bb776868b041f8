"""Plans of each database are read into the same words, and advice says which declaration mends them."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import pytest
from slow_service import Author, Book, Draft, library

from mainstay import any_of, contains, ge, in_, starts_with
from mainstay.adapters.sql.plans import Plan, Step
from mainstay.adapters.sql.plans.advice import advise
from mainstay.adapters.sql.plans.mysql import MysqlExplaining
from mainstay.adapters.sql.plans.postgres import PostgresExplaining
from mainstay.adapters.sql.plans.sqlite import SqliteExplaining
from mainstay.kernel.plans import plan_entities
from mainstay.model.blueprint import draw
from mainstay.model.conditions import TRUE, Compare, Condition, Contains, Not
from mainstay.model.inputs import Sort
from mainstay.ports.asking import narrowed
from mainstay.ports.rows import Change, Query
from mainstay.ports.statements import Statement
from mainstay.ports.store import Table

PLANS = plan_entities(draw(library))
TABLES = {plan.table: Table(shape=plan.shape, name=plan.table, module=plan.module) for plan in PLANS.values()}
SIZES = {"slow_book": 5000, "slow_author": 10, "slow_draft": 5000}
SCAN = Step(kind="scan", table="slow_book", text="full scan of slow_book")
WALK = Step(kind="walk", table="slow_book", index="ix", text="walk of slow_book in the order of ix")


def told(*steps: Step) -> list[tuple[str, str | None, str | None]]:
    return [(step.kind, step.table, step.index) for step in steps]


@pytest.mark.parametrize(
    ("detail", "steps"),
    [
        ("SCAN slow_book", [("scan", "slow_book", None)]),
        ("SCAN slow_book USING COVERING INDEX ix_b", [("walk", "slow_book", "ix_b")]),
        ("SEARCH slow_book USING INDEX ix_b (year=?)", [("search", "slow_book", "ix_b")]),
        ("SEARCH slow_book USING INTEGER PRIMARY KEY (rowid=?)", [("search", "slow_book", "the primary key")]),
        ("SEARCH b USING AUTOMATIC COVERING INDEX (year=?)", [("scan", "b", None)]),
        ("USE TEMP B-TREE FOR ORDER BY", [("sort", None, None)]),
        ("USE TEMP B-TREE FOR GROUP BY", [("sort", None, None)]),
        ("SCAN CONSTANT ROW", []),
        ("SCAN (subquery-1)", []),
        ("CO-ROUTINE numbered", []),
    ],
)
def test_details_of_sqlite(detail: str, steps: list[Any]) -> None:
    way = SqliteExplaining()
    assert told(*way.read([(2, 0, 0, detail)]).steps) == steps
    assert way.statement("SELECT 1", analyze=True) == "EXPLAIN QUERY PLAN SELECT 1"


def postgres(node: dict[str, Any], **more: Any) -> Plan:
    return PostgresExplaining().read([(json.dumps([{"Plan": node, **more}]),)])


def test_nodes_of_postgresql() -> None:
    scan = {"Node Type": "Seq Scan", "Relation Name": "slow_book", "Plan Rows": 1, "Plan Width": 8}
    limit = {"Node Type": "Limit", "Plan Rows": 1, "Plans": [{"Node Type": "Sort", "Sort Key": ["a"], "Plans": [scan]}]}
    made = postgres(limit)
    assert told(*made.steps) == [("sort", None, None), ("scan", "slow_book", None)]
    assert (made.rows, made.steps[0].disk, made.steps[1].text) == (1, False, "full scan of slow_book (about 1 row)")
    index = {"Node Type": "Index Scan", "Relation Name": "slow_book", "Index Name": "ix", "Plan Rows": 20}
    assert told(*postgres(index).steps) == [("walk", "slow_book", "ix")]
    assert told(*postgres({**index, "Index Cond": "(year = 1)"}).steps) == [("search", "slow_book", "ix")]
    bits = [{"Node Type": "BitmapAnd", "Plans": [{"Node Type": "Bitmap Index Scan", "Index Name": n} for n in "ba"]}]
    heap = {"Node Type": "Bitmap Heap Scan", "Relation Name": "slow_book", "Plan Rows": 5, "Plans": bits}
    assert told(*postgres(heap).steps) == [("search", "slow_book", "a and b")]
    change = {"Node Type": "ModifyTable", "Plan Rows": 0, "Plans": [{**scan, "Plan Rows": 7}]}
    assert postgres(change).rows == 7


def test_sorts_of_postgresql_on_disk() -> None:
    sort = {"Node Type": "Sort", "Sort Key": ["a", "b"], "Plan Rows": 100_000, "Plan Width": 100}
    (step,) = postgres(sort).steps
    assert (step.disk, step.text) == (True, "sort on disk by a, b (about 100,000 rows)")
    assert postgres({**sort, "Sort Space Type": "Memory"}, **{"Execution Time": 3.5}).steps[0].disk is False
    assert postgres({**sort, "Sort Space Type": "Disk", "Plan Rows": 1}).steps[0].disk is True
    assert PostgresExplaining().statement("SELECT 1", analyze=True) == "EXPLAIN (FORMAT JSON, ANALYZE) SELECT 1"
    assert PostgresExplaining().read([([{"Plan": sort, "Execution Time": 3.5}],)]).milliseconds == 3.5


def mysql(block: dict[str, Any]) -> Plan:
    return MysqlExplaining().read([(json.dumps({"query_block": block}, indent=2),)])


def test_blocks_of_mariadb_and_mysql() -> None:
    table = {"table_name": "slow_book", "access_type": "ALL", "rows": 3000, "filtered": 10}
    mariadb = {"nested_loop": [{"read_sorted_file": {"filesort": {"sort_key": "b.title", "table": table}}}]}
    made = mysql(mariadb)
    assert told(*made.steps) == [("sort", None, None), ("scan", "slow_book", None)]
    assert (made.rows, made.steps[0].text) == (300, "sort by b.title")
    ordering = {"using_filesort": True, "table": {"table_name": "t", "access_type": "index", "key": "PRIMARY"}}
    assert told(*mysql({"ordering_operation": ordering}).steps) == [
        ("sort", None, None),
        ("walk", "t", "the primary key"),
    ]
    own = {"table_name": "t", "access_type": "ref", "key": "ix", "rows_examined_per_scan": 2}
    assert told(*mysql({"table": own}).steps) == [("search", "t", "ix")]
    assert mysql({"nested_loop": [{"table": table}, {"table": table}]}).rows is None
    text = '{\n  "query_block": {\n    "attached_condition": "t.a = \'\x01"\'",\n    "cost": 1\n  }\n}'
    assert MysqlExplaining().read([(text,)]).steps == ()


def where(*conditions: Condition, entity: Any = Book, **fields: Any) -> Condition:
    return narrowed(PLANS[entity], conditions, fields)


def advice(statement: Statement, *steps: Step, rows: float | None = None) -> list[tuple[str, str, str | None]]:
    found = advise(statement, Plan(steps=steps, rows=rows), SIZES, TABLES)
    return [(one.code, one.text, one.fix) for one in found]


def fetch(condition: Condition, *, met: int | None = None, **more: Any) -> Statement:
    return Statement(action="fetch", entity=Book, asked=Query(where=condition, **more), words="fetch", met=met)


@pytest.mark.parametrize(
    ("condition", "text", "fix"),
    [
        (where(year=1950, title=ge("a")), "index year", "Book.year: field(index=True)"),
        (where(year=in_([1, 2])), "index year", "Book.year: field(index=True)"),
        (where(title=starts_with("a")), "index title", "Book.title: field(index=True)"),
        (
            where(year=1, title="a"),
            "index the one of year, title that has the most different values",
            "Book.year: field(index=True) or Book.title: field(index=True)",
        ),
        (
            where(author_id=UUID(int=1)),
            "the index of author_id is not used: most rows match, or the statistics are old",
            "ANALYZE slow_book",
        ),
        (
            where(any_of(Compare("year", "eq", 1), Compare("author_id", "eq", UUID(int=1)))),
            "each side of its or needs an index: year",
            "Book.year: field(index=True)",
        ),
        (where(title=contains("a")), "contains() of title looks into every row: starts_with() can use an index", None),
        (
            where(any_of(Compare("id", "eq", UUID(int=1)), Contains("title", "a"))),
            "contains() of title looks into every row: starts_with() can use an index",
            None,
        ),
        (Not(Compare("year", "eq", 1)), "no index answers this condition: narrow it by another field", None),
        (TRUE, "it asks for every row: give it a condition or a page, or keep the figure", None),
    ],
)
def test_an_index_is_advised_by_the_condition(condition: Condition, text: str, fix: str | None) -> None:
    assert advice(fetch(condition), SCAN) == [("full_scan", f"full scan of slow_book (5,000 rows): {text}", fix)]


def test_a_walk_in_order_is_slow_where_rows_are_dropped() -> None:
    (found,) = advice(fetch(where(year=1), limit=3), WALK)
    assert found[:2] == ("index_walk", "walk in the order of ix of slow_book (5,000 rows): index year")
    assert advice(fetch(TRUE, limit=3), WALK) == []
    count = Statement(action="count", entity=Book, asked=TRUE, words="count")
    assert [code for code, _, _ in advice(count, WALK)] == ["index_walk"]


def test_small_tables_may_be_read_whole() -> None:
    small = Step(kind="scan", table="slow_author", text="")
    statement = Statement(action="fetch", entity=Author, asked=Query(where=where(entity=Author, born=1)), words="")
    assert advice(statement, small) == []


def test_other_statements_have_conditions_too() -> None:
    get = Statement(action="get", entity=Book, asked=(UUID(int=1), where(year=1)), words="")
    change = Change(where=where(year=1), changes={})
    update = Statement(action="update", entity=Book, asked=change, words="")
    for statement in (get, update):
        assert advice(statement, SCAN)[0][2] == "Book.year: field(index=True)"
    sql = Statement(action="sql", entity=None, asked=("SELECT", ()), words="SELECT")
    assert advice(sql, SCAN) == [
        ("full_scan", "full scan of slow_book (5,000 rows): index what its rows are looked for or joined by", None)
    ]


def test_owners_are_indexed_already() -> None:
    draft = Step(kind="scan", table="slow_draft", text="")
    asked = Query(where=where(entity=Draft, writer_id=UUID(int=1)))
    statement = Statement(action="fetch", entity=Draft, asked=asked, words="")
    assert advice(statement, draft)[0][2] == "ANALYZE slow_draft"


def test_sorts_of_many_rows() -> None:
    sort = Step(kind="sort", text="sort for the order")
    ordered = fetch(where(author_id=UUID(int=1)), sort=(Sort("title"), Sort("id")), met=5)
    assert advice(ordered, sort) == []
    many = fetch(where(author_id=UUID(int=1)), sort=(Sort("title"), Sort("id")), met=2000)
    assert advice(many, sort) == [
        (
            "sort",
            "2,000 rows are sorted by title in memory: an index has them in order",
            "Book.title: field(index=True)",
        )
    ]
    by_id = fetch(TRUE, sort=(Sort("id"),), met=1)
    disk = Step(kind="sort", rows=10, disk=True, text="sort")
    assert advice(by_id, disk) == [("sort", "10 rows are sorted by id on disk: look for fewer", None)]
    plain = Statement(action="sql", entity=None, asked=("SELECT", ()), words="", met=3000)
    assert advice(plain, sort) == [("sort", "sort for the order: 3,000 rows are sorted in memory", None)]


def test_estimates_that_are_wrong() -> None:
    search = Step(kind="search", table="slow_book", text="")
    assert advice(fetch(where(year=1), met=4000), search, rows=5) == [
        ("estimate", "5 rows were expected and 4,000 came: the statistics are old", "ANALYZE slow_book")
    ]
    assert advice(fetch(where(year=1), met=4000), search, rows=3000) == []
    assert advice(fetch(where(year=1), met=10), search, rows=1) == []
    assert advice(fetch(where(year=1), met=4000, limit=5), search, rows=5) == []
    assert advice(fetch(where(year=1)), search, rows=5) == []
