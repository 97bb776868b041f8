"""One form for each value, so that every store gives back what was put in, to the digit and the microsecond."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Any

from mainstay.model.schema import Attribute, FieldKind

Normaliser = Callable[[Any], Any]
"""Takes a value that was checked and is not None. Raises ``OverflowError`` where it has no normal form."""


def normaliser_of(attribute: Attribute) -> Normaliser | None:
    """Return what brings a field's values to their normal form, or None where each value has one form only.

    A Decimal has exactly its field's places, a datetime is in UTC, a float is a float and no int,
    and a collection is of the class that its field declares.
    """
    if attribute.kind is FieldKind.DECIMAL:
        return _decimal(attribute.digits, attribute.places)
    if attribute.kind is FieldKind.DATETIME:
        return _utc
    if attribute.kind is FieldKind.LIST:
        return _collection(attribute.base)
    return _float if attribute.kind is FieldKind.FLOAT else None


def _decimal(digits: int, places: int) -> Normaliser:
    unit = Decimal(1).scaleb(-places)
    context = Context(prec=max(28, digits + 1))
    zero = Decimal(0).quantize(unit)

    def normal(value: Decimal) -> Decimal:
        if not value:
            return zero
        return value if value.same_quantum(unit) else value.quantize(unit, context=context)

    return normal


def _collection(kind: type) -> Normaliser:
    def normal(value: Any) -> Any:
        return value if type(value) is kind else kind(value)

    return normal


def _utc(value: datetime) -> datetime:
    return value if value.tzinfo is UTC else value.astimezone(UTC)


def _float(value: float) -> float:
    return value + 0.0
