"""Conditions on rows, as a tree of values: what filters, row policies and cursors are made of.

A condition has an SQL form and a form in memory, and both give the same answer: it is two-valued. A comparison with a
null is false, and its negation is true. Every node is hashable by its *shape* (``key()``), which leaves the values out,
so that an adapter compiles a statement once per shape and binds ``values()`` in the order of the walk.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from mainstay.model.words import words_of

OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


class Condition(msgspec.Struct, frozen=True):
    """The root of the tree."""

    def __and__(self, other: Condition) -> Condition:
        if isinstance(other, Always):
            return self if other.value else other
        if isinstance(self, Always):
            return other if self.value else self
        return AllOf((*_parts(self, AllOf), *_parts(other, AllOf)))

    def __or__(self, other: Condition) -> Condition:
        if isinstance(other, Always):
            return other if other.value else self
        if isinstance(self, Always):
            return self if self.value else other
        return AnyOf((*_parts(self, AnyOf), *_parts(other, AnyOf)))

    def __invert__(self) -> Condition:
        if isinstance(self, Always):
            return FALSE if self.value else TRUE  # who asks whether it is one of them compares by identity
        return self.of if isinstance(self, Not) else Not(self)

    def __bool__(self) -> bool:
        raise TypeError("a condition has no truth value: combine conditions with &, | and ~, not and, or and not")


class Always(Condition, frozen=True):
    """True of every row, or of none."""

    value: bool


TRUE = Always(True)
FALSE = Always(False)


class Compare(Condition, frozen=True):
    """A field against a value: eq, ne, gt, ge, lt, le. Against None only eq and ne have a meaning (is null, is not)."""

    field: str
    op: str
    value: Any


class Among(Condition, frozen=True):
    """A field's value is one of ``values``."""

    field: str
    values: tuple[Any, ...]


class Contains(Condition, frozen=True):
    """A string field contains ``text``, letter case as it stands (``at`` "any"), or begins with it (``at`` "start")."""

    field: str
    text: str
    at: str = "any"


class HasWord(Condition, frozen=True):
    """One of these text fields has a word that begins with ``word``, letter case and accents apart."""

    fields: tuple[str, ...]
    word: str


class Search(Condition, frozen=True):
    """Every word is one of these fields', of all searchable ones where none is named: spelled out by a repository."""

    words: tuple[str, ...]
    fields: tuple[str, ...]


class CompareFields(Condition, frozen=True):
    """A field against another field of the same row."""

    left: str
    op: str
    right: str


class Not(Condition, frozen=True):
    """True where ``of`` is not true, nulls included."""

    of: Condition


class AllOf(Condition, frozen=True):
    """Every part holds."""

    parts: tuple[Condition, ...]


class AnyOf(Condition, frozen=True):
    """At least one part holds."""

    parts: tuple[Condition, ...]


def _parts(condition: Condition, kind: type[AllOf | AnyOf]) -> tuple[Condition, ...]:
    return condition.parts if isinstance(condition, kind) else (condition,)


def key(condition: Condition) -> Any:
    """Return the shape of a condition: hashable, equal for conditions that differ in their values only."""
    if type(condition) is Always:  # before the others: it is most often asked for
        return condition.value
    match condition:
        case Compare(field, op, value):
            return ("c", field, op, value is None)
        case Among(field, values):
            return ("in", field, len(values))
        case Contains(field, _, at):
            return ("has", field, at)
        case HasWord(names, _):
            return ("word", *names)
        case CompareFields(left, op, right):
            return ("cf", left, op, right)
        case Not(of):
            return ("not", key(of))
        case AllOf(parts):
            return ("and", *map(key, parts))
        case AnyOf(parts):
            return ("or", *map(key, parts))
    raise TypeError(f"{type(condition).__name__} is no condition")


def values(condition: Condition) -> Iterator[tuple[str, Any]]:
    """Walk the values of a condition in the order of its shape, each with the field it is compared with."""
    match condition:
        case Compare(field, _, value):
            if value is not None:
                yield field, value
        case Among(field, members):
            for member in members:
                yield field, member
        case Contains(field, text, _):
            yield field, text
        case HasWord(names, word):
            yield names[0], word
        case Not(of):
            yield from values(of)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from values(part)


def fields(condition: Condition) -> Iterator[str]:
    """Walk the names of the fields that a condition looks at."""
    match condition:
        case Compare(field, _, _) | Among(field, _) | Contains(field, _, _):
            yield field
        case HasWord(names, _):
            yield from names
        case Search(_, names):
            yield from names or ("search",)
        case CompareFields(left, _, right):
            yield left
            yield right
        case Not(of):
            yield from fields(of)
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from fields(part)


