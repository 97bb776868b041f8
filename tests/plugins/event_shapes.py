"""Events made on the spot, and their schemas: for what differs between two shapes of one event."""

from __future__ import annotations

from typing import Any

from mainstay import Dto, Event
from mainstay.deliver.contracts import EventSchema, schema_of
from mainstay.model.schema import Shapes
from mainstay.model.structs import ModelMeta

Fields = dict[str, Any]
"""Types by the names of fields, or pairs of a type and what stands behind the = of the field."""


def struct(name: str, base: type, fields: Fields, **options: Any) -> Any:
    """Return a class as a module would declare it."""
    annotations = {known: told[0] if isinstance(told, tuple) else told for known, told in fields.items()}
    defaults = {known: told[1] for known, told in fields.items() if isinstance(told, tuple)}
    namespace = {"__module__": __name__, "__qualname__": name, "__annotations__": annotations, **defaults}
    return ModelMeta(name, (base,), namespace, **options)


def event(fields: Fields, **options: Any) -> Any:
    """Return an event of these fields."""
    return struct("Changed", Event, fields, **options)


def dto(fields: Fields, **options: Any) -> Any:
    """Return a struct that events hold."""
    return struct("Held", Dto, fields, **options)


def schema(fields: Fields, **options: Any) -> EventSchema:
    """Return the schema of an event of these fields."""
    return schema_of("desk.Changed", event(fields, **options), Shapes())
