"""A plan in the same words for every database."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

StepKind = Literal["scan", "walk", "search", "sort"]
"""``scan`` reads every row of a table, ``walk`` every entry of an index, in its order, until there is enough;
``search`` finds rows by an index; ``sort`` puts rows in order that come in another one."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What matters of one step of a plan. ``rows`` is the database's estimate, where it has one."""

    kind: StepKind
    table: str | None = None
    index: str | None = None
    rows: float | None = None
    disk: bool | None = None  # of a sort: whether it does not fit into memory, where that is known
    text: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """The steps of a plan, outermost first; ``rows`` is how many rows the database expects to come of it."""

    steps: tuple[Step, ...]
    rows: float | None = None
    milliseconds: float | None = None  # where the statement was run for it

    def of(self, *kinds: StepKind) -> tuple[Step, ...]:
        """Return the steps of these kinds."""
        return tuple(step for step in self.steps if step.kind in kinds)


class Explaining(ABC):
    """One database's way of telling plans."""

    @abstractmethod
    def statement(self, text: str, *, analyze: bool) -> str:
        """Return what asks for the plan of a statement; ``analyze`` runs the statement for it."""

    @abstractmethod
    def read(self, rows: Sequence[Sequence[Any]]) -> Plan:
        """Return the plan that was answered."""

    @abstractmethod
    def size(self, source: str, name: str) -> tuple[str, Sequence[Any], bool]:
        """Return the question how many rows a table has, its bindings, and whether the answer is exact.

        ``source`` is the table as it stands in a statement, ``name`` its name. An answer below 0 says that it is not
        known without counting.
        """


def counted(rows: float | None) -> str:
    """Return how many rows are expected, in words."""
    return "" if rows is None else f" (about {rows:,.0f} {'row' if round(rows) == 1 else 'rows'})"
