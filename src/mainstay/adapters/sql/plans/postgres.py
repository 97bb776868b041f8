"""Plans of PostgreSQL: EXPLAIN (FORMAT JSON)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mainstay.adapters.sql.plans.plan import Explaining, Plan, Step, StepKind, counted

Node = Mapping[str, Any]

WORK_MEMORY = 4 * 1024 * 1024
"""Bytes that a sort has before it goes to disk: the server's default for ``work_mem``."""


class PostgresExplaining(Explaining):
    """EXPLAIN (FORMAT JSON), with ANALYZE where the statement may run."""

    def statement(self, text: str, *, analyze: bool) -> str:
        return f"EXPLAIN (FORMAT JSON{', ANALYZE' if analyze else ''}) {text}"

    def read(self, rows: Sequence[Sequence[Any]]) -> Plan:
        told = rows[0][0]
        whole = (msgspec.json.decode(told) if isinstance(told, str | bytes) else told)[0]
        root = whole["Plan"]
        return Plan(steps=tuple(_walk(root)), rows=_expected(root), milliseconds=whole.get("Execution Time"))

    def size(self, source: str, name: str) -> tuple[str, Sequence[Any], bool]:  # noqa: ARG002 - as statements name it
        """Ask the planner's own figure: counting takes as long as the table is large."""
        return "SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(quote_ident($1))", (name,), False


def _expected(root: Node) -> float | None:
    """Return how many rows come, or are changed: a change itself gives none."""
    below = root.get("Plans", ())
    return _expected(below[0]) if root["Node Type"] == "ModifyTable" and below else root.get("Plan Rows")


def _walk(node: Node) -> Iterator[Step]:
    below = node.get("Plans", ())
    kind = node["Node Type"]
    made = _step(kind, node, below)
    if made is not None:
        yield made
    for each in below:
        yield from _walk(each)


def _step(kind: str, node: Node, below: Sequence[Node]) -> Step | None:
    rows = node.get("Plan Rows")
    table = node.get("Relation Name")
    if kind == "Seq Scan":
        return Step(kind="scan", table=table, rows=rows, text=f"full scan of {table}{counted(rows)}")
    if kind in ("Index Scan", "Index Only Scan"):
        return _by_index(table, node["Index Name"], rows, found="Index Cond" in node)
    if kind == "Bitmap Heap Scan":
        names = " and ".join(sorted(_indexes(below)))
        return _by_index(table, names, rows, found=True)
    if kind in ("Sort", "Incremental Sort"):
        return _sort(node, rows)
    return None


def _by_index(table: str | None, index: str, rows: float | None, *, found: bool) -> Step:
    kind: StepKind = "search" if found else "walk"
    how = f"search of {table} by {index}" if found else f"walk of {table} in the order of {index}"
    return Step(kind=kind, table=table, index=index, rows=rows, text=f"{how}{counted(rows)}")


def _indexes(nodes: Sequence[Node]) -> Iterator[str]:
    for node in nodes:
        if "Index Name" in node:
            yield node["Index Name"]
        yield from _indexes(node.get("Plans", ()))


def _sort(node: Node, rows: float | None) -> Step:
    used = node.get("Sort Space Type")
    disk = used == "Disk" if used is not None else (rows or 0) * node.get("Plan Width", 0) > WORK_MEMORY
    by = ", ".join(node.get("Sort Key", ()))
    return Step(kind="sort", rows=rows, disk=disk, text=f"sort{' on disk' if disk else ''} by {by}{counted(rows)}")
