"""Conditions as filters. Both say the same of every document: what a null is compared with is false, and its negation
true; texts are compared by their code points, numbers exactly, whatever type they are of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any
from uuid import UUID

from bson import Decimal128, Int64

from mainstay.adapters.mongo.codec import Document, Field, microseconds, time_text, words_path
from mainstay.model.conditions import (
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
from mainstay.model.schema import COMPARABLE, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN, Secret
from mainstay.ports.store import BeyondStore

Fields = Mapping[str, Field]

_OPERATORS = {"eq": "$eq", "ne": "$ne", "gt": "$gt", "ge": "$gte", "lt": "$lt", "le": "$lte"}
_NOTHING: Mapping[str, Any] = {"_id": {"$in": []}}
_NEVER = object()  # a value that no document can hold
_LAST = "\U0010ffff"
_TINY = Decimal("1e-60")
_WIDE = 10**20  # steps: more than any field of 18 digits or 64 bits can hold


class NotComparable(TypeError):
    """A condition compares a field with a value that has no order with it."""


def filter_of(condition: Condition, fields: Fields) -> Document:
    """Return the filter of the documents of which a condition is true."""
    match condition:
        case Always(value):
            return {} if value else dict(_NOTHING)
        case Compare(name, op, value):
            return _compare(comparable(fields, name), op, value)
        case Among(name, members):
            return _among(comparable(fields, name), members)
        case Contains():
            return _contains(comparable(fields, condition.field), condition)
        case CompareFields(left, op, right):
            return _compare_fields(comparable(fields, left), op, comparable(fields, right))
        case HasWord(names, word):
            # One word is within both bounds, and not one within each.
            beginning = {"$elemMatch": _beginning(word)}
            return {"$or": [{words_path(comparable(fields, name).attribute.name): beginning} for name in names]}
        case Not(of):
            return {"$nor": [filter_of(of, fields)]}
        case AllOf(parts):
            return {"$and": [filter_of(part, fields) for part in parts]} if parts else {}
        case AnyOf(parts):
            return {"$or": [filter_of(part, fields) for part in parts]} if parts else dict(_NOTHING)
    raise TypeError(f"{type(condition).__name__} is no condition")


def comparable(fields: Fields, name: str) -> Field:
    """Return a field that can be filtered by. Raises ``TypeError``."""
    field = fields.get(name)
    if field is None:
        raise TypeError(f"there is no stored field {name}")
    if field.attribute.kind not in COMPARABLE:
        raise TypeError(f"{name} is a {field.attribute.kind.value}: it cannot be filtered or sorted by")
    return field


def ordered(field: Field) -> Field:
    """Return the field, where its values have an order here.

    Raises ``BeyondStore`` for bytes: MongoDB puts the shorter ones first.
    """
    if field.attribute.kind is FieldKind.BYTES:
        raise BeyondStore(f"{field.attribute.name} holds bytes, which this store does not put in order")
    return field


def _compare(field: Field, op: str, value: Any) -> Document:
    if value is None:
        return {field.path: None} if op == "eq" else {field.path: {"$ne": None}}
    bound = operand(field, op, value)
    if op == "ne":
        return {field.path: {"$ne": None} if bound is _NEVER else {"$nin": [bound, None]}}
    return dict(_NOTHING) if bound is _NEVER else {field.path: {_OPERATORS[op]: bound}}


def _among(field: Field, members: tuple[Any, ...]) -> Document:
    bound = [None if member is None else operand(field, "eq", member) for member in members]
    return {field.path: {"$in": [value for value in bound if value is not _NEVER]}}


def _contains(field: Field, condition: Contains) -> Document:
    text = _text(condition.text)
    if text is _NEVER:
        return dict(_NOTHING)
    if condition.at == "start":
        return {field.path: _beginning(text)}
    # The place in bytes is exact for what is UTF-8, and unlike a pattern it has no bound of its own. Of a null it is
    # null, which sorts before 0.
    return {"$expr": {"$gte": [{"$indexOfBytes": [f"${field.path}", {"$literal": text}]}, 0]}}


def _beginning(text: str) -> Document:
    following = _following(text)
    return {"$gte": text} if following is None else {"$gte": text, "$lt": following}


def _following(text: str) -> str | None:
    """Return the first text behind all that begin with this one, or None where there is none."""
    text = text.rstrip(_LAST)
    if not text:
        return None
    last = ord(text[-1]) + 1
    return text[:-1] + chr(0xE000 if last == 0xD800 else last)


def _compare_fields(left: Field, op: str, right: Field) -> Document:
    if op not in ("eq", "ne"):
        left, right = ordered(left), ordered(right)
    return {
        "$and": [
            {left.path: {"$ne": None}},
            {right.path: {"$ne": None}},
            {"$expr": {_OPERATORS[op]: [f"${left.path}", f"${right.path}"]}},
        ]
    }


def operand(field: Field, op: str, value: Any) -> Any:
    """Return a value of a condition as it is compared with a field's, or ``_NEVER``. Raises ``NotComparable``."""
    attribute = field.attribute
    if isinstance(value, Secret):
        value = value.reveal()
    if op not in ("eq", "ne"):
        ordered(field)
    if attribute.kind is FieldKind.ENUM:
        bound = _member(attribute.base, op, value)
    elif attribute.kind in (FieldKind.INTEGER, FieldKind.DECIMAL):
        bound = _number(op, value, attribute.places if attribute.kind is FieldKind.DECIMAL else None)
    else:
        bound = _PLAIN[attribute.kind](value)
    if bound is _NEVER and op not in ("eq", "ne"):
        what = type(value).__name__
        raise NotComparable(f"{attribute.name} is a {attribute.kind.value}: a {what} has no order with it")
    return bound


