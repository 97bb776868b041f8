"""Plans of MariaDB and MySQL: EXPLAIN FORMAT=JSON."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mainstay.adapters.sql.plans.plan import Explaining, Plan, Step, counted

_CONDITION = re.compile(r'"\w*condition": ".*?"(?=,?\n\s*["}\]])', re.DOTALL)
"""Conditions hold values as they are, bytes too, which MariaDB puts into its JSON unescaped. They are not looked at."""

_SIZE = "SELECT table_rows FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"


class MysqlExplaining(Explaining):
    """EXPLAIN FORMAT=JSON."""

    def statement(self, text: str, *, analyze: bool) -> str:  # noqa: ARG002 - the two servers differ in how they run it
        return f"EXPLAIN FORMAT=JSON {text}"

    def read(self, rows: Sequence[Sequence[Any]]) -> Plan:
        block = msgspec.json.decode(_CONDITION.sub('"condition": null', rows[0][0]))["query_block"]
        return Plan(steps=tuple(_walk(block)), rows=_expected(block))

    def size(self, source: str, name: str) -> tuple[str, Sequence[Any], bool]:  # noqa: ARG002 - as statements name it
        return _SIZE, (name,), False


def _walk(part: Any) -> Iterator[Step]:
    """Give the steps of whatever is in a part: the two servers name what is around the tables in words of their own."""
    if isinstance(part, list):
        for each in part:
            yield from _walk(each)
    if not isinstance(part, Mapping):
        return
    if "filesort" in part or part.get("using_filesort"):
        key = (part.get("filesort") or {}).get("sort_key")
        yield Step(kind="sort", text=f"sort by {key}" if key else "sort")
    if "access_type" in part:
        yield _access(part)
    for name, value in part.items():
        if name != "possible_keys":
            yield from _walk(value)


def _rows(part: Mapping[str, Any]) -> float | None:
    found = part.get("rows", part.get("rows_examined_per_scan"))
    return None if found is None else float(found)


def _access(part: Mapping[str, Any]) -> Step:
    table, index, rows = part["table_name"], part.get("key"), _rows(part)
    how = part["access_type"]
    if how == "ALL":
        return Step(kind="scan", table=table, rows=rows, text=f"full scan of {table}{counted(rows)}")
    index = "the primary key" if index == "PRIMARY" else index
    if how == "index":
        text = f"walk of {table} in the order of {index}{counted(rows)}"
        return Step(kind="walk", table=table, index=index, rows=rows, text=text)
    return Step(kind="search", table=table, index=index, rows=rows, text=f"search of {table} by {index}{counted(rows)}")


def _expected(block: Any) -> float | None:
    """Return how many rows come of the only table that is read; of several the server does not say it."""
    found = [each for each in _tables(block) if _rows(each) is not None]
    if len(found) != 1:
        return None
    return (_rows(found[0]) or 0.0) * float(found[0].get("filtered", 100)) / 100


def _tables(part: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(part, list):
        for each in part:
            yield from _tables(each)
    elif isinstance(part, Mapping):
        if "access_type" in part:
            yield part
        for value in part.values():
            yield from _tables(value)
