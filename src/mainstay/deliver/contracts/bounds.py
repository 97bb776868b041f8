"""Bounds of values: those of a reader may be wider than those of a writer, and never narrower."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mainstay.deliver.contracts.rules import Breach, Rule
from mainstay.deliver.contracts.schemas import DECIMAL
from mainstay.deliver.contracts.views import View, lower, upper, written
from mainstay.deliver.openapi.schemas import Schema

_NONE = "none"
_LEAST = (("minLength", "least length"), ("minItems", "least number of items"))
_MOST = (("maxLength", "greatest length"), ("maxItems", "greatest number of items"))


def bound_breaches(where: str, reader: View, writer: View) -> Iterator[Breach]:
    """Walk the breaches between the bounds of two views of one kind."""
    if reader.kind == "decimal":
        yield from _decimals(where, reader.schema[DECIMAL], writer.schema[DECIMAL])
        return
    yield from _range(where, reader.schema, writer.schema)
    yield from _sizes(where, reader.schema, writer.schema)
    yield from _form(where, reader, writer)


def _range(where: str, reader: Schema, writer: Schema) -> Iterator[Breach]:
    least, given = lower(reader), lower(writer)
    if least is not None and (given is None or given < least):
        yield _narrower(where, "minimum", written(least, _NONE), written(given, _NONE))
    most, given = upper(reader), upper(writer)
    if most is not None and (given is None or (given[0], not given[1]) > (most[0], not most[1])):
        yield _narrower(where, "maximum", written(most, _NONE), written(given, _NONE))
    step, other = reader.get("multipleOf"), writer.get("multipleOf")
    if step is not None and (other is None or other % step):
        yield _narrower(where, "step", str(step), str(other or _NONE))


def _sizes(where: str, reader: Schema, writer: Schema) -> Iterator[Breach]:
    for name, told in _LEAST:
        if reader.get(name, 0) > writer.get(name, 0):
            yield _narrower(where, told, str(reader[name]), str(writer.get(name, _NONE)))
    for name, told in _MOST:
        if name in reader and (name not in writer or writer[name] > reader[name]):
            yield _narrower(where, told, str(reader[name]), str(writer.get(name, _NONE)))


def _form(where: str, reader: View, writer: View) -> Iterator[Breach]:
    """The pattern and the format of a text: a reader without any takes all."""
    asked, given = reader.schema.get("format"), writer.schema.get("format")
    if reader.kind == "string" and asked is not None and asked != given:
        yield Breach(where, Rule.FORMAT_CHANGED, {"reader": asked, "writer": given or "any text"})
    pattern = reader.schema.get("pattern")
    if reader.kind == "string" and pattern is not None and pattern != writer.schema.get("pattern"):
        yield Breach(where, Rule.PATTERN_CHANGED, {})


def _decimals(where: str, reader: Schema, writer: Schema) -> Iterator[Breach]:
    for told, size in (("digits before the point", _whole), ("digits after the point", _places)):
        if size(writer) > size(reader):
            yield _narrower(where, f"number of {told}", str(size(reader)), str(size(writer)))
    yield from _range(where, reader, writer)


def _whole(schema: Schema) -> Any:
    return schema["digits"] - schema["places"]


def _places(schema: Schema) -> Any:
    return schema["places"]


def _narrower(where: str, bound: str, reader: str, writer: str) -> Breach:
    return Breach(where, Rule.BOUND_NARROWER, {"bound": bound, "reader": reader, "writer": writer})
