"""What a value of a condition becomes when it is compared with a column: the store's answer must be Python's.

A value of another type than the column's equals nothing; a number between two that the column can hold, or beyond them,
keeps its place in the order. Where no stored value can be compared with one, ``Off`` says on which side of them it is,
and the condition is decided without asking the database. How a value of the column's own type is bound is the
dialect's part.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, auto
from typing import Any

from mainstay.model.conditions import OPERATORS
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN, Secret

Operand = Callable[[Any], Any]
"""Takes a value of a condition and returns what is bound, or where it lies off the stored ones."""

Exact = Callable[[Any], Any]
"""As an operand, but None stands for a value of another type than the field's."""

Fit = Callable[[int], Any]
"""Takes a number in steps of the column's last place and returns what is bound."""


class NotComparable(TypeError):
    """A condition compares a field with a value that has no order with it."""


class Off(Enum):
    """Where a value lies that no stored one can equal."""

    APART = auto()
    BELOW = auto()
    ABOVE = auto()


_HOLDS: Mapping[Off, frozenset[str]] = {
    Off.APART: frozenset({"ne"}),
    Off.BELOW: frozenset({"ne", "gt", "ge"}),
    Off.ABOVE: frozenset({"ne", "lt", "le"}),
}


def holds_off(op: str, off: Off) -> bool:
    """Whether a comparison with such a value is true of every stored one; else it is true of none."""
    return op in _HOLDS[off]


def operands(attribute: Attribute, exact: Callable[[str], Exact] | None, fit: Fit) -> Mapping[str, Operand]:
    """Return what turns a value into a binding, for each operator. It raises ``NotComparable``.

    ``exact`` gives what binds values of the field's own type for an operator (None: they have no order), ``fit`` what
    binds numbers.
    """
    if attribute.kind in (FieldKind.INTEGER, FieldKind.BOOLEAN, FieldKind.DECIMAL):
        places = attribute.places if attribute.kind is FieldKind.DECIMAL else 0
        made = {op: _number(op, places, fit) for op in OPERATORS}
    elif attribute.kind is FieldKind.ENUM and issubclass(attribute.base, int):
        made = {op: _number(op, 0, fit) for op in OPERATORS}
    elif attribute.kind is FieldKind.ENUM:
        made = {op: _typed(op, attribute, _member(attribute.base)) for op in OPERATORS}
    elif exact is None:
        made = dict.fromkeys(OPERATORS, _refuse(attribute))
    else:
        made = {op: _typed(op, attribute, exact(op)) for op in OPERATORS}
    if attribute.secret:
        return {op: _revealed(operand) for op, operand in made.items()}
    return made


def _refuse(attribute: Attribute) -> Operand:
    def refuse(_: Any) -> Any:
        raise NotComparable(f"{attribute.name} is a {attribute.kind.value}, which cannot be compared")

    return refuse


def _revealed(operand: Operand) -> Operand:
    return lambda value: operand(value.reveal() if isinstance(value, Secret) else value)


def _typed(op: str, attribute: Attribute, exact: Exact) -> Operand:
    """Bind a value of the field's own type; another equals nothing, and has no order with it."""

    def operand(value: Any) -> Any:
        bound = exact(value)
        if bound is not None:
            return bound
        if op in ("eq", "ne"):
            return Off.APART
        raise NotComparable(
            f"{attribute.name} is a {attribute.kind.value}: a {type(value).__name__} has no order with it"
        )

    return operand


def _number(op: str, places: int, fit: Fit) -> Operand:
    """Bind a number in steps of ``places``; one between two steps is moved to its neighbour."""

    def operand(value: Any) -> Any:
        if isinstance(value, bool | int):
            return _within(int(value) * 10**places, fit)
        if isinstance(value, Decimal | float):
            return _fraction(op, Decimal(value), places, fit) if math.isfinite(value) else _infinite(op, value)
        if op in ("eq", "ne"):
            return Off.APART
        raise NotComparable(f"a number has no order with a {type(value).__name__}")

    return operand


def _within(scaled: int, fit: Fit) -> Any:
    return fit(scaled) if INT_MIN <= scaled <= INT_MAX else _beyond(scaled > 0)


def _fraction(op: str, value: Decimal, places: int, fit: Fit) -> Any:
    if value.adjusted() + places > 40:  # before an integer of a million digits is made of 1e1000000
        return _beyond(value > 0)
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
        return Off.APART
    if rest and op in ("ge", "lt"):
        scaled += 1
    return _within(scaled, fit)


def _beyond(above: bool) -> Off:
    return Off.ABOVE if above else Off.BELOW


def _infinite(op: str, value: Decimal | float) -> Off:
    if math.isnan(value):
        if op in ("eq", "ne"):
            return Off.APART
        raise NotComparable("NaN has no order")
    return _beyond(value > 0)


def _member(base: type[Enum]) -> Exact:
    """A member of a StrEnum equals its text; of a plain one, nothing but itself."""
    if issubclass(base, str):
        return text
    return lambda value: value.value if isinstance(value, base) else None


def text(value: Any) -> str | None:
    """Return a text that can be stored; None for all else."""
    if not isinstance(value, str):
        return None
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return None  # no stored text has a lone surrogate
    return str(value.value) if isinstance(value, Enum) else value


def moment(value: Any, stored: Callable[[datetime], Any]) -> Any:
    """Return a point in time in its stored form; None for all else."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    try:
        return stored(value)
    except OverflowError:  # in UTC it lies before the year 1 or after 9999, and so before or after all that is stored
        return _beyond(value.year != 1)


def is_date(value: Any) -> bool:
    """Whether a value is a date and no point in time."""
    return isinstance(value, date) and not isinstance(value, datetime)


def is_time(value: Any) -> bool:
    """Whether a value is a time of day."""
    return isinstance(value, time)
