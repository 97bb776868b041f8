"""JSON Schema 2020-12 of events: one document for each version, of what is written, as the outbox encodes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from mainstay.deliver.contracts.flows import Flow
from mainstay.deliver.openapi.schemas import Components, Schema
from mainstay.model.event_versions import version_of
from mainstay.model.schema import Attribute, FieldKind, Shapes
from mainstay.model.structs import Event

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DECIMAL = "x-decimal"
"""What a Decimal has of digits and bounds: JSON Schema has no words for a number that is written as a string."""

_encode = msgspec.json.Encoder(decimal_format="string").encode
_BOUNDS = (("ge", "minimum"), ("gt", "exclusiveMinimum"), ("le", "maximum"), ("lt", "exclusiveMaximum"))
_DIRECTIONS = ("readOnly", "writeOnly")  # of a field in a body and an answer: an event is neither


class EventSchema(msgspec.Struct, frozen=True, kw_only=True):
    """The schema of one version of one event. What its ``$ref`` name is in its ``$defs``, or is itself (``#``)."""

    name: str
    version: int
    schema: Schema


class _Written(Components):
    """Schemas of what an event holds: all of its fields, whatever a caller of a door may see."""

    @staticmethod
    def _noted(attribute: Attribute, made: Schema) -> Schema:
        noted = Components._noted(attribute, made)
        return {name: value for name, value in noted.items() if name not in _DIRECTIONS}

    def _kind(self, attribute: Attribute) -> Schema:
        if attribute.kind is FieldKind.STRUCT:
            return self.body(attribute.base)
        made = super()._kind(attribute)
        return {**made, DECIMAL: _decimal(attribute)} if attribute.kind is FieldKind.DECIMAL else made


def _decimal(attribute: Attribute) -> Schema:
    bounds = {told: str(bound) for name, told in _BOUNDS if (bound := getattr(attribute.spec, name)) is not None}
    return {"digits": attribute.digits, "places": attribute.places, **bounds}


def schemas_of(flows: list[Flow], shapes: Shapes) -> list[EventSchema]:
    """Return the schemas of the events that are a service's own."""
    return [schema_of(flow.name, flow.event, shapes) for flow in flows if flow.event is not None]


def schema_of(name: str, event: type[Event], shapes: Shapes) -> EventSchema:
    """Return the schema of an event as its class is now. Fields without a default are required of who writes it.

    The same bytes on every run: nothing in it rests on an order but that of the declarations.
    """
    components = _Written(shapes, "snake")
    root = components.body(event)["$ref"].rpartition("/")[2]
    made = components.schemas.pop(root)
    defined = dict(sorted(components.schemas.items()))
    version = version_of(event)
    schema: Schema = {
        "$schema": DIALECT,
        "$id": f"{name}.{version}.json",
        "title": name,
        **made,
        **({"$defs": defined} if defined else {}),
    }

    def told(reference: str) -> str:
        part = reference.rpartition("/")[2]
        return "#" if part == root else f"#/$defs/{part}"

    # As it is once it was a file: what is kept and what is declared are then compared as equals.
    written = msgspec.json.decode(_encode(referring(schema, told)))
    return EventSchema(name=name, version=version, schema=written)


def referring(schema: Any, told: Callable[[str], str]) -> Any:
    """Return a schema whose references are what ``told`` makes of them."""
    if isinstance(schema, Mapping):
        return {
            name: told(value) if name == "$ref" and isinstance(value, str) else referring(value, told)
            for name, value in schema.items()
        }
    return [referring(value, told) for value in schema] if isinstance(schema, list) else schema
