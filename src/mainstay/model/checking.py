"""Checks of values against what their fields declare, one fault for each broken rule.

msgspec checks types and bounds as it decodes; what it cannot (bounds of a Decimal, U+0000) and what never was decoded
(a row that a use case made) is checked here. A fault says what is expected and never repeats the value.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any

from mainstay.model.problem import Fault
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN, Secret

Broken = tuple[str, str] | None
"""The code and the detail of a broken rule."""

NULL_CHARACTER = ("null_character", "may not contain U+0000")
NOT_FINITE = ("not_finite", "must be a finite number")
SURROGATE = ("surrogate", "may not contain a lone surrogate")

_PYTHON: dict[FieldKind, tuple[type, ...]] = {
    FieldKind.FLOAT: (float, int),
    FieldKind.LIST: (list, tuple, set, frozenset),
    FieldKind.ANY: (object,),
}
_EXPECTED = {
    FieldKind.STRING: "a string",
    FieldKind.INTEGER: "an integer",
    FieldKind.FLOAT: "a number",
    FieldKind.BOOLEAN: "true or false",
    FieldKind.DECIMAL: 'a decimal number as a string, such as "12.50"',
    FieldKind.DATETIME: 'a time with a zone (RFC 3339), such as "2026-01-31T09:30:00Z"',
    FieldKind.DATE: 'a date (RFC 3339), such as "2026-01-31"',
    FieldKind.TIME: 'a time of day (RFC 3339), such as "09:30:00"',
    FieldKind.UUID: "a UUID",
    FieldKind.BYTES: "a string in base64",
    FieldKind.STRUCT: "an object",
    FieldKind.LIST: "an array",
    FieldKind.MAP: "an object",
    FieldKind.MANY: "an array",
    FieldKind.ONE: "an object",
    FieldKind.ANY: "a JSON value",
}
_SHOWN_MEMBERS = 50


def expected(attribute: Attribute) -> str:
    """Say what a value of a field must be: "an integer", 'one of "new", "open"'."""
    if attribute.kind is not FieldKind.ENUM:
        return _EXPECTED[attribute.kind]
    members = [f'"{m.value}"' if isinstance(m.value, str) else str(m.value) for m in attribute.base]
    more = ", ..." if len(members) > _SHOWN_MEMBERS else ""
    return f"one of {', '.join(members[:_SHOWN_MEMBERS])}{more}"


def check_value(attribute: Attribute, value: Any, pointer: str, faults: list[Fault]) -> None:
    """Append the faults of one value of a field."""
    if value is None:
        if not attribute.optional and attribute.kind is not FieldKind.ANY:
            faults.append(Fault("null", "may not be null", pointer=pointer))
        return
    if isinstance(value, Secret):
        value = value.reveal()
    types = _PYTHON.get(attribute.kind) or (attribute.base,)
    if not isinstance(value, types) or (isinstance(value, bool) and attribute.kind not in _WITH_BOOL):
        faults.append(Fault("type", f"must be {expected(attribute)}", pointer=pointer))
        return
    check = _CHECKS.get(attribute.kind)
    fault = None if check is None else check(attribute, value)
    if fault is not None:
        faults.append(Fault(fault[0], fault[1], pointer=pointer))
    elif attribute.items is not None:
        _check_items(attribute.items, attribute.kind, value, pointer, faults)
    elif attribute.kind in _BARE and (fault := _any(attribute, value)) is not None:
        faults.append(Fault(fault[0], fault[1], pointer=pointer))


_WITH_BOOL = frozenset({FieldKind.BOOLEAN, FieldKind.ANY})
_BARE = frozenset({FieldKind.LIST, FieldKind.MAP})


def _check_items(items: Attribute, kind: FieldKind, value: Any, pointer: str, faults: list[Fault]) -> None:
    if kind is FieldKind.LIST:
        for index, item in enumerate(value):
            check_value(items, item, f"{pointer}/{index}", faults)
    else:
        for name, item in value.items():
            below = f"{pointer}/{pointer_step(name)}"
            if isinstance(name, str) and not isinstance(name, Enum) and (fault := text_fault(name)) is not None:
                faults.append(Fault(*fault, pointer=below))
            check_value(items, item, below, faults)


def pointer_step(name: Any) -> str:
    """Return a key as a step of a JSON Pointer (RFC 6901)."""
    return str(name).replace("~", "~0").replace("/", "~1")


def bounds_fault(attribute: Attribute, value: Any) -> Broken:
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
    for meta in attribute.metas:
        if (fault := _meta_bounds_fault(meta, value)) is not None:
            return fault
    return None


def _meta_bounds_fault(meta: Any, value: Any) -> Broken:
    """Return the same for bounds that stand in ``Annotated``, as a team may write them too."""
    if meta.ge is not None and value < meta.ge:
        return "too_small", f"must be at least {meta.ge}"
    if meta.gt is not None and value <= meta.gt:
        return "too_small", f"must be greater than {meta.gt}"
    if meta.le is not None and value > meta.le:
        return "too_large", f"must be at most {meta.le}"
    if meta.lt is not None and value >= meta.lt:
        return "too_large", f"must be less than {meta.lt}"
    if meta.multiple_of is not None and value % meta.multiple_of != 0:
        return "multiple_of", f"must be a multiple of {meta.multiple_of}"
    return None


def _integer(attribute: Attribute, value: int) -> Broken:
    if value < INT_MIN:
        return "too_small", "must fit 64 bits"
    if value > INT_MAX:
        return "too_large", "must fit 64 bits"
    return bounds_fault(attribute, value)


def _float(attribute: Attribute, value: float) -> Broken:
    if not math.isfinite(value):
        return NOT_FINITE
    return bounds_fault(attribute, value)


def decimal_fault(attribute: Attribute, value: Decimal) -> Broken:
    """Return code and detail of a Decimal that is not finite, has too many digits or places, or is out of bounds.

    Zeros behind the last place do not count. Nothing here depends on the precision of the thread's decimal context.
    """
    if not value.is_finite():
        return NOT_FINITE
    whole = attribute.digits - attribute.places
    if value and value.adjusted() >= whole:
        return "too_many_digits", f"must have at most {whole} digits before the point"
    _, digits, exponent = value.as_tuple()
    surplus = -int(exponent) - attribute.places
    if surplus > 0 and value and any(digits[-surplus:]):
        return "too_many_places", f"must have at most {attribute.places} digits after the point"
    return bounds_fault(attribute, value)


def text_fault(value: str) -> Broken:
    """Return code and detail of text that JSON, Python and the stores do not agree on."""
    if "\x00" in value:
        return NULL_CHARACTER
    if not value.isascii() and any("\ud800" <= c <= "\udfff" for c in value):
        return SURROGATE
    return None


def _string(attribute: Attribute, value: str) -> Broken:
    fault = text_fault(value) or length_fault(attribute, value)
    if fault is not None:
        return fault
    spec = attribute.spec
    if spec.pattern is not None and re.search(rf"^(?a:{spec.pattern})\Z", value) is None:
        return "pattern", f"must match {spec.pattern}"
    for meta in attribute.metas:
        if meta.pattern is not None and re.search(meta.pattern, value) is None:
            return ("format", f"must be of the format {attribute.format}") if attribute.format else _no_match(meta)
    return None


def _no_match(meta: Any) -> Broken:
    return "pattern", f"must match {meta.pattern}"


def length_fault(attribute: Attribute, value: Any) -> Broken:
    """Return code and detail of something that is too short or too long."""
    bounds: Any
    for bounds in (attribute.spec, *attribute.metas):
        if bounds.min_length is not None and len(value) < bounds.min_length:
            return "too_short", f"must be at least {bounds.min_length} long"
        if bounds.max_length is not None and len(value) > bounds.max_length:
            return "too_long", f"must be at most {bounds.max_length} long"
    return None


def _datetime(_attribute: Attribute, value: datetime) -> Broken:
    return None if value.tzinfo is not None else ("zone", "must have a time zone")


def _any(_attribute: Attribute, value: Any) -> Broken:
    """Check a JSON value of no declared type, whatever it is nested of."""
    pending = [value]
    while pending:
        held = pending.pop()
        fault = None
        if isinstance(held, str):
            fault = text_fault(held)
        elif isinstance(held, int):
            fault = None if INT_MIN <= held <= INT_MAX else ("too_large", "must fit 64 bits")
        elif isinstance(held, float):
            fault = None if math.isfinite(held) else NOT_FINITE
        elif isinstance(held, list | tuple | set | frozenset):
            pending.extend(held)
        elif isinstance(held, Mapping):
            pending.extend(held)
            pending.extend(held.values())
        if fault is not None:
            return fault
    return None


_CHECKS: dict[FieldKind, Any] = {
    FieldKind.INTEGER: _integer,
    FieldKind.FLOAT: _float,
    FieldKind.DECIMAL: decimal_fault,
    FieldKind.STRING: _string,
    FieldKind.BYTES: length_fault,
    FieldKind.LIST: length_fault,
    FieldKind.MAP: length_fault,
    FieldKind.DATETIME: _datetime,
    FieldKind.ANY: _any,
}
