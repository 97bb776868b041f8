"""What to do about a plan that is slow: in words, with the declaration that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from mainstay.adapters.sql.plans.plan import Plan, Step
from mainstay.adapters.sql.tables import indexed_fields
from mainstay.model.conditions import TRUE, AllOf, Among, AnyOf, Compare, Condition, Contains
from mainstay.ports.rows import Aggregate, Change, Query
from mainstay.ports.statements import Statement
from mainstay.ports.store import Table

BIG = 1000
"""Rows from which on a table should not be read as a whole."""

_WRONG = 10  # times more, or fewer, rows than were expected


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """Something to mend: ``code`` is stable, ``fix`` is the declaration or the command that mends it, if one does."""

    code: str  # full_scan, index_walk, sort, estimate, n_plus_one
    text: str
    fix: str | None = None


class _Fields(msgspec.Struct):
    """The fields of a condition, by how they are asked for; ``either`` are those of an ``or``."""

    equal: list[str] = []
    ranged: list[str] = []
    either: list[str] = []
    within: list[str] = []


def advise(statement: Statement, plan: Plan, sizes: Mapping[str, int], tables: Mapping[str, Table]) -> list[Advice]:
    """Return what is slow, the worst first. ``sizes`` are the rows of the tables that are known, by their names."""
    made: list[Advice] = []
    for step in plan.of("scan", "walk"):
        size = sizes.get(step.table or "", 0)
        if size >= BIG and (step.kind == "scan" or _where(statement) is not TRUE or statement.action == "count"):
            made.append(_scan(statement, step, size, tables.get(step.table or "")))
    made.extend(_sorts(statement, plan, sizes, tables))
    made.extend(_estimates(statement, plan))
    return made


def _scan(statement: Statement, step: Step, size: int, table: Table | None) -> Advice:
    how = "full scan" if step.kind == "scan" else f"walk in the order of {step.index}"
    what = f"{how} of {step.table} ({size:,} rows)"
    code = "full_scan" if step.kind == "scan" else "index_walk"
    own = table is not None and statement.entity is table.shape.type
    if table is None or not own:
        return Advice(code=code, text=f"{what}: index what its rows are looked for or joined by")
    text, fix = _index_for(_where(statement), table)
    return Advice(code=code, text=f"{what}: {text}", fix=fix)


def _index_for(where: Condition, table: Table) -> tuple[str, str | None]:
    """Return which index would help a condition, and its declaration."""
    if where is TRUE:
        return "it asks for every row: give it a condition or a page, or keep the figure", None
    found, indexed = _Fields(), _indexed(table)
    _collect(where, found)
    for named in (found.equal, found.ranged):
        wanted = [name for name in dict.fromkeys(named) if name not in indexed]
        if len(wanted) == 1:
            return f"index {wanted[0]}", _declared(table, wanted)
        if wanted:
            return f"index the one of {', '.join(wanted)} that has the most different values", _declared(table, wanted)
        if named:
            return (
                f"the index of {named[0]} is not used: most rows match, or the statistics are old",
                f"ANALYZE {table.name}",
            )
    missing = [name for name in dict.fromkeys(found.either) if name not in indexed]
    if missing:
        return f"each side of its or needs an index: {', '.join(missing)}", _declared(table, missing)
    if found.within:
        return f"contains() of {found.within[0]} looks into every row: starts_with() can use an index", None
    return "no index answers this condition: narrow it by another field", None


def _collect(where: Condition, found: _Fields) -> None:
    match where:
        case AllOf(parts):
            for part in parts:
                _collect(part, found)
        case Compare(field, "eq", _) | Among(field, _):
            found.equal.append(field)
        case Compare(field, "gt" | "ge" | "lt" | "le", _) | Contains(field, _, "start"):
            found.ranged.append(field)
        case Contains(field, _, _):
            found.within.append(field)
        case AnyOf(parts):
            below = _Fields()
            for part in parts:
                _collect(part, below)
            found.either.extend([*below.equal, *below.ranged, *below.either])
            found.within.extend(below.within)


def _indexed(table: Table) -> set[str]:
    unique = {attribute.name for attribute in table.shape.attributes if attribute.spec.unique}
    return {"id", *unique, *indexed_fields(table)}


def _declared(table: Table, fields: Sequence[str]) -> str:
    return " or ".join(f"{table.shape.name}.{name}: field(index=True)" for name in fields)


def _where(statement: Statement) -> Condition:
    asked: Any = statement.asked
    if isinstance(asked, Query | Aggregate | Change):
        return asked.where
    if statement.action == "get":
        return asked[1]  # type: ignore[no-any-return]  # as the statement says of itself
    return asked if isinstance(asked, Condition) else TRUE


def _sorts(statement: Statement, plan: Plan, sizes: Mapping[str, int], tables: Mapping[str, Table]) -> Iterator[Advice]:
    """Look at sorts of many rows. Where a database does not say how many, they are those of what was read whole."""
    read = [sizes.get(step.table or "", 0) for step in plan.of("scan", "walk")]
    for step in plan.of("sort"):
        rows = step.rows if step.rows is not None else max(read, default=statement.met or 0)
        if rows < BIG and not step.disk:
            continue
        query, where = statement.asked, "on disk" if step.disk else "in memory"
        if not isinstance(query, Query) or not query.sort or statement.entity is None:
            yield Advice(code="sort", text=f"{step.text}: {rows:,.0f} rows are sorted {where}")
            continue
        table = next(table for table in tables.values() if table.shape.type is statement.entity)
        first = query.sort[0].field
        fix = None if first in _indexed(table) else _declared(table, [first])
        text = f"{rows:,.0f} rows are sorted by {first} {where}"
        yield Advice(code="sort", text=f"{text}: {'an index has them in order' if fix else 'look for fewer'}", fix=fix)


def _estimates(statement: Statement, plan: Plan) -> Iterator[Advice]:
    """Look at what the database expects and what came, of reads that come to their end."""
    met, expected = statement.met, plan.rows
    limited = isinstance(statement.asked, Query) and statement.asked.limit is not None
    if met is None or expected is None or limited or statement.action not in ("fetch", "stream", "sql"):
        return
    few, many = sorted((max(met, 1), max(expected, 1)))
    if many >= BIG and many / few >= _WRONG:
        tables = " ".join(dict.fromkeys(step.table for step in plan.steps if step.table))
        text = f"{expected:,.0f} rows were expected and {met:,} came: the statistics are old"
        yield Advice(code="estimate", text=text, fix=f"ANALYZE {tables}")
