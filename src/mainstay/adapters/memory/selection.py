"""Which rows, in which order: conditions as functions, and what a query selects from rows in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from mainstay.adapters.memory.layout import Layout, plain
from mainstay.adapters.memory.state import State
from mainstay.model.conditions import (
    OPERATORS,
    TRUE,
    AllOf,
    Always,
    Among,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Contains,
    Not,
)
from mainstay.model.schema import FieldKind
from mainstay.ports.rows import Aggregate, Query

Predicate = Callable[[Any], bool]


def predicate(condition: Condition) -> Predicate:
    """Return a condition as a function of a row; it says what ``holds`` says."""
    match condition:
        case Always(value):
            return lambda _row: value
        case Compare(field, op, value):
            return _compare(field, op, value)
        case Among(field, members):
            return lambda row: getattr(row, field) in members
        case Contains():
            return _contains(condition)
        case CompareFields(left, op, right):
            return _compare_fields(left, op, right)
        case Not(of):
            inner = predicate(of)
            return lambda row: not inner(row)
        case AllOf(parts):
            every = [predicate(part) for part in parts]
            return lambda row: all(part(row) for part in every)
        case AnyOf(parts):
            some = [predicate(part) for part in parts]
            return lambda row: any(part(row) for part in some)
    raise TypeError(f"{type(condition).__name__} is no condition")


def _compare(field: str, op: str, value: Any) -> Predicate:
    if value is None:
        wanted = op == "eq"
        return lambda row: (getattr(row, field) is None) == wanted
    compare, value = OPERATORS[op], plain(value)

    def holds(row: Any) -> bool:
        held = getattr(row, field)
        return held is not None and compare(plain(held), value)

    return holds


def _compare_fields(left: str, op: str, right: str) -> Predicate:
    compare = OPERATORS[op]

    def holds(row: Any) -> bool:
        held, other = getattr(row, left), getattr(row, right)
        return held is not None and other is not None and compare(plain(held), plain(other))

    return holds


def _contains(condition: Contains) -> Predicate:
    field, text, start = condition.field, condition.text, condition.at == "start"

    def holds(row: Any) -> bool:
        held = plain(getattr(row, field))
        return held is not None and (held.startswith(text) if start else text in held)

    return holds


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
        case Compare(field, "eq", value) if value is not None and field in state.unique:
            return _present(state, (state.unique[field].get(value),))
        case AllOf(parts):
            found = (_near(state, part) for part in parts)
            return next((near for near in found if near is not None), None)
    return None


def _present(state: State, ids: Iterable[Any]) -> list[Any]:
    return [row for id_ in ids if (row := state.rows.get(id_)) is not None]


def fetch(state: State, layout: Layout, query: Query) -> list[Any]:
    """Return the kept rows that a query asks for."""
    found = select(state, query.where)
    for key in reversed(query.sort):
        found.sort(key=layout.sorter(key.field), reverse=key.descending)
    if query.per is None:
        return found if query.limit is None else found[: query.limit]
    taken: Counter[Any] = Counter()
    kept = []
    for row in found:
        value = getattr(row, query.per)
        taken[value] += 1
        if query.limit is None or taken[value] <= query.limit:
            kept.append(row)
    return kept


def aggregate(state: State, layout: Layout, asked: Aggregate) -> list[tuple[Any, ...]]:
    """Return the figures that are asked for."""
    groups: dict[tuple[Any, ...], list[Any]] = {} if asked.by else {(): []}
    for row in select(state, asked.where):
        groups.setdefault(tuple(getattr(row, name) for name in asked.by), []).append(row)

    def order(group: tuple[Any, ...]) -> list[tuple[bool, Any]]:
        return [(value is not None, plain(value)) for value in group]

    keys = sorted(groups, key=order)[: asked.limit]
    return [
        (*key, *(_figure(layout, function, field, groups[key]) for function, field in asked.measures)) for key in keys
    ]


def _figure(layout: Layout, function: str, field: str | None, rows: list[Any]) -> Any:
    if field is None:
        return len(rows)
    values = [value for row in rows if (value := getattr(row, field)) is not None]
    if function == "count":
        return len(values)
    if not values:
        return None
    if function == "sum":
        return sum(values, Decimal(0) if layout.attributes[field].kind is FieldKind.DECIMAL else 0)
    if function == "avg":
        return sum(values) / len(values)
    return (min if function == "min" else max)(values, key=plain)
