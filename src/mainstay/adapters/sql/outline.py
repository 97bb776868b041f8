"""Conditions taken apart in one walk: the outline, which a statement is written for, and the values, which it binds.

An outline is a nest of tuples, equal for conditions that differ in their values only. It holds field names that were
looked up in the entity, operators of a closed set, and counts: nothing that a caller wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstay.adapters.sql.columns import BoundColumn, Columns, UnknownField
from mainstay.adapters.sql.operands import Off, holds_off
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
)
from mainstay.ports.indexing import stored_word

Outline = Any

MANY = 30_000
"""The members that a list may have where they must be bound one by one: below SQLite's bound of 32,766 in all."""


class TooManyMembers(ValueError):
    """A list in a condition is longer than a statement can hold."""


def outline(condition: Condition, columns: Columns, bound: list[Any]) -> Outline:
    """Return the outline of a condition and append its bindings. Raises ``UnknownField``, ``NotComparable``."""
    walk = _WALKS.get(type(condition))
    if walk is None:
        raise TypeError(f"{type(condition).__name__} is no condition")
    return walk(condition, columns, bound)


def _always(condition: Always, columns: Columns, bound: list[Any]) -> Outline:  # noqa: ARG001 - the form of a walk
    return condition.value


def _compare(condition: Compare, columns: Columns, bound: list[Any]) -> Outline:
    field, op, value = condition.field, condition.op, condition.value
    column = columns.by_name.get(field) or columns[field]
    if value is None:
        return ("null", field) if op == "eq" else ("given", field)
    operand = column.operands.get(op)
    if operand is None:
        raise UnknownField(f"{op!r} is no operator: {', '.join(OPERATORS)}")
    operated = operand(value)
    if type(operated) is Off:
        return ("given", field) if holds_off(op, operated) else False
    bound.append(operated)
    return op, field


def _among(condition: Among, columns: Columns, bound: list[Any]) -> Outline:
    column, field = columns.comparable(condition.field), condition.field
    equal = column.operands["eq"]
    members = [equal(value) for value in condition.values if value is not None]
    null = len(members) < len(condition.values)
    members = [member for member in members if type(member) is not Off]
    found: Outline = _members(columns, column, members, bound) if members else False
    return ("or", ("null", field), found) if null else found


def _members(columns: Columns, column: BoundColumn, members: list[Any], bound: list[Any]) -> Outline:
    dialect = columns.dialect
    if len(members) <= dialect.few:
        bound.extend(members)
        return "in", column.name, len(members)
    if column.listable:
        bound.append(dialect.list_of(members))
        return "listed", column.name
    if len(members) > MANY:
        raise TooManyMembers(f"{column.name}: a list of {len(members)} is too long: use at most {MANY}")
    room = 1 << (len(members) - 1).bit_length()  # few lengths, few statements
    bound.extend(members + members[-1:] * (room - len(members)))
    return "in", column.name, room


def _contains(condition: Contains, columns: Columns, bound: list[Any]) -> Outline:
    column, field, text = columns[condition.field], condition.field, condition.text
    if not column.textual:
        raise UnknownField(f"{columns.shape.name}.{field} is a {column.attribute.kind.value}: it contains no text")
    needle = column.operands["eq"](text)
    if type(needle) is Off:
        return False
    bound.append(needle)
    if condition.at != "start":
        return "contains", field
    above = successor(needle)
    if above is None:
        return "ge", field
    bound.append(above)
    return "starts", field


def successor(prefix: str) -> str | None:
    """Return the least text above all that begin with ``prefix``, or None where there is none.

    A range finds its place in an index; LIKE would need its wildcards escaped and a collation of its own.
    """
    for end in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[end])
        if code < 0x10FFFF:
            following = 0xE000 if code == 0xD7FF else code + 1
            return prefix[:end] + chr(following)
    return None


def _has_word(condition: HasWord, columns: Columns, bound: list[Any]) -> Outline:  # noqa: ARG001 - as above
    for name in condition.fields:
        least = stored_word(name, condition.word)
        bound += [least, successor(least)]
    return "word", len(condition.fields)


def _compare_fields(condition: CompareFields, columns: Columns, bound: list[Any]) -> Outline:  # noqa: ARG001 - as above
    columns.comparable(condition.left)
    columns.comparable(condition.right)
    if condition.op not in OPERATORS:
        raise UnknownField(f"{condition.op!r} is no operator: {', '.join(OPERATORS)}")
    return "fields", condition.left, condition.op, condition.right


def _not(condition: Not, columns: Columns, bound: list[Any]) -> Outline:
    return "not", outline(condition.of, columns, bound)


def _all(condition: AllOf, columns: Columns, bound: list[Any]) -> Outline:
    return ("and", *[outline(part, columns, bound) for part in condition.parts])


def _any(condition: AnyOf, columns: Columns, bound: list[Any]) -> Outline:
    return ("or", *[outline(part, columns, bound) for part in condition.parts])


_WALKS: dict[type[Condition], Callable[[Any, Columns, list[Any]], Outline]] = {
    Always: _always,
    Compare: _compare,
    Among: _among,
    Contains: _contains,
    HasWord: _has_word,
    CompareFields: _compare_fields,
    Not: _not,
    AllOf: _all,
    AnyOf: _any,
}
