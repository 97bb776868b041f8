"""Plans of SQLite: the details of EXPLAIN QUERY PLAN (https://sqlite.org/eqp.html). It tells no estimates."""

# ruff: noqa: S608 - the table's name is quoted by the dialect
from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from mainstay.adapters.sql.plans.plan import Explaining, Plan, Step

_READ = re.compile(r"(?P<how>SCAN|SEARCH) (?P<table>\S+)(?: USING (?P<by>.*))?")
_INDEX = re.compile(r"(?P<made>AUTOMATIC )?(?:PARTIAL )?(?:COVERING )?INDEX (?P<name>[^\s(]+)?")
_SORT = "USE TEMP B-TREE FOR "


class SqliteExplaining(Explaining):
    """EXPLAIN QUERY PLAN."""

    def statement(self, text: str, *, analyze: bool) -> str:  # noqa: ARG002 - it never runs the statement
        return f"EXPLAIN QUERY PLAN {text}"

    def read(self, rows: Sequence[Sequence[Any]]) -> Plan:
        return Plan(steps=tuple(step for *_, detail in rows for step in _steps(str(detail))))

    def size(self, source: str, name: str) -> tuple[str, Sequence[Any], bool]:  # noqa: ARG002 - as statements name it
        return f"SELECT count(*) FROM {source}", (), True


def _steps(detail: str) -> Iterator[Step]:
    if detail.startswith(_SORT):
        what = detail.removeprefix(_SORT)
        yield Step(kind="sort", text=f"sort for {what.lower() if what != 'ORDER BY' else 'the order'}")
        return
    found = _READ.match(detail)
    if found is None or found["table"].startswith(("(", "CONSTANT")):
        return
    table, by = found["table"], found["by"] or ""
    index = _INDEX.match(by)
    name = index["name"] if index is not None else "the primary key" if by else None
    if index is not None and index["made"]:
        yield Step(kind="scan", table=table, text=f"full scan of {table}, for an index that is made for this statement")
    elif found["how"] == "SEARCH":
        yield Step(kind="search", table=table, index=name, text=f"search of {table} by {name}")
    elif name is None:
        yield Step(kind="scan", table=table, text=f"full scan of {table}")
    else:
        yield Step(kind="walk", table=table, index=name, text=f"walk of {table} in the order of {name}")
