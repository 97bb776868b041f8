"""Values of encrypted fields as bytes: what is encrypted. The form never changes, for what is stored has it.

Numbers, times and flags are of one length each, so that the length of what is encrypted tells nothing of them; that of
texts, bytes and documents does.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Context, Decimal, Inexact
from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.structs import EPOCH
from mainstay.model.values import Secret
from mainstay.ports.documents import document_codec

Codec = tuple[Callable[[Any], bytes], Callable[[bytes], Any]]

_DOCUMENTS = frozenset({FieldKind.STRUCT, FieldKind.LIST, FieldKind.MAP, FieldKind.ANY})
_MICROSECOND = timedelta(microseconds=1)
_INTEGER, _FLOAT, _DECIMAL = struct.Struct(">q"), struct.Struct(">d"), struct.Struct(">bq")
_EXACT = Context(prec=40, traps=[Inexact])


def value_codec(attribute: Attribute) -> Codec:
    """Return what turns a field's values (never None) into bytes and back.

    The way back raises ``ValueError`` or another ordinary exception for bytes that are no value of the field.
    """
    encode, decode = _plain(attribute)
    if attribute.secret:
        return lambda value: encode(value.reveal()), lambda raw: Secret(decode(raw))
    return encode, decode


def _plain(attribute: Attribute) -> Codec:
    kind = attribute.kind
    if kind in _DOCUMENTS:
        text, read = document_codec(attribute)
        return lambda value: text(value).encode(), lambda raw: read(raw.decode())
    if kind is FieldKind.DECIMAL:
        return _decimal(attribute.places)
    if kind is FieldKind.ENUM:
        members = {member.value: member for member in attribute.base}
        return lambda member: msgspec.json.encode(member.value), lambda raw: members[msgspec.json.decode(raw)]
    return _CODECS[kind]


def _decimal(places: int) -> Codec:
    """A scaled integer behind its places, so that a field may get more of them later."""
    unit = Decimal(1).scaleb(-places)

    def decode(raw: bytes) -> Decimal:
        stored, scaled = _DECIMAL.unpack(raw)
        return Decimal(scaled).scaleb(-stored).quantize(unit, context=_EXACT)

    return lambda value: _DECIMAL.pack(places, int(value.scaleb(places))), decode


def _microseconds(value: datetime) -> bytes:
    return _INTEGER.pack((value - EPOCH) // _MICROSECOND)


_CODECS: Mapping[FieldKind, Codec] = {
    FieldKind.STRING: (str.encode, bytes.decode),
    FieldKind.BYTES: (bytes, bytes),
    FieldKind.INTEGER: (_INTEGER.pack, lambda raw: _INTEGER.unpack(raw)[0]),
    FieldKind.FLOAT: (_FLOAT.pack, lambda raw: _FLOAT.unpack(raw)[0]),
    FieldKind.BOOLEAN: (lambda value: b"\1" if value else b"\0", lambda raw: (False, True)[raw[0]]),
    FieldKind.DATETIME: (_microseconds, lambda raw: EPOCH + _INTEGER.unpack(raw)[0] * _MICROSECOND),
    FieldKind.DATE: (lambda value: value.isoformat().encode(), lambda raw: date.fromisoformat(raw.decode())),
    FieldKind.TIME: (
        lambda value: value.isoformat("microseconds").encode(),
        lambda raw: time.fromisoformat(raw.decode()),
    ),
    FieldKind.UUID: (lambda value: value.bytes, lambda raw: UUID(bytes=raw)),
}
