"""Whether what was written by one schema is read by another: the rules, and the directions that they are asked in.

The words are those of schema registries. *Backward*: readers of the new schema read what was written by the old one.
*Forward*: readers of the old one read what is written by the new one. *Full* is both. Writers write declared fields
only, so that a field which one side does not know is no danger but to a struct that refuses unknown fields.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from mainstay.deliver.contracts.bounds import bound_breaches
from mainstay.deliver.contracts.rules import Breach, Rule
from mainstay.deliver.contracts.views import View, Viewer
from mainstay.deliver.openapi.schemas import Schema

Compatibility = Literal["full", "backward", "forward", "none"]


class Direction(Enum):
    """Who could not read what."""

    BACKWARD = "backward"  # readers of now, what was written before
    FORWARD = "forward"  # readers of before, what is written now


_ASKED: Mapping[Compatibility, tuple[Direction, ...]] = MappingProxyType(
    {
        "full": (Direction.BACKWARD, Direction.FORWARD),
        "backward": (Direction.BACKWARD,),
        "forward": (Direction.FORWARD,),
        "none": (),
    }
)


class Change(msgspec.Struct, frozen=True):
    """One breach of compatibility, in one direction."""

    direction: Direction
    breach: Breach

    @property
    def where(self) -> str:
        """The place in the event: ``/lines/*/quantity``; empty for the event itself."""
        return self.breach.where

    @property
    def rule(self) -> Rule:
        """The rule that it breaks."""
        return self.breach.rule

    def __str__(self) -> str:
        telling = self.rule.value
        said = telling.backward if self.direction is Direction.BACKWARD else telling.forward
        return f"{self.where or '/'}: {said.format(**self.breach.facts)}"

    @property
    def remedy(self) -> str:
        """What to do, short of a new version."""
        telling = self.rule.value
        return telling.remedy_backward if self.direction is Direction.BACKWARD else telling.remedy_forward


def compare(old: Schema, new: Schema, compatibility: Compatibility = "full") -> list[Change]:
    """Return what breaks compatibility between two schemas of one event, in the order of its fields."""
    found: list[Change] = []
    for direction in _ASKED[compatibility]:
        reader, writer = (new, old) if direction is Direction.BACKWARD else (old, new)
        found.extend(Change(direction, breach) for breach in breaches(reader, writer))
    return found


def breaches(reader: Schema, writer: Schema) -> list[Breach]:
    """Return why something that is written by one schema may not be read by another; nothing where all is."""
    walk = _Walk(Viewer(reader), Viewer(writer))
    return list(walk.views("", walk.reader.root(), walk.writer.root()))


class _Walk:
    """Walks two documents side by side."""

    def __init__(self, reader: Viewer, writer: Viewer) -> None:
        self.reader = reader
        self.writer = writer
        self._above: list[tuple[str, str]] = []  # references that are being compared: a struct may hold itself

    def values(self, where: str, reader: Schema, writer: Schema) -> Iterator[Breach]:
        """Walk the breaches between the schemas of one value."""
        yield from self.views(where, self.reader.of(reader), self.writer.of(writer))

    def views(self, where: str, reader: View, writer: View) -> Iterator[Breach]:
        """Walk the breaches between two views of one value."""
        if reader.kind == "anything":
            return
        pair = (reader.reference or "", writer.reference or "")
        if all(pair):
            if pair in self._above:
                return
            self._above.append(pair)
        if writer.nullable and not reader.nullable and writer.kind != "anything":
            yield Breach(where, Rule.NULL_REFUSED, {})
        yield from self._of_kind(where, reader, writer)
        if all(pair):
            self._above.pop()

    def _of_kind(self, where: str, reader: View, writer: View) -> Iterator[Breach]:
        if not _takes(reader, writer):
            yield Breach(where, Rule.TYPE_CHANGED, {"reader": reader.kind, "writer": writer.kind})
            return
        yield from _values(where, reader, writer)
        yield from bound_breaches(where, reader, writer)
        if reader.kind == "object":
            yield from self._objects(where, reader.schema, writer.schema)
        elif reader.kind == "array":
            yield from self.values(f"{where}/*", reader.schema.get("items", {}), writer.schema.get("items", {}))
        elif reader.kind == "map":
            below = (_below(reader.schema), _below(writer.schema))
            yield from self.values(f"{where}/*", *below)

    def _objects(self, where: str, reader: Schema, writer: Schema) -> Iterator[Breach]:
        known, given = reader["properties"], writer["properties"]
        sure = frozenset(writer.get("required", ()))
        for name in reader.get("required", ()):
            if name not in given:
                yield Breach(f"{where}/{name}", Rule.FIELD_MISSING, {})
            elif name not in sure:
                yield Breach(f"{where}/{name}", Rule.FIELD_OPTIONAL, {})
        for name, schema in given.items():
            if name in known:
                yield from self.values(f"{where}/{name}", known[name], schema)
            elif reader.get("additionalProperties") is False:
                yield Breach(f"{where}/{name}", Rule.FIELD_REFUSED, {})


def _takes(reader: View, writer: View) -> bool:
    """Whether a value of one kind is read as one of another: an integer is a number, and nothing else is another."""
    return reader.kind == writer.kind or (reader.kind == "number" and writer.kind == "integer")


def _values(where: str, reader: View, writer: View) -> Iterator[Breach]:
    if reader.values is None:
        return
    if writer.values is None:
        told = ", ".join(map(str, reader.values))
        yield Breach(where, Rule.VALUES_UNBOUND, {"values": told})
        return
    refused = [value for value in writer.values if value not in reader.values]
    if refused:
        yield Breach(where, Rule.VALUE_REFUSED, {"values": ", ".join(map(str, refused))})


def _below(schema: Schema) -> Any:
    return schema.get("additionalProperties", {})