def holds(condition: Condition, row: Any) -> bool:
    """Say whether a condition is true of a row (anything with the fields as attributes)."""
    match condition:
        case Always(value):
            return value
        case Compare(field, op, value):
            return _compare(getattr(row, field), op, value)
        case Among(field, members):
            return getattr(row, field) in members
        case Contains(field, text, at):
            held = getattr(row, field)
            return held is not None and (held.startswith(text) if at == "start" else text in held)
        case HasWord(names, word):
            return has_word(row, names, word)
        case CompareFields(left, op, right):
            other = getattr(row, right)
            return other is not None and _compare(getattr(row, left), op, other)
        case Not(of):
            return not holds(of, row)
        case AllOf(parts):
            return all(holds(part, row) for part in parts)
        case AnyOf(parts):
            return any(holds(part, row) for part in parts)
    raise TypeError(f"{type(condition).__name__} is no condition")


def has_word(row: Any, names: Iterable[str], word: str) -> bool:
    """Say whether one of these fields of a row has a word that begins with ``word``."""
    return any(found.startswith(word) for name in names for found in words_of(getattr(row, name) or ""))


def _compare(held: Any, op: str, value: Any) -> bool:
    if value is None:
        return (held is None) == (op == "eq")
    return held is not None and OPERATORS[op](held, value)


class Term(msgspec.Struct, frozen=True):
    """A condition on a field that is named by the keyword it is given to: ``price=ge(10)``."""

    build: Callable[[str], Condition]

    def __and__(self, other: Term) -> Term:
        return Term(lambda name: self.build(name) & other.build(name))

    def __or__(self, other: Term) -> Term:
        return Term(lambda name: self.build(name) | other.build(name))

    def __invert__(self) -> Term:
        return Term(lambda name: ~self.build(name))

    def __repr__(self) -> str:
        return f"Term({self.build('_')!r})"


def _term(op: str, value: Any) -> Term:
    return Term(lambda name: Compare(name, op, value))


def eq(value: Any) -> Any:
    """Rows whose field is equal to the value."""
    return _term("eq", value)


def ne(value: Any) -> Any:
    """Rows whose field is another than the value; a null is none."""
    return _term("ne", value)


def gt(value: Any) -> Any:
    """Rows whose field is greater than the value; a null never is."""
    return _term("gt", value)


def ge(value: Any) -> Any:
    """Rows whose field is the value or greater; a null never is."""
    return _term("ge", value)


def lt(value: Any) -> Any:
    """Rows whose field is less than the value; a null never is."""
    return _term("lt", value)


def le(value: Any) -> Any:
    """Rows whose field is the value or less; a null never is."""
    return _term("le", value)


def listed(members: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return members that were given one by one, or as one collection."""
    if len(members) == 1 and isinstance(members[0], (list, tuple, set, frozenset)):
        return tuple(members[0])
    return members


def in_(*members: Any) -> Any:
    """Rows whose field is one of the members, given one by one or as one collection."""
    return Term(lambda name: Among(name, listed(members)))


def contains(text: str) -> Any:
    """Rows whose string field contains the text; letter case counts."""
    return Term(lambda name: Contains(name, text))


def starts_with(text: str) -> Any:
    """Rows whose string field begins with the text; letter case counts."""
    return Term(lambda name: Contains(name, text, "start"))


def not_(term: Any) -> Any:
    """Rows of which the term (or equality with the value) is not true."""
    return ~term if isinstance(term, Term) else Term(lambda name: Not(Compare(name, "eq", term)))


def search(text: str, *fields: str) -> Condition:
    """Rows in which every word of the text begins a word of one of these fields, of all searchable ones by default.

    Letter case and accents make no difference. A text without any word finds nothing.
    """
    return Search(words_of(text), fields)


def having(words: Iterable[str], fields: tuple[str, ...]) -> Condition:
    """Return the condition that every word begins a word of one of these fields; none is true of no row."""
    result: Condition = TRUE
    for word in words:
        result = result & HasWord(fields, word)
    return FALSE if result is TRUE or not fields else result


def any_of(*alternatives: Mapping[str, Any] | Condition, **fields: Any) -> Condition:
    """At least one holds: ``any_of(status="new", price=ge(10))`` or ``any_of({"a": 1, "b": 2}, {"a": 3})``."""
    result: Condition = FALSE
    for alternative in alternatives:
        result = result | (alternative if isinstance(alternative, Condition) else all_of(**alternative))
    for name, value in fields.items():
        result = result | all_of(**{name: value})
    return result


def all_of(*conditions: Condition, **fields: Any) -> Condition:
    """Every one holds: conditions, and fields by keyword with a value or a term."""
    result: Condition = TRUE
    for condition in conditions:
        result = result & condition
    for name, value in fields.items():
        result = result & (value.build(name) if isinstance(value, Term) else Compare(name, "eq", value))
    return result
