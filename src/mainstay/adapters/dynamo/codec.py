"""Rows as items and back: an attribute a field, in DynamoDB's own types where these are exact."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Context, Decimal
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.values import Secret
from mainstay.ports.documents import document_codec

Value = Mapping[str, Any]
"""One attribute value as the service takes it: ``{"S": "text"}``."""

Item = Mapping[str, Value]

_EXACT = Context(prec=60)
_DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})


class RowUnreadable(Exception):
    """A stored item does not fit its entity any more: a migration of its values is missing."""


class Field(NamedTuple):
    """One field, and what turns a value (never None) into an attribute's and back."""

    attribute: Attribute
    encode: Callable[[Any], Value]
    decode: Callable[[Any], Any]


def _field(attribute: Attribute) -> Field:
    encode, decode = _codec(attribute)
    if attribute.secret:
        return Field(attribute, lambda value: encode(value.reveal()), lambda stored: Secret(decode(stored)))
    return Field(attribute, encode, decode)


def _codec(attribute: Attribute) -> tuple[Callable[[Any], Value], Callable[[Any], Any]]:
    if attribute.kind in _DOCUMENTS:
        text, decode = document_codec(attribute)
        return lambda value: {"S": text(value)}, decode
    if attribute.kind is FieldKind.DECIMAL:
        unit = Decimal(1).scaleb(-attribute.places)  # the service takes the zeros off the end
        return lambda value: {"N": format(value, "f")}, lambda stored: Decimal(stored).quantize(unit, context=_EXACT)
    if attribute.kind is FieldKind.ENUM:
        members = {str(member.value): member for member in attribute.base}
        return _member, lambda stored: members[stored]
    return _CODECS[attribute.kind]


def _member(member: Enum) -> Value:
    value = member.value
    return {"N": str(value)} if type(value) is int else {"S": str(value)}


def _texts(encode: Callable[[Any], str]) -> Callable[[Any], Value]:
    return lambda value: {"S": encode(value)}


def _microseconds(value: datetime | time) -> str:
    return value.isoformat(timespec="microseconds")


_CODECS: Mapping[FieldKind, tuple[Callable[[Any], Value], Callable[[Any], Any]]] = {
    FieldKind.STRING: (_texts(str), str),
    FieldKind.INTEGER: (lambda value: {"N": str(value)}, int),
    FieldKind.FLOAT: (_texts(repr), float),  # a number of the service has not the range of a float
    FieldKind.BOOLEAN: (lambda value: {"BOOL": value}, bool),
    FieldKind.DATETIME: (_texts(_microseconds), datetime.fromisoformat),
    FieldKind.DATE: (_texts(date.isoformat), date.fromisoformat),
    FieldKind.TIME: (_texts(_microseconds), time.fromisoformat),
    FieldKind.UUID: (_texts(str), UUID),
    FieldKind.BYTES: (lambda value: {"B": bytes(value)}, bytes),
}


class Codec:
    """Items of one entity. A null is left out."""

    __slots__ = ("_entity", "fields")

    def __init__(self, shape: Shape) -> None:
        self._entity = shape.type
        self.fields: Mapping[str, Field] = {a.name: _field(a) for a in shape.attributes}

    def encode(self, row: Any) -> dict[str, Value]:
        """Return the attributes of a row."""
        found = ((name, field, getattr(row, name)) for name, field in self.fields.items())
        return {name: field.encode(value) for name, field, value in found if value is not None}

    def changes(self, values: Mapping[str, Any]) -> dict[str, Value | None]:
        """Return the attributes that changes come to; None takes one away."""
        return {name: None if value is None else self.fields[name].encode(value) for name, value in values.items()}

    def decode(self, item: Item) -> Any:
        """Return the row of an item, trusted as it is. Raises ``RowUnreadable``."""
        try:
            return self._entity(**{name: _decoded(field, item.get(name)) for name, field in self.fields.items()})
        except Exception as error:
            name, reason = self._entity.__name__, f"{type(error).__name__}: {error}"
            raise RowUnreadable(
                f"a stored {name} does not fit its entity any more ({reason}): migrate its values"
            ) from error


def _decoded(field: Field, value: Value | None) -> Any:
    if value is not None:
        (stored,) = value.values()
        return field.decode(stored)
    if field.attribute.optional or field.attribute.kind is FieldKind.ANY:
        return None
    raise ValueError(f"{field.attribute.name} is missing")
