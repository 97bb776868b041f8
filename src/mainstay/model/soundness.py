"""Quick verdicts on values that break no rule, which nearly every value is.

A verdict is bound to a field once. ``True`` is certain: ``check_value`` would find no fault. ``False`` says nothing but
that ``check_value`` must be asked, which knows every rule and names the one that is broken.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from mainstay.model.checking import decimal_fault
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.values import INT_MAX, INT_MIN

Verdict = Callable[[Any], bool]


def verdict_of(attribute: Attribute) -> Verdict:
    """Return the verdict on the values of a field."""
    make = _VERDICTS.get(attribute.kind)
    if make is None or attribute.items is not None:
        return _ask
    try:
        given = make(attribute)
    except (re.error, TypeError):
        return _ask  # a start-up fault, which is told with its line
    if not attribute.optional:
        return given
    return lambda value: value is None or given(value)


def _ask(_value: Any) -> bool:
    return False


def _bounds(attribute: Attribute, name: str) -> list[Any]:
    """Return what ``field(...)`` and ``Annotated`` say under one name."""
    said = (getattr(source, name) for source in (attribute.spec, *attribute.metas))
    return [bound for bound in said if bound is not None]


def _string(attribute: Attribute) -> Verdict:
    least = max([0, *_bounds(attribute, "min_length")])
    most = min([sys.maxsize, *_bounds(attribute, "max_length")])
    own = [re.compile(rf"^(?a:{attribute.spec.pattern})\Z")] if attribute.spec.pattern is not None else []
    patterns = [*own, *(re.compile(meta.pattern) for meta in attribute.metas if meta.pattern is not None)]
    searches = list(dict.fromkeys(pattern.search for pattern in patterns))

    def plain(value: Any) -> bool:
        return type(value) is str and least <= len(value) <= most and value.isascii() and "\0" not in value

    if not searches:
        return plain
    return lambda value: plain(value) and all([search(value) is not None for search in searches])


def _integer(attribute: Attribute) -> Verdict:
    above, below = _bounds(attribute, "gt"), _bounds(attribute, "lt")
    least = max([INT_MIN, *_bounds(attribute, "ge"), *(bound + 1 for bound in above)])
    most = min([INT_MAX, *_bounds(attribute, "le"), *(bound - 1 for bound in below)])
    if type(least) is not int or type(most) is not int or any(meta.multiple_of for meta in attribute.metas):
        return _ask
    return lambda value: type(value) is int and least <= value <= most


def _decimal(attribute: Attribute) -> Verdict:
    return lambda value: type(value) is Decimal and decimal_fault(attribute, value) is None


def _of(kind: type) -> Callable[[Attribute], Verdict]:
    return lambda _attribute: lambda value: type(value) is kind


def _member(attribute: Attribute) -> Verdict:
    base = attribute.base
    known = isinstance(base, type) and issubclass(base, Enum)
    return (lambda value: type(value) is base) if known else _ask


def _datetime(_attribute: Attribute) -> Verdict:
    return lambda value: type(value) is datetime and value.tzinfo is not None


_VERDICTS: dict[FieldKind, Callable[[Attribute], Verdict]] = {
    FieldKind.STRING: _string,
    FieldKind.INTEGER: _integer,
    FieldKind.DECIMAL: _decimal,
    FieldKind.BOOLEAN: _of(bool),
    FieldKind.UUID: _of(UUID),
    FieldKind.ENUM: _member,
    FieldKind.DATETIME: _datetime,
}
