"""What a value of a condition becomes when it is compared with a column: the store's answer must be Python's.

A value of another type than the column's equals nothing; a number between two that the column can hold, or beyond them,
keeps its place in the order. Each function takes the value and never binds what SQLite would convert in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from mainstay.adapters.sql.values import clock_time, moment, text_of
from mainstay.model.conditions import OPERATORS
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN, Secret

Operand = Callable[[Any], Any]

NEVER_TEXT = b""
"""Equal to no text and no number, so that ``<>`` is true of every value and ``=`` of none."""

NEVER_BYTES = ""
"""Equal to no bytes."""


class NotComparable(TypeError):
    """A condition compares a field with a value that has no order with it."""


def operands(attribute: Attribute) -> Mapping[str, Operand]:
    """Return what turns a value into a binding, for each operator. It raises ``NotComparable``."""
    exact = _PLAIN.get(attribute.kind)
    if attribute.kind in (FieldKind.INTEGER, FieldKind.BOOLEAN, FieldKind.DECIMAL):
        places = attribute.places if attribute.kind is FieldKind.DECIMAL else 0
        made = {op: _number(op, places) for op in OPERATORS}
    elif attribute.kind is FieldKind.ENUM and issubclass(attribute.base, int):
        made = {op: _number(op, 0) for op in OPERATORS}
    elif attribute.kind is FieldKind.ENUM:
        made = {op: _typed(op, attribute, _member(attribute.base)) for op in OPERATORS}
    elif exact is None:
        made = dict.fromkeys(OPERATORS, _refuse(attribute))
    else:
        made = {op: _typed(op, attribute, exact) for op in OPERATORS}
    if attribute.secret:
        return {op: _revealed(operand) for op, operand in made.items()}
    return made


def _refuse(attribute: Attribute) -> Operand:
    def refuse(_: Any) -> Any:
        raise NotComparable(f"{attribute.name} is a {attribute.kind.value}, which cannot be compared")

    return refuse


def _revealed(operand: Operand) -> Operand:
    return lambda value: operand(value.reveal() if isinstance(value, Secret) else value)


def _typed(op: str, attribute: Attribute, exact: Operand) -> Operand:
    """Bind a value of the field's own type; another equals nothing, and has no order with it."""
    never = NEVER_BYTES if attribute.kind is FieldKind.BYTES else NEVER_TEXT

    def operand(value: Any) -> Any:
        bound = exact(value)
        if bound is not None:
            return bound
        if op in ("eq", "ne"):
            return never
        raise NotComparable(
            f"{attribute.name} is a {attribute.kind.value}: a {type(value).__name__} has no order with it"
        )

    return operand


def _number(op: str, places: int) -> Operand:
    """Bind a number as an integer scaled by ``places``; one between two integers is moved to its neighbour."""

    def operand(value: Any) -> Any:
        if type(value) is int and not places:
            return value if INT_MIN <= value <= INT_MAX else _beyond(op, value > 0)
        if isinstance(value, bool | int):
            scaled = int(value) * 10**places
        elif isinstance(value, Decimal | float):
            if not math.isfinite(value):
                return _infinite(op, value)
            return _fraction(op, Decimal(value), places)
        elif op in ("eq", "ne"):
            return NEVER_TEXT
        else:
            raise NotComparable(f"a number has no order with a {type(value).__name__}")
        return scaled if INT_MIN <= scaled <= INT_MAX else _beyond(op, scaled > 0)

    return operand


def _fraction(op: str, value: Decimal, places: int) -> Any:
    if value.adjusted() + places > 40:  # before an integer of a million digits is made of 1e1000000
        return _beyond(op, value > 0)
    sign, digits, exponent = value.as_tuple()
    shift = int(exponent) + places
    whole = int("".join(map(str, digits))) * (-1 if sign else 1)
    if shift >= 0:
        scaled, rest = whole * 10**shift, 0
    elif -shift > len(digits) + 1:
        scaled, rest = (-1 if whole < 0 else 0), whole
    else:
        scaled, rest = divmod(whole, 10**-shift)
    if rest and op in ("eq", "ne"):
        return NEVER_TEXT
    if rest and op in ("ge", "lt"):
        scaled += 1
    return scaled if INT_MIN <= scaled <= INT_MAX else _beyond(op, scaled > 0)


def _beyond(op: str, above: bool) -> Any:
    if op in ("eq", "ne"):
        return NEVER_TEXT
    return math.inf if above else -math.inf


def _infinite(op: str, value: Decimal | float) -> Any:
    if math.isnan(value):
        if op in ("eq", "ne"):
            return NEVER_TEXT
        raise NotComparable("NaN has no order")
    return _beyond(op, value > 0)


def _text(value: Any) -> str | None:
    if not isinstance(value, str):
        return None
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return None  # no stored text has a lone surrogate
    return str(value.value) if isinstance(value, Enum) else value


def _member(base: type[Enum]) -> Operand:
    """A member of a StrEnum equals its text; of a plain one, nothing but itself."""
    if issubclass(base, str):
        return _text
    return lambda value: value.value if isinstance(value, base) else None


def _float(value: Any) -> float | int | None:
    """SQLite compares a float and an integer of 64 bits exactly; other numbers are rounded to the nearest float."""
    if isinstance(value, int) and INT_MIN <= value <= INT_MAX:
        return int(value)
    if not isinstance(value, int | float | Decimal):
        return None
    try:
        made = float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
    return None if math.isnan(made) else made


def _moment(value: Any) -> str | None:
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    try:
        return moment(value)
    except OverflowError:  # in UTC it lies before the year 1 or after 9999, and so before or after all that is stored
        return "" if value.year == 1 else "~"


def _date(value: Any) -> str | None:
    return value.isoformat() if isinstance(value, date) and not isinstance(value, datetime) else None


_PLAIN: Mapping[FieldKind, Operand] = {
    FieldKind.STRING: _text,
    FieldKind.FLOAT: _float,
    FieldKind.UUID: lambda value: text_of(value) if isinstance(value, UUID) else None,
    FieldKind.DATETIME: _moment,
    FieldKind.DATE: _date,
    FieldKind.TIME: lambda value: clock_time(value) if isinstance(value, time) else None,
    FieldKind.BYTES: lambda value: bytes(value) if isinstance(value, bytes | bytearray) else None,
}
