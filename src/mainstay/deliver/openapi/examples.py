"""Examples made of schemas: what a field declares, else a plain value that its rules allow; the same on every run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mainstay.deliver.openapi.schemas import Schema

NONE: Any = object()
"""There is no example: a pattern that no plain text matches, for instance."""

_FORMATS = {
    "uuid": "0199c0de-0000-7000-8000-000000000001",
    "date-time": "2026-01-31T09:30:00Z",
    "date": "2026-01-31",
    "time": "09:30:00Z",
    "email": "ann@example.com",
    "uri": "https://example.com/",
    "decimal": "9.90",
}
_PLAIN = ("a", "A", "1", "ab", "AB", "12", "abc", "ABC", "123", "a1", "A1", "A-1", "a-1", "", "Abc", "abcd", "1234")
_DEPTH = 6


class Examples:
    """Makes the examples of one document. ``schemas`` are its components."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = schemas

    def whole(self, schema: Schema) -> Any:
        """Return an example with every field that everybody may read."""
        return self._value(schema, "", True, _DEPTH)

    def least(self, schema: Schema) -> Any:
        """Return an example with what is required, and what has an example of its own."""
        return self._value(schema, "", False, _DEPTH)

    def _value(self, schema: Schema, name: str, whole: bool, depth: int) -> Any:
        if depth == 0:
            return NONE
        if "$ref" in schema:
            return self._value(self._schemas[schema["$ref"].rpartition("/")[2]], name, whole, depth - 1)
        for key in ("examples", "enum"):
            if schema.get(key):
                return schema[key][0]
        if "anyOf" in schema:
            return self._value(schema["anyOf"][0], name, whole, depth)
        type_ = schema.get("type")
        type_ = type_[0] if isinstance(type_, list) else type_
        if type_ == "object":
            return self._object(schema, whole, depth)
        if type_ == "array":
            return self._array(schema, name, whole, depth)
        if type_ == "string":
            return _text(schema, name)
        if type_ in ("integer", "number"):
            return _number(schema)
        return True if type_ == "boolean" else "value"

    def _object(self, schema: Schema, whole: bool, depth: int) -> Any:
        required = schema.get("required", ())
        made: dict[str, Any] = {}
        for name, inner in schema.get("properties", {}).items():
            own = whole or name in required or (inner.get("examples") and not required)
            if not own or _is_kept(inner):
                continue
            value = self._value(inner, name, whole, depth - 1)
            if value is NONE and name in required:
                return NONE
            if value is not NONE:
                made[name] = value
        if not made and not whole and schema.get("properties"):
            return self._first(schema, depth)
        return made

    def _first(self, schema: Schema, depth: int) -> Any:
        """Return an example of one field, of an object that requires none."""
        for name, inner in schema["properties"].items():
            value = NONE if _is_kept(inner) else self._value(inner, name, False, depth - 1)
            if value is not NONE:
                return {name: value}
        return {}

    def _array(self, schema: Schema, name: str, whole: bool, depth: int) -> Any:
        if schema.get("minItems", 0) > 1 or schema.get("maxItems") == 0:
            return NONE
        value = self._value(schema.get("items", {}), name.removesuffix("s"), whole, depth - 1)
        return [value] if value is not NONE else NONE if schema.get("minItems") else []


def _is_kept(schema: Schema) -> bool:
    """Whether a field is for some callers only, and no example for all."""
    return "Read by:" in schema.get("description", "") or "Written by:" in schema.get("description", "")


def _text(schema: Schema, name: str) -> Any:
    least, most = schema.get("minLength", 0), schema.get("maxLength", 10**6)
    words = name.replace("_", " ").capitalize() or "Text"
    known = _FORMATS.get(schema.get("format", ""))
    pattern = schema.get("pattern")
    for text in (known, words, words.ljust(least, "."), words[:most], *_PLAIN, "0", "a" * least, "A" * least):
        if text is None or not least <= len(text) <= most:
            continue
        if known is not None and text is not known and schema["format"] != "decimal":
            continue
        if pattern is None or re.search(pattern, text):
            return text
    return NONE


def _number(schema: Schema) -> Any:
    step = schema.get("multipleOf", 1)
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + ("exclusiveMinimum" in schema))
    value = max(1, low)
    high = schema.get("maximum", schema.get("exclusiveMaximum", value + 1) - ("exclusiveMaximum" in schema))
    value = min(value, high)
    value += -value % step
    return value if value <= high else NONE
