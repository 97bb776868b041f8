"""What the dialects share: the checks of fields that no database could store, and the bindings of typed drivers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from typing import Any

from mainstay.adapters.sql import values
from mainstay.adapters.sql.dialect import MAX_DIGITS, TableFault, Take
from mainstay.adapters.sql.operands import Exact, Fit, Off, is_date, is_time, moment
from mainstay.model.schema import Attribute, FieldKind

DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})
"""The kinds that are stored as JSON text."""


def check_digits(attribute: Attribute) -> None:
    """Raise ``TableFault`` where a decimal cannot be stored exactly."""
    if not 0 <= attribute.places <= attribute.digits <= MAX_DIGITS:
        raise TableFault(
            f"digits={attribute.digits}, places={attribute.places} cannot be stored exactly: "
            f"use at most {MAX_DIGITS} digits, and no more places than digits"
        )


def enum_values(enumeration: type[Enum]) -> type:
    """Return the type of an enumeration's values. Raises ``TableFault`` where they have none in common."""
    held = {type(member.value) for member in enumeration}
    if held in ({int}, {str}):
        return held.pop()
    raise TableFault(f"the values of {enumeration.__name__} must be all strings or all integers to be stored")


def unstorable(kind: FieldKind) -> TableFault:
    """Return the fault of a field whose kind has no column."""
    return TableFault(f"a {kind.value} cannot be stored in a column")


def float_exact(op: str) -> Exact:
    """For a database that compares floats with floats only: an integer between two is moved to one of them."""

    def exact(value: Any) -> Any:
        if not isinstance(value, int):
            return values.nearest(value)
        made = values.nearest(value)
        if made is None or made == value:
            return made
        if op in ("eq", "ne"):
            return Off.APART
        if op in ("gt", "le"):  # above the greatest float below it, and not above that one
            return made if made < value else math.nextafter(made, -math.inf)
        return made if made > value else math.nextafter(made, math.inf)

    return exact


TYPED: Mapping[FieldKind, Callable[[str], Exact]] = MappingProxyType(
    {
        FieldKind.FLOAT: float_exact,
        FieldKind.DATETIME: lambda _: lambda value: moment(value, values.in_utc),
        FieldKind.DATE: lambda _: lambda value: value if is_date(value) else None,
        FieldKind.TIME: lambda _: lambda value: value if is_time(value) else None,
        FieldKind.BYTES: lambda _: lambda value: bytes(value) if isinstance(value, bytes | bytearray) else None,
    }
)
"""What binds values for a driver that takes them themselves."""


def unnamed(value: Any) -> Any:
    """Return what binds a value whose column is not known, for such a driver. Raises ``Unstorable``."""
    if isinstance(value, datetime):
        return values.in_utc(value)
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bytes | Decimal | date | time):
        return value
    raise values.Unstorable(
        f"a {type(value).__name__} has no stored form by itself: compare it with a column of its type"
    )


def number_fit(attribute: Attribute) -> Fit:
    """Return what binds a number, for a driver that takes truth values and decimals themselves."""
    if attribute.kind is FieldKind.BOOLEAN:
        return _truth
    if attribute.kind is not FieldKind.DECIMAL:
        return int
    places = attribute.places
    return lambda scaled: Decimal(scaled).scaleb(-places)


def _truth(number: int) -> bool | Off:
    if number in (0, 1):
        return number == 1
    return Off.ABOVE if number > 1 else Off.BELOW


def summed(attribute: Attribute, decode: Callable[[Any], Any]) -> Take:
    """Return what reads a sum that the database gives as a decimal number of any size."""
    whole = attribute.kind is not FieldKind.DECIMAL

    def take(cells: list[Any]) -> Any:
        cell = cells.pop()
        return None if cell is None else decode(int(cell) if whole else cell)

    return take
