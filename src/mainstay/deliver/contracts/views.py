"""Schemas taken apart, so that two of them can be compared: what kind of value they mean, with which bounds."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import msgspec

from mainstay.deliver.contracts.schemas import DECIMAL
from mainstay.deliver.openapi.schemas import Schema

Bound = tuple[Any, bool]
"""A number, and whether it is itself outside."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a schema says of a value.

    ``kind`` is one in people's words (``anything`` where all is allowed); ``reference`` is the name that it was
    referred to by.
    """

    kind: str
    schema: Schema
    nullable: bool = False
    values: tuple[Any, ...] | None = None
    reference: str | None = None


class Viewer:
    """Looks at the schemas of one document: references in it are followed."""

    def __init__(self, document: Schema) -> None:
        self._document = document

    def root(self) -> View:
        """Return the view of the document itself."""
        return self.of({"$ref": "#"})

    def of(self, schema: Schema) -> View:
        """Return the view of one schema in the document."""
        reference: str | None = None
        nullable = False
        while "$ref" in schema or "anyOf" in schema:
            if "$ref" in schema:
                reference = schema["$ref"]
                schema = self._target(schema["$ref"])
            else:
                others = [one for one in schema["anyOf"] if one != {"type": "null"}]
                nullable = nullable or len(others) < len(schema["anyOf"])
                schema = others[0] if others else {"type": "null"}
        types = schema.get("type", [])
        types = [types] if isinstance(types, str) else list(types)
        values = schema.get("enum")
        nullable = nullable or "null" in types or (values is not None and None in values)
        return View(
            kind=_kind(schema, [one for one in types if one != "null"], values),
            schema=schema,
            nullable=nullable,
            values=None if values is None else tuple(value for value in values if value is not None),
            reference=reference,
        )

    def _target(self, reference: str) -> Schema:
        if reference == "#":
            return {name: value for name, value in self._document.items() if name not in ("$defs", "$id", "$schema")}
        found: Schema = self._document.get("$defs", {}).get(reference.rpartition("/")[2], {})
        return found


def _kind(schema: Schema, types: list[str], values: Any) -> str:
    if not types:
        return "anything" if values is None else "one of several values"
    if types == ["object"]:
        return "object" if "properties" in schema else "map"
    if types == ["string"]:
        if DECIMAL in schema:
            return "decimal"
        if "contentEncoding" in schema:
            return "bytes"
    return " or ".join(types)


def lower(schema: Mapping[str, Any]) -> Bound | None:
    """Return the least value that a schema of a number allows, or None."""
    found = [_bound(schema, name, out, 1) for name, out in _LOWER if name in schema]
    return max(found) if found else None


def upper(schema: Mapping[str, Any]) -> Bound | None:
    """Return the greatest value that a schema of a number allows, or None."""
    found = [_bound(schema, name, out, -1) for name, out in _UPPER if name in schema]
    return min(found, key=lambda bound: (bound[0], not bound[1])) if found else None


_LOWER = (("minimum", False), ("exclusiveMinimum", True))
_UPPER = (("maximum", False), ("exclusiveMaximum", True))


def _bound(schema: Mapping[str, Any], name: str, out: bool, inwards: int) -> Bound:
    value = schema[name]
    if out and "integer" in schema.get("type", ()):
        return value + inwards, False
    return Decimal(value) if isinstance(value, str) else value, out


def written(bound: Bound | None, open_: str) -> str:
    """Return a bound for people; ``open_`` is said where there is none."""
    return open_ if bound is None else f"{bound[0]}{' (itself outside)' if bound[1] else ''}"
