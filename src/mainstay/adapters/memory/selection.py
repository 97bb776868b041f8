"""Which of the kept rows a condition or a query asks for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mainstay.adapters.memory.layout import Layout
from mainstay.adapters.memory.state import State
from mainstay.model.conditions import TRUE, AllOf, Among, Compare, Condition
from mainstay.ports.rows import Aggregate, Query
from mainstay.ports.selection import figures, ordered, predicate


def select(state: State, where: Condition) -> list[Any]:
    """Return the kept rows of which a condition is true, in the order of their adding."""
    if where is TRUE:
        return list(state.rows.values())
    near = _near(state, where)
    return list(filter(predicate(where), state.rows.values() if near is None else near))


def _near(state: State, where: Condition) -> Iterable[Any] | None:
    """Return the few rows among which those of a condition are, where an index tells them."""
    match where:
        case Compare("id", "eq", value) if value is not None:
            return _present(state, (value,))
        case Among("id", members):
            return _present(state, dict.fromkeys(members))
        case Compare(field, "eq", value) if value is not None and state.names(field):
            return _present(state, (state.named(field, value),))
        case AllOf(parts):
            found = (_near(state, part) for part in parts)
            return next((near for near in found if near is not None), None)
    return None


def _present(state: State, ids: Iterable[Any]) -> list[Any]:
    return [row for id_ in ids if (row := state.rows.get(id_)) is not None]


def fetch(state: State, query: Query) -> list[Any]:
    """Return the kept rows that a query asks for."""
    return ordered(select(state, query.where), query)


def aggregate(state: State, layout: Layout, asked: Aggregate) -> list[tuple[Any, ...]]:
    """Return the figures that are asked for."""
    return figures(select(state, asked.where), asked, layout.attributes)
