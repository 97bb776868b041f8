"""What conditions, orders and figures say of rows in memory, for stores that cannot say it themselves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from enum import Enum
from typing import Any

from mainstay.model.conditions import (
    OPERATORS,
    AllOf,
    Always,
    Among,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Contains,
    HasWord,
    Not,
    has_word,
)
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import Secret
from mainstay.ports.rows import Aggregate, Query

Predicate = Callable[[Any], bool]


def plain(value: Any) -> Any:
    """Return what a value is ordered by."""
    if isinstance(value, Enum):
        return value.value
    return value.reveal() if isinstance(value, Secret) else value


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
        case HasWord(names, word):
            return lambda row: has_word(row, names, word)
        case CompareFields(left, op, right):
            return _compare_fields(left, op, right)
        case Not(of):
            inner = predicate(of)
            return lambda row: not inner(row)
        case AllOf(parts):
            return _all([predicate(part) for part in parts])
        case AnyOf(parts):
            some = [predicate(part) for part in parts]
            return lambda row: any(part(row) for part in some)
    raise TypeError(f"{type(condition).__name__} is no condition")


def _all(parts: Sequence[Predicate]) -> Predicate:
    if len(parts) == 2:  # most are of two
        first, second = parts
        return lambda row: first(row) and second(row)
    return lambda row: all(part(row) for part in parts)


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


def sorter(field: str) -> Callable[[Any], Any]:
    """Return the sort key of a field: null before every value, an enum by its value."""

    def key(row: Any) -> tuple[bool, Any]:
        value = plain(getattr(row, field))
        return value is not None, value

    return key


def ordered(found: list[Any], query: Query) -> list[Any]:
    """Return those of the rows that a query asks for, in its order. Its condition was applied before."""
    for key in reversed(query.sort):
        found.sort(key=sorter(key.field), reverse=key.descending)
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


def figures(found: Iterable[Any], asked: Aggregate, attributes: Mapping[str, Attribute]) -> list[tuple[Any, ...]]:
    """Return the figures that are asked for, of rows to which the condition was applied before."""
    groups: dict[tuple[Any, ...], list[Any]] = {} if asked.by else {(): []}
    for row in found:
        groups.setdefault(tuple(getattr(row, name) for name in asked.by), []).append(row)

    def order(group: tuple[Any, ...]) -> list[tuple[bool, Any]]:
        return [(value is not None, plain(value)) for value in group]

    keys = sorted(groups, key=order)[: asked.limit]
    return [
        (*key, *(_figure(attributes, function, field, groups[key]) for function, field in asked.measures))
        for key in keys
    ]


def _figure(attributes: Mapping[str, Attribute], function: str, field: str | None, rows: list[Any]) -> Any:
    if field is None:
        return len(rows)
    values = [value for row in rows if (value := getattr(row, field)) is not None]
    if function == "count":
        return len(values)
    if not values:
        return None
    if function == "sum":
        return sum(values, Decimal(0) if attributes[field].kind is FieldKind.DECIMAL else 0)
    if function == "avg":
        return sum(values) / len(values)
    return (min if function == "min" else max)(values, key=plain)
