"""Statements put together with their plans, and with what is to be mended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.adapters.observe.statements.repeated import HINTS, REPEATED
from mainstay.app.explaining.report import Reading
from mainstay.ports.statements import Statement
from mainstay.ports.store import Store, Table, Transaction


async def read_statements(
    store: Store, tables: Sequence[Table], statements: Sequence[Statement], *, source: str, analyze: bool
) -> list[Reading]:
    """Return statements in their order, those that are alike as one. ``source`` is the line of the operation.

    Each is planned in a transaction of its own, which is undone: those of a store without plans are only listed.
    """
    groups: dict[tuple[str | None, str], list[Statement]] = {}
    for statement in statements:
        groups.setdefault((statement.line, statement.words), []).append(statement)
    readings = []
    for group in groups.values():
        reading = _together(group, source)
        await _add_plan(store, tables, group[0], reading, analyze=analyze)
        readings.append(reading)
    return readings


def _together(group: Sequence[Statement], source: str) -> Reading:
    first = group[0]
    met = [statement.met for statement in group if statement.met is not None]
    distinct = len({repr(statement.values) for statement in group})
    made = Reading(
        action=first.action,
        words=first.words,
        line=first.line or (None if first.kept else source),
        times=len(group),
        distinct=distinct,
        met=sum(met) if met else None,
        kept=first.kept,
        steps=[],
        advice=[],
    )
    if first.reads and distinct >= REPEATED and not first.kept:
        made.advice.append(("n_plus_one", f"N+1: the same read {len(group)} times: {HINTS[first.action]}", None))
    return made


async def _add_plan(
    store: Store, tables: Sequence[Table], statement: Statement, reading: Reading, *, analyze: bool
) -> None:
    transaction: Any = store.begin(write=not statement.reads)
    try:
        if hasattr(transaction, "statements"):
            await _plan(transaction, tables, statement, reading, analyze=analyze)
    finally:
        await transaction.rollback()


async def _plan(
    transaction: Transaction, tables: Sequence[Table], statement: Statement, reading: Reading, *, analyze: bool
) -> None:
    from mainstay.adapters.sql.plans import Planner

    planner = Planner(transaction, tables)  # type: ignore[arg-type]  # that of a SQL store has what is asked of it
    reading.sql = planner.text(statement)
    plan = await planner.plan(statement, analyze=analyze)
    if plan is None or reading.kept:
        return
    advice = await planner.advise(statement, plan)
    reading.steps = [step.text for step in plan.steps]
    reading.expected, reading.milliseconds = plan.rows, plan.milliseconds
    sizes = {step.table: planner.size(step.table) for step in plan.steps if step.table is not None}
    reading.tables = {name: size for name, size in sizes.items() if size is not None}
    reading.advice += [(one.code, one.text, one.fix) for one in advice]
