"""Reads that one transaction repeats with other values each time: what is known as N+1."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from mainstay.ports.observer import Notice, Observer
from mainstay.ports.statements import Statement, Watch, Watching

REPEATED = 5
"""So many reads of one form, by one line, with different values, are told of."""

_KEPT = 1000  # lines that have been told of: each is told once

HINTS: Mapping[str, str] = MappingProxyType(
    {
        "get": "read them at once, by id=in_(ids), or along with their owner by include=",
        "fetch": "read them at once, by a condition with in_(...), or along with their owner by include=",
        "stream": "read them in one stream, by a condition with in_(...)",
        "count": "count them at once: Aggregates groups by the field that differs",
        "aggregate": "ask once: Aggregates groups by the field that differs",
        "sql": "ask once, by a join or a condition with in_(...)",
    }
)
"""What to do instead of repeating a read, by its action."""


class RepeatedReads(Watch):
    """Tells an observer, once for each line of code, of reads that are repeated within one transaction."""

    def __init__(self, observer: Observer, *, times: int = REPEATED) -> None:
        self._observer = observer
        self._times = times
        self._told: dict[tuple[str | None, str], None] = {}

    def begun(self) -> Watching:
        return _Counted(self)

    def judge(self, counted: Mapping[tuple[str | None, str], _Repeated]) -> None:
        """Tell of what one transaction has repeated too often."""
        for key, found in counted.items():
            if len(found.values) >= self._times and key not in self._told:
                if len(self._told) >= _KEPT:
                    del self._told[next(iter(self._told))]
                self._told[key] = None
                self._observer.observe(_notice(found))


class _Repeated(msgspec.Struct):
    first: Statement
    times: int
    values: set[str]


class _Counted(Watching):
    """Counts the reads of one transaction by their line and their words."""

    __slots__ = ("_counted", "_reads")

    def __init__(self, reads: RepeatedReads) -> None:
        self._reads = reads
        self._counted: dict[tuple[str | None, str], _Repeated] = {}

    def ran(self, statement: Statement) -> None:
        if statement.kept or not statement.reads:
            return
        key = (statement.line, statement.words)
        found = self._counted.get(key)
        if found is None:
            found = self._counted[key] = _Repeated(statement, 0, set())
        found.times += 1
        found.values.add(repr(statement.values))

    def ended(self) -> None:
        self._reads.judge(self._counted)


def _notice(found: _Repeated) -> Notice:
    first = found.first
    place = first.line or "an operation without code, or a task of its own,"
    hint = HINTS[first.action]
    text = f"N+1: {place} ran the same read {found.times} times in one call: {first.words}. Instead, {hint}"
    facts: dict[str, Any] = {"line": first.line, "statement": first.words, "times": found.times, "hint": hint}
    return Notice("warning", "n_plus_one", text, facts)
