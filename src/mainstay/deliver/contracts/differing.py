"""What differs between two schemas of an event, place by place, with what of it breaks its readers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from mainstay.deliver.contracts.compatibility import Change, Compatibility, compare
from mainstay.deliver.contracts.lock import Locked
from mainstay.deliver.contracts.schemas import DECIMAL, EventSchema
from mainstay.deliver.contracts.views import View, Viewer
from mainstay.deliver.openapi.schemas import Schema

_SAID = (
    *("format", "contentEncoding", "minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"),
    *("minLength", "maxLength", "minItems", "maxItems", "pattern"),
)
_UNSAID = frozenset({"decimal", "int64", "base64"})  # what the kind says already


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One place that differs: what it was and what it is, None where it is not there, and what that breaks."""

    where: str
    before: str | None
    now: str | None
    breaking: tuple[Change, ...] = ()

    @property
    def sign(self) -> str:
        """``+`` for what is new, ``-`` for what is gone, ``~`` for what is another."""
        return "+" if self.before is None else "-" if self.now is None else "~"


class EventDifference(msgspec.Struct, frozen=True, kw_only=True):
    """What differs of one version of an event. ``kept`` and ``declared`` say whether there is one on either side."""

    name: str
    version: int
    kept: bool
    declared: bool
    places: tuple[Difference, ...] = ()


def differences(schemas: list[EventSchema], locked: Locked, compatibility: Compatibility) -> list[EventDifference]:
    """Return what differs between the events that are declared and those that are kept, in a stable order.

    Kept versions before the one that is declared are history, and differ from nothing.
    """
    found = []
    for schema in schemas:
        kept = locked.get((schema.name, schema.version))
        if kept is None:
            made = EventDifference(name=schema.name, version=schema.version, kept=False, declared=True)
        else:
            places = tuple(between(kept.schema, schema.schema, compatibility))
            made = EventDifference(name=schema.name, version=schema.version, kept=True, declared=True, places=places)
        if not made.kept or made.places:
            found.append(made)
    return found


def between(old: Schema, new: Schema, compatibility: Compatibility) -> Iterator[Difference]:
    """Walk the places that differ between two schemas, in the order of the new one's fields; the others follow."""
    before, now = places(old), places(new)
    breaking: dict[str, list[Change]] = {}
    for change in compare(old, new, compatibility):
        breaking.setdefault(change.where, []).append(change)
    for where in dict.fromkeys((*now, *before)):
        if before.get(where) != now.get(where) or where in breaking:
            told = tuple(breaking.get(where, ()))
            yield Difference(where=where, before=before.get(where), now=now.get(where), breaking=told)


def places(document: Schema) -> Mapping[str, str]:
    """Return all places of an event in words: the pointer of each field to its kind, bounds and whether it is sure."""
    return {place.where: place.summary for place in walked(document)}


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A field of an event, or what a list or map in it holds: ``/lines/*/quantity``; the event itself is empty."""

    where: str
    view: View
    need: str = ""  # required, optional; nothing where that is no question
    description: str = ""

    @property
    def summary(self) -> str:
        """What its schema says, in words."""
        return ", ".join(filter(None, (*summary(self.view), self.need)))


def walked(document: Schema) -> Iterator[Place]:
    """Walk all places of an event, each before what it holds."""
    viewer = Viewer(document)
    yield from _below(viewer, Place(where="", view=viewer.root()), ())


def _below(viewer: Viewer, place: Place, above: tuple[str, ...]) -> Iterator[Place]:
    yield place
    view, schema = place.view, place.view.schema
    if view.reference is not None:
        if view.reference in above:
            return
        above = (*above, view.reference)
    required = frozenset(schema.get("required", ()))
    for name, inner in schema.get("properties", {}).items():
        need = "required" if name in required else "optional"
        yield from _below(viewer, _place(viewer, f"{place.where}/{name}", inner, need), above)
    held = schema.get("items", schema.get("additionalProperties"))
    if isinstance(held, dict):
        yield from _below(viewer, _place(viewer, f"{place.where}/*", held, ""), above)


def _place(viewer: Viewer, where: str, schema: Schema, need: str) -> Place:
    view = viewer.of(schema)
    told = schema.get("description") or view.schema.get("description", "")
    return Place(where=where, view=view, need=need, description=told)


def summary(view: View) -> Iterator[str]:
    """Walk what a schema says of a value, in words."""
    yield f"{view.kind} or null" if view.nullable else view.kind
    if view.kind == "object" and view.schema.get("additionalProperties") is False:
        yield "no other fields"
    if view.values is not None:
        yield f"one of {', '.join(map(str, view.values))}"
    if DECIMAL in view.schema:
        yield from (f"{name} {value}" for name, value in view.schema[DECIMAL].items())
        return
    yield from (f"{name} {view.schema[name]}" for name in _SAID if _telling(view.schema, name))


def _telling(schema: Mapping[str, Any], name: str) -> bool:
    """Whether a keyword says more than the kind does: bounds of 64 bits are every integer's."""
    value = schema.get(name)
    if value is None or value in _UNSAID or (name == "pattern" and "contentEncoding" in schema):
        return False
    return not (name in ("minimum", "maximum") and isinstance(value, int) and abs(value) >= 2**63 - 1)
