"""Fields that hold a document: structs, lists and maps as JSON text, read back without today's bounds.

A stored document is trusted: a bound that was tightened since, or a field that was taken away, must not make a row
unreadable. The decoder bound to the field's type is tried first, since it is the fastest; what it refuses is built
again from the parsed JSON, by the shape alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, get_args
from uuid import UUID

import msgspec

from mainstay.model.schema import Attribute, FieldKind, shape_of
from mainstay.model.values import Secret

Builder = Callable[[Any], Any]

_SCALARS: Mapping[FieldKind, type] = {
    FieldKind.DECIMAL: Decimal,
    FieldKind.DATETIME: datetime,
    FieldKind.DATE: date,
    FieldKind.TIME: time,
    FieldKind.UUID: UUID,
    FieldKind.BYTES: bytes,
}


def json_text(value: Any) -> str:
    """Return the JSON text of a value."""
    return msgspec.json.encode(value, enc_hook=reveal).decode()


def reveal(value: Any) -> Any:
    """Return what a ``Secret`` holds, for a document that goes to the store. Raises ``TypeError`` for other values."""
    if hasattr(value, "reveal"):
        return value.reveal()
    raise TypeError(f"a {type(value).__name__} has no form in JSON")


class Unreadable(ValueError):
    """A stored value that the model has no form for any more."""


def document_codec(attribute: Attribute) -> tuple[Callable[[Any], str], Callable[[str], Any]]:
    """Return what turns the field's values into JSON text and back. Raises ``TypeError`` for a type without a form."""
    decoder = msgspec.json.Decoder(attribute.type, dec_hook=_hide)
    build = _builder(attribute, {})

    def decode(text: str) -> Any:
        try:
            return decoder.decode(text)
        except msgspec.ValidationError:
            return build(msgspec.json.decode(text))

    return json_text, decode


def _hide(kind: Any, value: Any) -> Any:
    if getattr(kind, "__origin__", kind) is Secret:
        return Secret(value)
    raise TypeError(f"a stored document cannot hold a {kind!r}")


def _builder(attribute: Attribute, known: dict[Any, Builder]) -> Builder:
    """Return what builds a value of parsed JSON. ``known`` lets a struct hold itself."""
    build = _plain(attribute, known)
    if attribute.secret:
        return lambda value: None if value is None else Secret(build(value))
    return lambda value: None if value is None else build(value)


def _plain(attribute: Attribute, known: dict[Any, Builder]) -> Builder:
    kind = attribute.kind
    if kind is FieldKind.STRUCT:
        return _struct(attribute.base, known)
    if kind is FieldKind.LIST:
        return _list(attribute, known)
    if kind is FieldKind.MAP:
        return _map(attribute, known)
    if kind is FieldKind.ENUM:
        return _enum(attribute.base)
    if kind is FieldKind.FLOAT:
        return float
    scalar = _SCALARS.get(kind)
    if scalar is None:
        return lambda value: value
    return lambda value: msgspec.convert(value, scalar)


def _struct(struct: Any, known: dict[Any, Builder]) -> Builder:
    if struct not in known:
        fields: dict[str, Builder] = {}
        names = dict(zip(struct.__struct_encode_fields__, struct.__struct_fields__, strict=True))

        def build(value: Any) -> Any:
            given = {name: fields[name](value[key]) for key, name in names.items() if key in value}
            try:
                return struct(**given)
            except TypeError as error:
                raise Unreadable(f"a stored {struct.__name__} lacks a field that has no default: {error}") from error

        known[struct] = build
        fields.update({a.name: _builder(a, known) for a in shape_of(struct).attributes})
    return known[struct]


def _list(attribute: Attribute, known: dict[Any, Builder]) -> Builder:
    make, item = attribute.base, _builder(attribute.items, known) if attribute.items is not None else None
    return lambda value: make(value if item is None else map(item, value))


def _map(attribute: Attribute, known: dict[Any, Builder]) -> Builder:
    if attribute.items is None:
        return dict
    item = _builder(attribute.items, known)
    keys = (get_args(attribute.type) or (str,))[0]
    if keys is str:
        return lambda value: {key: item(each) for key, each in value.items()}
    return lambda value: {msgspec.convert(key, keys, strict=False): item(each) for key, each in value.items()}


def _enum(enumeration: type[Enum]) -> Builder:
    def build(value: Any) -> Any:
        try:
            return enumeration(value)
        except ValueError:
            raise Unreadable(f"a stored value is no {enumeration.__name__} any more") from None

    return build
