"""Rows as documents and back. A null is left out; what BSON has no exact form for has one of ours (ADR 110)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from enum import Enum
from typing import Any, NamedTuple

from bson import Decimal128, Int64

from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.values import Secret
from mainstay.model.words import words_of
from mainstay.ports.documents import document_codec

Document = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXACT = Context(prec=60)
_TICK = timedelta(microseconds=1)
_DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})


class RowUnreadable(Exception):
    """A stored document does not fit its entity any more: a migration of its values is missing."""


class Field(NamedTuple):
    """One field: where it stands in the document, and what turns a value (never None) to and fro."""

    attribute: Attribute
    path: str
    encode: Callable[[Any], Any]
    decode: Callable[[Any], Any]


def words_path(name: str) -> str:
    """Return where the words of a searchable field stand in the document. No field has such a name."""
    return f"#words:{name}"


def microseconds(value: datetime) -> int:
    """Return the microseconds since 1970 of a point in time."""
    return (value - EPOCH) // _TICK


def time_text(value: time) -> str:
    """Return a time of day as text of fixed width, which is in the order of the times."""
    return value.isoformat(timespec="microseconds")


def fields_of(shape: Shape) -> Mapping[str, Field]:
    """Return the fields of an entity by name."""
    return {a.name: _field(a) for a in shape.attributes}


def _field(attribute: Attribute) -> Field:
    if attribute.kind in _DOCUMENTS:
        encode, decode = document_codec(attribute)
    elif attribute.kind is FieldKind.ENUM:
        encode, decode = _member_value, attribute.base
    else:
        encode, decode = _CODECS[attribute.kind]
    path = "_id" if attribute.name == "id" else attribute.name
    if attribute.secret:
        return Field(attribute, path, lambda value: encode(value.reveal()), lambda stored: Secret(decode(stored)))
    return Field(attribute, path, encode, decode)


def _member_value(member: Enum) -> Any:
    value = member.value
    return Int64(value) if type(value) is int else value


def _same(value: Any) -> Any:
    return value


def _moment(stored: int) -> datetime:
    return EPOCH + timedelta(microseconds=stored)


_CODECS: Mapping[FieldKind, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    FieldKind.STRING: (_same, _same),
    FieldKind.INTEGER: (Int64, int),
    FieldKind.FLOAT: (float, float),
    FieldKind.BOOLEAN: (bool, bool),
    FieldKind.DECIMAL: (Decimal128, lambda stored: stored.to_decimal()),
    FieldKind.DATETIME: (lambda value: Int64(microseconds(value)), _moment),
    FieldKind.DATE: (date.isoformat, date.fromisoformat),
    FieldKind.TIME: (time_text, time.fromisoformat),
    FieldKind.UUID: (_same, _same),
    FieldKind.BYTES: (bytes, bytes),
}


class Codec:
    """Documents of one entity. ``searchable`` are the fields whose words are stored, each in a list beside it."""

    __slots__ = ("_entity", "_fields", "fields", "searchable")

    def __init__(self, shape: Shape) -> None:
        self.fields: Mapping[str, Field] = fields_of(shape)
        self.searchable: tuple[str, ...] = tuple(a.name for a in shape.attributes if a.spec.searchable)
        self._entity = shape.type
        self._fields = tuple(self.fields.items())

    def encode(self, row: Any) -> Document:
        """Return the document of a row."""
        document = {
            field.path: field.encode(value) for name, field in self._fields if (value := getattr(row, name)) is not None
        }
        for name in self.searchable:
            words = words_of(getattr(row, name) or "")
            if words:
                document[words_path(name)] = list(words)
        return document

    def changes(self, values: Mapping[str, Any]) -> dict[str, Document]:
        """Return the update that gives fields these values."""
        given: Document = {}
        gone: Document = {}
        for name, value in values.items():
            field = self.fields[name]
            if value is None:
                gone[field.path] = ""
            else:
                given[field.path] = field.encode(value)
            if name in self.searchable:
                words = words_of(value or "")
                (given if words else gone)[words_path(name)] = list(words)
        return {op: part for op, part in (("$set", given), ("$unset", gone)) if part}

    def decode(self, document: Document, unread: Collection[str] = ()) -> Any:
        """Return the row of a document, trusted as it is, with None in what was not read. Raises ``RowUnreadable``."""
        try:
            return self._entity(
                **{
                    name: None if (stored := document.get(field.path)) is None else field.decode(stored)
                    for name, field in self._fields
                    if field.path in document or name in unread or self._nullable(field)
                }
            )
        except Exception as error:
            name = self._entity.__name__
            reason = f"{type(error).__name__}: {error}"
            raise RowUnreadable(
                f"a stored {name} does not fit its entity any more ({reason}): migrate its values"
            ) from error

    @staticmethod
    def _nullable(field: Field) -> bool:
        if field.attribute.optional or field.attribute.kind is FieldKind.ANY:
            return True
        raise ValueError(f"{field.attribute.name} is missing")


def sum_of(field: Field, stored: Any) -> Any:
    """Return a sum, which the server made of decimals, in the field's type."""
    if field.attribute.kind is FieldKind.FLOAT:
        return float(stored)
    exact: Decimal = stored.to_decimal()
    if field.attribute.kind is FieldKind.DECIMAL:
        return exact.quantize(Decimal(1).scaleb(-field.attribute.places), context=_EXACT)
    return int(exact)
