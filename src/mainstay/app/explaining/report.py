"""What was found out about an operation, as a value, as facts and as text."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec


class Reading(msgspec.Struct, kw_only=True):
    """A statement, with those that differ from it in their values only."""

    action: str
    words: str
    line: str | None
    times: int
    distinct: int  # of them with values of their own
    met: int | None  # rows that came, or were changed, in all
    kept: bool  # rows that Mainstay keeps for itself
    sql: str | None = None
    steps: list[str] = []
    expected: float | None = None  # rows, of one of them, by the database's estimate
    milliseconds: float | None = None
    tables: Mapping[str, int] = {}  # the sizes of the tables in the plan
    advice: list[tuple[str, str, str | None]] = []  # code, text, fix


class Explanation(msgspec.Struct, kw_only=True):
    """An operation that was called once."""

    operation: str
    kind: str
    source: str
    target: str
    caller: str
    input: Mapping[str, Any]
    made_up: Sequence[str]
    outcome: str
    failed: bool
    undone: bool
    database: str
    plans: bool  # whether the database tells plans
    statements: list[Reading]

    @property
    def advised(self) -> int:
        """How many things there are to mend."""
        return sum(len(reading.advice) for reading in self.statements)


def facts_of(made: Explanation) -> dict[str, Any]:
    """Return the facts for programs."""
    facts: dict[str, Any] = msgspec.to_builtins(made, enc_hook=str)
    for statement in facts["statements"]:
        statement["advice"] = [{"code": code, "text": text, "fix": fix} for code, text, fix in statement["advice"]]
    return {**facts, "advice": made.advised}


def text_of(made: Explanation, *, sql: bool = False) -> str:
    """Return the report for people; ``sql`` shows the statements as the database gets them."""
    undone = ", and nothing of it is kept" if made.undone else ""
    lines = [
        f"{made.operation}, a {made.kind} at {_near(made.source)}, called once on {made.database}{undone}",
        f"  {made.target}",
        f"  as {made.caller}",
    ]
    if made.input:
        made_up = f" (made up: {', '.join(made.made_up)})" if made.made_up else ""
        lines.append(f"  input {msgspec.json.encode(made.input, enc_hook=str).decode()}{made_up}")
    lines.append(f"  {made.outcome}")
    for number, reading in enumerate(made.statements, 1):
        lines += ["", *_statement(number, reading, sql=sql)]
    own = sum(reading.times for reading in made.statements if not reading.kept)
    kept = sum(reading.times for reading in made.statements if reading.kept)
    said = f"{own} {'statement' if own == 1 else 'statements'}" + (f" and {kept} of Mainstay's own" if kept else "")
    if made.advised or made.plans:
        said += f"; {made.advised or 'nothing'} to mend"
    lines += ["", said]
    if not made.plans:
        lines.append("this store tells no plans: only what was asked of it is listed")
    return "\n".join(lines)


def _statement(number: int, reading: Reading, *, sql: bool) -> list[str]:
    times = f"{reading.times} times: " if reading.times > 1 else ""
    met = "" if reading.met is None else f"  -> {reading.met:,} {'row' if reading.met == 1 else 'rows'}"
    lines = [f"{number}. {times}{reading.words}{met}"]
    if reading.line is not None:
        lines.append(f"   at {_near(reading.line)}")
    if sql and reading.sql is not None:
        lines.append(f"   {reading.sql}")
    lines += [f"   {step}" for step in reading.steps]
    if reading.milliseconds is not None:
        lines.append(f"   took {reading.milliseconds:.3f} ms")
    for _, text, fix in reading.advice:
        lines.append(f"   ! {text}" + (f" -> {fix}" if fix else ""))
    return lines


def _near(place: str) -> str:
    """Return a place, from here where it is below."""
    here = f"{os.getcwd()}/"
    return place.removeprefix(here)