def _member(base: type[Enum], op: str, value: Any) -> Any:
    """A member of an enum that is a text or a number equals that; of a plain one, nothing but itself."""
    if isinstance(value, base):
        value = value.value
    elif not issubclass(base, str | int):
        return _NEVER
    return _number(op, value, None) if isinstance(value, int) and not isinstance(value, bool) else _text(value)


def _number(op: str, value: Any, places: int | None) -> Any:
    """Bind a number; one that the field cannot hold keeps its place between those that it can."""
    if isinstance(value, bool | int):
        bound = int(value)
        return Int64(bound) if INT_MIN <= bound <= INT_MAX else _beyond(op, bound > 0)
    if not isinstance(value, Decimal | float):
        return _NEVER
    if math.isnan(value):
        return _NEVER
    if math.isinf(value) or not -INT_MAX <= value <= INT_MAX:
        return _beyond(op, value > 0)
    steps, rest = _steps(Decimal(value), places or 0)
    if rest and op in ("eq", "ne"):
        return _NEVER
    if rest and op in ("ge", "lt"):
        steps += 1
    return Decimal128(Decimal(steps).scaleb(-(places or 0))) if abs(steps) < _WIDE else _beyond(op, steps > 0)


def _steps(value: Decimal, places: int) -> tuple[int, bool]:
    """Return how many whole steps of 10**-places a number is, rounded down, and whether there is a rest."""
    if value.copy_abs() < _TINY:  # before an integer of a million digits is made of 1e-1000000
        return (-1 if value < 0 else 0), value != 0
    scaled = Fraction(value) * 10**places
    steps = math.floor(scaled)
    return steps, steps != scaled


def _beyond(op: str, above: bool) -> Any:
    if op in ("eq", "ne"):
        return _NEVER
    return math.inf if above else -math.inf


def _float(value: Any) -> Any:
    if isinstance(value, int) and INT_MIN <= value <= INT_MAX:
        return Int64(value)
    if not isinstance(value, int | float | Decimal):
        return _NEVER
    try:
        made = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return _NEVER if math.isnan(made) else made


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        return _NEVER
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return _NEVER  # no stored text has a lone surrogate
    return str(value.value) if isinstance(value, Enum) else value


def _boolean(value: Any) -> Any:
    return bool(value) if isinstance(value, int | float | Decimal) and value in (0, 1) else _NEVER


def _moment(value: Any) -> Any:
    return Int64(microseconds(value)) if isinstance(value, datetime) and value.tzinfo is not None else _NEVER


def _date(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else _NEVER


_PLAIN: Mapping[FieldKind, Callable[[Any], Any]] = {
    FieldKind.STRING: _text,
    FieldKind.FLOAT: _float,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.UUID: lambda value: value if isinstance(value, UUID) else _NEVER,
    FieldKind.DATETIME: _moment,
    FieldKind.DATE: _date,
    FieldKind.TIME: lambda value: time_text(value) if isinstance(value, time) else _NEVER,
    FieldKind.BYTES: lambda value: bytes(value) if isinstance(value, bytes | bytearray) else _NEVER,
}
