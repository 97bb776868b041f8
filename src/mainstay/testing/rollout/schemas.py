"""Checks of values against the schemas of a contract (JSON Schema 2020-12, the keywords that contracts use)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

Schema = Mapping[str, Any]


class Judge:
    """Checks values. ``components`` are the schemas that others refer to, by name."""

    def __init__(self, components: Mapping[str, Schema]) -> None:
        self._components: Mapping[str, Schema] = components

    def fault(self, schema: Schema, value: Any, at: str = "") -> str | None:
        """Return the first thing in which a value is not what a schema says, or None. ``at`` is a JSON Pointer."""
        for keyword, told in schema.items():
            check = CHECKS.get(keyword)
            found = None if check is None else check(self, told, value, schema, at)
            if found is not None:
                return found
        return None

    def resolved(self, schema: Schema) -> tuple[str, Schema]:
        """Return the component that a schema refers to, with its name; itself without a name if to none."""
        name = ""
        while "$ref" in schema:
            name = str(schema["$ref"]).rpartition("/")[2]
            schema = self._components[name]
        return name, schema

    def properties(self, name: str) -> frozenset[str]:
        """Return the names of the properties of a component; none of one that is not there."""
        return frozenset(self._components.get(name, {}).get("properties", ()))


def _is(value: Any, type_: str) -> bool:
    match type_:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
    return isinstance(value, dict)


def _type(_: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
    types = told if isinstance(told, list) else [told]
    return None if any(_is(value, one) for one in types) else f"{at or '/'} is no {' or '.join(types)}"


def _enum(_: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
    return None if value in told else f"{at or '/'} is none of the values that there are"


def _ref(judge: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
    return judge.fault(judge.resolved({"$ref": told})[1], value, at)


def _any_of(judge: Judge, told: Any, value: Any, _: Schema, at: str) -> str | None:
    found = [judge.fault(one, value, at) for one in told]
    return found[0] if found and None not in found else None


def _all_of(judge: Judge, told: Any, value: Any, _: Schema, at: str) -> str | None:
    return next((found for one in told if (found := judge.fault(one, value, at)) is not None), None)


def _required(_: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
    missing = [name for name in told if name not in value] if isinstance(value, dict) else []
    return f"{at}/{missing[0]} is missing" if missing else None


def _properties(judge: Judge, told: Any, value: Any, _: Schema, at: str) -> str | None:
    if not isinstance(value, dict):
        return None
    inner = (judge.fault(one, value[name], f"{at}/{name}") for name, one in told.items() if name in value)
    return next((found for found in inner if found is not None), None)


def _others(judge: Judge, told: Any, value: Any, schema: Schema, at: str) -> str | None:
    if not isinstance(value, dict) or told is True:
        return None
    others = [name for name in value if name not in schema.get("properties", ())]
    if told is False:
        return f"{at}/{others[0]} is in no contract" if others else None
    inner = (judge.fault(told, value[name], f"{at}/{name}") for name in others)
    return next((found for found in inner if found is not None), None)


def _items(judge: Judge, told: Any, value: Any, _: Schema, at: str) -> str | None:
    if not isinstance(value, list):
        return None
    inner = (judge.fault(told, one, f"{at}/{place}") for place, one in enumerate(value))
    return next((found for found in inner if found is not None), None)


def _unique(_: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
    twice = told and isinstance(value, list) and any(one in value[:place] for place, one in enumerate(value))
    return f"{at or '/'} has a member twice" if twice else None


def _pattern(_: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
    wrong = isinstance(value, str) and re.search(_anchored(told), value) is None
    return f"{at or '/'} does not match {told}" if wrong else None


def _anchored(pattern: str) -> str:
    """Return a pattern whose end is the end: in Python ``$`` is before a last line break too."""
    return f"{pattern[:-1]}\\Z" if pattern.endswith("$") and not pattern.endswith("\\$") else pattern


def _bound(fits: Callable[[Any, Any], bool], type_: str, text: str) -> _Check:
    def check(_: Judge, told: Any, value: Any, __: Schema, at: str) -> str | None:
        return f"{at or '/'} {text} {told}" if _is(value, type_) and not fits(value, told) else None

    return check


_Check = Callable[[Judge, Any, Any, Schema, str], str | None]

CHECKS: Mapping[str, _Check] = MappingProxyType(
    {
        "$ref": _ref,
        "type": _type,
        "enum": _enum,
        "anyOf": _any_of,
        "allOf": _all_of,
        "required": _required,
        "properties": _properties,
        "additionalProperties": _others,
        "items": _items,
        "uniqueItems": _unique,
        "pattern": _pattern,
        "minLength": _bound(lambda value, told: len(value) >= told, "string", "is shorter than"),
        "maxLength": _bound(lambda value, told: len(value) <= told, "string", "is longer than"),
        "minItems": _bound(lambda value, told: len(value) >= told, "array", "has fewer members than"),
        "maxItems": _bound(lambda value, told: len(value) <= told, "array", "has more members than"),
        "minimum": _bound(lambda value, told: value >= told, "number", "is less than"),
        "maximum": _bound(lambda value, told: value <= told, "number", "is more than"),
        "exclusiveMinimum": _bound(lambda value, told: value > told, "number", "is not more than"),
        "exclusiveMaximum": _bound(lambda value, told: value < told, "number", "is not less than"),
        "multipleOf": _bound(lambda value, told: value % told == 0, "number", "is no multiple of"),
    }
)
"""The check of each keyword; what has none is an annotation."""
