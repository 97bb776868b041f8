"""Checks of values against what their fields declare, one fault for each broken rule.

msgspec checks types and bounds as it decodes; what it cannot (bounds of a Decimal, U+0000) and what never was decoded
(a row that a use case made) is checked here.
"""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from mainstay.model.problem import Fault
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN, Secret

_PYTHON: dict[FieldKind, tuple[type, ...]] = {
    FieldKind.FLOAT: (float, int),
    FieldKind.LIST: (list, tuple, set, frozenset),
    FieldKind.ANY: (object,),
}


def check_value(attribute: Attribute, value: Any, pointer: str, faults: list[Fault]) -> None:
    """Append the faults of one value of a field."""
    if value is None:
        if not attribute.optional:
            faults.append(Fault("null", "may not be null", pointer=pointer))
        return
    if isinstance(value, Secret):
        value = value.reveal()
    expected = _PYTHON.get(attribute.kind) or (attribute.base,)
    if not isinstance(value, expected) or (isinstance(value, bool) and attribute.kind is not FieldKind.BOOLEAN):
        faults.append(Fault("type", f"must be {_article(attribute.kind.value)}", pointer=pointer))
        return
    fault = _CHECKS.get(attribute.kind, _fine)(attribute, value)
    if fault is not None:
        faults.append(Fault(fault[0], fault[1], pointer=pointer))
    elif attribute.items is not None and attribute.kind is FieldKind.LIST:
        for index, item in enumerate(value):
            check_value(attribute.items, item, f"{pointer}/{index}", faults)


def _article(noun: str) -> str:
    return f"{'an' if noun[0] in 'aeio' else 'a'} {noun}"


def _fine(attribute: Attribute, value: Any) -> tuple[str, str] | None:  # noqa: ARG001 - the form of a check
    return None


def bounds_fault(attribute: Attribute, value: Any) -> tuple[str, str] | None:
    """Return code and detail of a number that is out of its bounds."""
    spec = attribute.spec
    if spec.ge is not None and value < spec.ge:
        return "too_small", f"must be at least {spec.ge}"
    if spec.gt is not None and value <= spec.gt:
        return "too_small", f"must be greater than {spec.gt}"
    if spec.le is not None and value > spec.le:
        return "too_large", f"must be at most {spec.le}"
    if spec.lt is not None and value >= spec.lt:
        return "too_large", f"must be less than {spec.lt}"
    return None


def _integer(attribute: Attribute, value: int) -> tuple[str, str] | None:
    if not INT_MIN <= value <= INT_MAX:
        return "too_large", "must fit 64 bits"
    return bounds_fault(attribute, value)


def _float(attribute: Attribute, value: float) -> tuple[str, str] | None:
    if value != value or value in (float("inf"), float("-inf")):
        return "not_finite", "must be a finite number"
    return bounds_fault(attribute, value)


def decimal_fault(attribute: Attribute, value: Decimal) -> tuple[str, str] | None:
    """Return code and detail of a Decimal that is not finite, has too many digits or places, or is out of bounds."""
    if not value.is_finite():
        return "not_finite", "must be a finite number"
    exponent = value.adjusted()
    whole = attribute.digits - attribute.places
    if value and exponent >= whole:
        return "too_many_digits", f"must have at most {whole} digits before the point"
    places = -int(value.as_tuple().exponent)
    if places > attribute.places and (places > 100 or value != round(value, attribute.places)):
        return "too_many_places", f"must have at most {attribute.places} digits after the point"
    return bounds_fault(attribute, value)


def _string(attribute: Attribute, value: str) -> tuple[str, str] | None:
    if "\x00" in value:
        return "null_character", "may not contain U+0000"
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return "surrogate", "may not contain a lone surrogate"
    length = _length(attribute, value)
    if length is not None:
        return length
    for meta in attribute.metas:
        if meta.pattern is not None and re.search(meta.pattern, value) is None:
            return "pattern", f"must match {attribute.spec.pattern or attribute.format}"
        if meta.max_length is not None and len(value) > meta.max_length:
            return "too_long", f"must be at most {meta.max_length} long"
    return None


def _length(attribute: Attribute, value: Any) -> tuple[str, str] | None:
    spec = attribute.spec
    if spec.min_length is not None and len(value) < spec.min_length:
        return "too_short", f"must be at least {spec.min_length} long"
    if spec.max_length is not None and len(value) > spec.max_length:
        return "too_long", f"must be at most {spec.max_length} long"
    return None


def _datetime(attribute: Attribute, value: datetime) -> tuple[str, str] | None:  # noqa: ARG001 - the form of a check
    return None if value.tzinfo is not None else ("zone", "must have a time zone")


_CHECKS: dict[FieldKind, Any] = {
    FieldKind.INTEGER: _integer,
    FieldKind.FLOAT: _float,
    FieldKind.DECIMAL: decimal_fault,
    FieldKind.STRING: _string,
    FieldKind.BYTES: _length,
    FieldKind.LIST: _length,
    FieldKind.MAP: _length,
    FieldKind.DATETIME: _datetime,
}
