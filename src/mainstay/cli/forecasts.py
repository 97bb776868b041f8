"""What ``mainstay db plan`` tells: the revisions, and what each step of them would do to the live database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mainstay.adapters.sql.migrations import Plan
    from mainstay.adapters.sql.migrations.forecast import Effect, Forecast, Outlook
    from mainstay.adapters.sql.migrations.measuring import Breach, Size

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def plan_facts(planned: Plan | None, outlook: Outlook, database: str, *, written: bool) -> dict[str, Any]:
    """Return a plan as facts."""
    revisions = () if planned is None else planned.revisions
    return {
        "planned": [{**each._asdict(), "path": str(each.path)} for each in revisions],
        "written": written and planned is not None,
        "warnings": [] if planned is None else list(planned.warnings),
        "database": database,
        "not_looked_at": outlook.unseen or None,
        "revisions": [_revision_facts(each) for each in outlook.forecasts],
        "outside_of_the_model": [
            {"table": each.table, "field": each.field, **_breach_facts(each.breach)} for each in outlook.outside
        ],
    }


def _revision_facts(forecast: Forecast) -> dict[str, Any]:
    return {
        "name": forecast.revision,
        "phase": forecast.phase,
        "safe_while_the_old_version_serves": forecast.safe,
        "loses": list(forecast.loses),
        "loses_going_down": list(forecast.loses_back),
        "steps": [_step_facts(each) for each in forecast.effects],
    }


def _step_facts(effect: Effect) -> dict[str, Any]:
    size = effect.size
    return {
        "step": effect.step,
        "table": effect.table or None,
        "locks": effect.manner.locks,
        "work": effect.manner.work,
        "rows": None if size is None else size.rows,
        "rows_are_exact": size is not None and size.exact,
        "bytes": None if size is None else size.bytes,
        "safe_while_the_old_version_serves": effect.safe,
        "old_reads": effect.verdict.reads or None,
        "old_writes": effect.verdict.writes or None,
        "breaking": None if effect.breach is None else _breach_facts(effect.breach),
    }


def _breach_facts(breach: Breach) -> dict[str, Any]:
    return {"why": breach.why, "rows": breach.rows, "ids": list(breach.ids)}


def plan_text(planned: Plan | None, outlook: Outlook, *, preview: bool, whole: bool) -> str:
    """Return a plan as text: with the files, where ``whole`` says so, and what they would do."""
    revisions = () if planned is None else planned.revisions
    lines = [each.text for each in revisions] if whole else []
    for forecast in outlook.forecasts:
        lines += _revision_lines(forecast)
    lines += [
        f"outside of the model: {each.table}.{each.field}: {_breach_text(each.breach)}" for each in outlook.outside
    ]
    if outlook.unseen:
        lines.append(f"no rows were counted: {outlook.unseen}")
    lines += [f"look at this: {warning}" for warning in (planned.warnings if planned is not None else ())]
    said = "there is something to plan: {0.name} ({0.phase})" if preview else "wrote {0.path} ({0.phase}): review it"
    lines += [said.format(each) for each in revisions]
    if not revisions:
        lines.append("nothing to plan: the migrations make what the model says")
    return "\n".join(lines)


def _revision_lines(forecast: Forecast) -> Iterator[str]:
    safety = "safe while the old version serves" if forecast.safe else "NOT safe while the old version serves"
    if forecast.phase == "contract":
        safety = "to be run once no old version serves"
    yield f"{forecast.revision} ({forecast.phase or 'one transaction'}): {safety}"
    new = [effect.table for effect in forecast.effects if effect.kind == "create table"]
    if new:
        yield f"  create {', '.join(new)}, with what belongs to them: nobody uses them yet"
    for effect in forecast.effects:
        if effect.table not in new:
            yield from _step_lines(effect)
    yield from (f"  loses {lost}" for lost in forecast.loses)
    yield from (f"  loses, when it is taken back, {lost}" for lost in forecast.loses_back)
    yield ""


def _step_lines(effect: Effect) -> Iterator[str]:
    yield f"  {effect.step}: {effect.manner.work}{_size_text(effect.size)}"
    yield f"      locks {effect.manner.locks}"
    for doing, why in (("reads", effect.verdict.reads), ("writes", effect.verdict.writes)):
        if why:
            yield f"      breaks {doing} of the old version: {why}"
    if effect.breach is not None:
        yield f"      BREAKS {_breach_text(effect.breach)}"


def _size_text(size: Size | None) -> str:
    if size is None:
        return ""
    rows = "an unknown number of rows" if size.rows is None else f"{'' if size.exact else 'about '}{size.rows:,} rows"
    return f", {rows}" if size.bytes is None else f", {rows}, {_bytes_text(size.bytes)}"


def _bytes_text(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:,.0f} {unit}"
        count /= 1024
    return f"{count:,.0f} {_UNITS[-1]}"


def _breach_text(breach: Breach) -> str:
    rows = "rows, not counted in time" if breach.rows is None else f"{breach.rows:,} rows"
    ids = f" (for example {', '.join(breach.ids)})" if breach.ids else ""
    return f"{rows}: {breach.why}{ids}"
