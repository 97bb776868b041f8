"""Statements in words, with ``?`` for each value: alike for those that differ in values only, and for all stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from mainstay.model.conditions import (
    TRUE,
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
)
from mainstay.ports.rows import Aggregate, Change, Merge, Query

_SIGNS: Mapping[str, str] = MappingProxyType({"eq": "=", "ne": "!=", "gt": ">", "ge": ">=", "lt": "<", "le": "<="})


def _sign(_value: Any) -> str:
    return "?"


def condition_words(condition: Condition, told: Callable[[Any], str] = _sign) -> str:
    """Return a condition in words. A list is one ``?``, however many members it has.

    ``told`` says what stands for a value, where that is not a ``?``.
    """
    match condition:
        case Always(value):
            return "always" if value else "never"
        case Compare(field, op, None):
            return f"{field} is {'not ' if op == 'ne' else ''}null"
        case Compare(field, op, value):
            return f"{field} {_SIGNS[op]} {told(value)}"
        case Among(field, values):
            return f"{field} in ({'?' if told is _sign else ', '.join(map(told, values))})"
        case Contains() | HasWord():
            return _found_words(condition, told)
        case CompareFields(left, op, right):
            return f"{left} {_SIGNS[op]} {right}"
        case Not(of):
            return f"not ({condition_words(of, told)})"
        case AllOf(parts):
            return " and ".join(_part(part, told) for part in parts)
        case AnyOf(parts):
            return " or ".join(_part(part, told) for part in parts)
    raise TypeError(f"{type(condition).__name__} is no condition")


def _found_words(condition: Contains | HasWord, told: Callable[[Any], str]) -> str:
    if isinstance(condition, HasWord):
        return f"{', '.join(condition.fields)} has a word that starts with {told(condition.word)}"
    return f"{condition.field} {'starts with' if condition.at == 'start' else 'contains'} {told(condition.text)}"


def _part(condition: Condition, told: Callable[[Any], str] = _sign) -> str:
    words = condition_words(condition, told)
    return f"({words})" if isinstance(condition, AllOf | AnyOf) else words


def query_words(query: Query) -> str:
    """Return what a query asks for."""
    order = ", ".join(f"{'-' if by.descending else ''}{by.field}" for by in query.sort)
    parts = [
        _where(query.where),
        f" order by {order}" if order else "",
        " limit ?" if query.limit is not None else "",
        f" for each {query.per}" if query.per is not None else "",
        " locked" if query.lock else "",
    ]
    return "".join(parts)


def get_words(where: Condition) -> str:
    """Return what the read of one row by its id asks for."""
    return " where id = ?" + ("" if where is TRUE else f" and {_part(where)}")


def count_words(where: Condition) -> str:
    """Return what a count asks for."""
    return _where(where)


def aggregate_words(aggregate: Aggregate) -> str:
    """Return what is asked of figures."""
    measures = ", ".join(f"{function}({field or '*'})" for function, field in aggregate.measures)
    by = f" by {', '.join(aggregate.by)}" if aggregate.by else ""
    return f" {measures}{by}{_where(aggregate.where)}{' limit ?' if aggregate.limit is not None else ''}"


def change_words(change: Change) -> str:
    """Return what a change says."""
    named = "" if change.changes is None else f" set {', '.join(change.changes)}"
    return f"{named}{_where(change.where)}{' and version = ?' if change.version is not None else ''}"


def _where(condition: Condition) -> str:
    return "" if condition is TRUE else f" where {condition_words(condition)}"


def merge_words(merge: Merge[Any]) -> str:
    """Return what rows change that are added, or are those of a unique value."""
    changed = ", ".join((*merge.changes, *merge.kept))
    return f" on {merge.on} set {changed}{_where(merge.where)}"
