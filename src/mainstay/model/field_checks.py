"""Start-up checks of one field: what was said of it fits its type, and its default fits what was said."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import msgspec

from mainstay.model.blueprint import Blueprint
from mainstay.model.checking import check_value
from mainstay.model.fields import MISSING
from mainstay.model.patterns import linear_fault
from mainstay.model.problem import Fault
from mainstay.model.protection_checks import Told, check_protection
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.structs import Entity, wrapped_pattern

_NUMERIC = frozenset({FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DECIMAL})
_SIZED = frozenset({FieldKind.STRING, FieldKind.BYTES, FieldKind.LIST, FieldKind.MAP})
_ON_DELETE = frozenset({"restrict", "cascade", "null"})


def check_field(blueprint: Blueprint, struct: Any, attribute: Attribute) -> None:
    """Note the faults of one field of a struct."""
    subject = f"{struct.__name__}.{attribute.name}"
    found = [*_misfits(attribute), *_reference_misfits(attribute), *_search_misfits(struct, attribute)]
    found += check_protection(struct, attribute)
    if not found:  # what does not fit its type has no sound bounds to compare with
        found = [*_bounds_faults(attribute), *check_patterns(attribute)]
    if not found:
        found = _default_faults(attribute)
    for message, hint in found:
        blueprint.fault(struct, subject, message, hint)


def _misfits(attribute: Attribute) -> Iterator[Told]:
    spec, kind = attribute.spec, attribute.kind.value
    if _bounds(attribute) and attribute.kind not in _NUMERIC:
        yield f"ge, gt, le, lt are for numbers, not for {kind}", None
    if (spec.digits, spec.places) != (None, None) and attribute.kind is not FieldKind.DECIMAL:
        yield f"digits and places are for Decimal, not for {kind}", None
    if attribute.kind is FieldKind.DECIMAL and not 0 <= attribute.places <= attribute.digits <= 18:
        yield "a Decimal has 1 to 18 digits, and no more places than digits", None
    if (spec.min_length, spec.max_length) != (None, None) and attribute.kind not in _SIZED:
        yield f"min_length and max_length are not for {kind}", None
    if spec.pattern is not None and attribute.kind is not FieldKind.STRING:
        yield f"a pattern is for str, not for {kind}", None


def _search_misfits(struct: Any, attribute: Attribute) -> Iterator[Told]:
    if not attribute.spec.searchable:
        return
    if not issubclass(struct, Entity) or attribute.kind is not FieldKind.STRING:
        yield "searchable is for fields of an entity that are str", None
    if attribute.hidden:
        yield "searchable finds rows by what nobody is shown: secret and write_only fields have no words", None


def _reference_misfits(attribute: Attribute) -> Iterator[Told]:
    spec = attribute.spec
    if spec.on_delete not in _ON_DELETE:
        yield f'on_delete="{spec.on_delete}"', 'it is "restrict", "cascade" or "null"'
    if spec.on_delete == "null" and not attribute.optional:
        yield 'on_delete="null" needs a type with | None', None
    if spec.references is not None and attribute.kind is not FieldKind.UUID:
        yield "the field of a reference is a UUID", None


def _bounds(attribute: Attribute) -> dict[str, Any]:
    spec = attribute.spec
    named = {"ge": spec.ge, "gt": spec.gt, "le": spec.le, "lt": spec.lt}
    return {name: bound for name, bound in named.items() if bound is not None}


def _bounds_faults(attribute: Attribute) -> Iterator[Told]:
    spec, bounds = attribute.spec, _bounds(attribute)
    odd = [f"{name}={bound!r}" for name, bound in bounds.items() if not _is_number(bound)]
    if odd:
        yield f"{', '.join(odd)}: a bound is a number", None
        return
    low = [b for name, b in bounds.items() if name in ("ge", "gt")]
    high = [b for name, b in bounds.items() if name in ("le", "lt")]
    if low and high and max(low) > min(high):
        yield "no number is within its bounds", None
    if None not in (spec.min_length, spec.max_length) and (spec.min_length or 0) > (spec.max_length or 0):
        yield "min_length is more than max_length", None


def _is_number(bound: Any) -> bool:
    return type(bound) in (int, float, Decimal) and not math.isnan(bound)


def check_patterns(attribute: Attribute) -> Iterator[Told]:
    """Walk the faults of the patterns of an attribute, and of what it holds."""
    own = attribute.spec.pattern
    if own is not None and (fault := linear_fault(own)) is not None:
        yield f"pattern {own!r}: {fault}", None
    wrapped = None if own is None else wrapped_pattern(own)
    for meta in attribute.metas if attribute.format is None else ():  # those of Email and Url are ours
        if meta.pattern is not None and meta.pattern != wrapped:
            yield from _meta_faults(meta.pattern)
    if attribute.items is not None:
        yield from check_patterns(attribute.items)


def _meta_faults(pattern: str) -> Iterator[Told]:
    """msgspec searches for a pattern anywhere in a string, and ``$`` lets a newline pass."""
    if not (pattern.startswith("^") and pattern.endswith("\\Z")):
        hint = r"write Meta(pattern=r'^...\Z'), or field(pattern='...'), and one of them only"
        yield f"pattern {pattern!r} does not match the whole string", hint
    elif (fault := linear_fault(pattern[1:-2])) is not None:
        yield f"pattern {pattern!r}: {fault}", None


def _default_faults(attribute: Attribute) -> list[Told]:
    default = attribute.spec.default
    if default is MISSING or default is msgspec.UNSET:
        return []
    faults: list[Fault] = []
    check_value(attribute, default, "", faults)
    return [(f"its default {fault.detail}", None) for fault in faults]
