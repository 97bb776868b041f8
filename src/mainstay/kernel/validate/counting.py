"""How many members a decoded value must have had on the wire, at least: the cheap half of finding members given twice.

A decoder keeps the last of two members of one name. Where the text has as many keys as the value shows for certain,
none was given twice; else the text is looked at exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from mainstay.model.schema import Attribute, FieldKind, Shapes

Count = Callable[[Any], int]


def count_any(value: Any) -> int:
    """Count the members of all objects in a value of no declared type."""
    if isinstance(value, dict):
        return len(value) + sum(map(count_any, value.values()))
    if isinstance(value, list):
        return sum(map(count_any, value))
    return 0


class Counters:
    """Makes counters of structs; one that refers to itself is made once."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._made: dict[Any, Callable[[], int | Count]] = {}

    def of(self, struct: Any) -> int | Count:
        """Return the number of members, where it is always the same, or a function that counts them."""
        if struct in self._made:
            return lambda value: _apply(self._made[struct](), value)
        counted: list[int | Count] = []
        self._made[struct] = lambda: counted[0]
        counted.append(self._struct(struct))
        return counted[0]

    def _struct(self, struct: Any) -> int | Count:
        shape = self._shapes.of(struct)
        fixed = 1 if struct.__struct_config__.tag is not None else 0
        parts: list[Count] = []
        for info in msgspec.structs.fields(struct):
            attribute = shape.by_name[info.name]
            below = self._value(attribute)
            if info.required:
                fixed += 1
                if isinstance(below, int) and not attribute.optional:
                    fixed += below
                elif below:
                    parts.append(_required(info.name, below, optional=attribute.optional))
            else:
                default = info.default_factory() if info.default is msgspec.NODEFAULT else info.default
                parts.append(_optional(info.name, default, below))
        return _sum(fixed, parts) if parts else fixed

    def _value(self, attribute: Attribute) -> int | Count:
        """Return what is below a value of a field, by the same rule."""
        if attribute.secret:
            return 0
        if attribute.kind is FieldKind.STRUCT:
            return self.of(attribute.base)
        if attribute.kind is FieldKind.ANY:
            return count_any
        items: int | Count = count_any if attribute.items is None else self._value(attribute.items)
        if attribute.kind is FieldKind.LIST:
            nulls = attribute.items is None or attribute.items.optional
            return _items(items, nulls=nulls) if items else 0
        if attribute.kind is FieldKind.MAP:
            return _entries(items)
        return 0


def _apply(below: int | Count, value: Any) -> int:
    if value is None or value is msgspec.UNSET:
        return 0
    return below if isinstance(below, int) else below(value)


def _required(name: str, below: int | Count, *, optional: bool) -> Count:
    get = attrgetter(name)
    if optional or isinstance(below, int):
        return lambda value: _apply(below, get(value))
    return lambda value: below(get(value))


def _optional(name: str, default: Any, below: int | Count) -> Count:
    def count(value: Any) -> int:
        held = getattr(value, name)
        return 0 if held is default or held == default else 1 + _apply(below, held)

    return count


def _items(below: int | Count, *, nulls: bool) -> Count:
    if nulls or not isinstance(below, int):
        return lambda values: sum(_apply(below, value) for value in values)
    return lambda values: below * len(values)


def _entries(below: int | Count) -> Count:
    def count(entries: Mapping[str, Any]) -> int:
        return len(entries) + (sum(_apply(below, value) for value in entries.values()) if below else 0)

    return count


def _sum(fixed: int, parts: list[Count]) -> Count:
    if len(parts) == 1:
        only = parts[0]
        return lambda value: fixed + only(value)
    every = tuple(parts)
    return lambda value: fixed + sum([part(value) for part in every])
