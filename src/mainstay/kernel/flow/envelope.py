"""The envelope: how a message goes over a broker, as a CloudEvent 1.0 in its structured JSON form.

Its extension attributes are ``partitionkey`` (the key), ``sequence`` and ``previous`` (texts of digits, since a
CloudEvents integer has 32 bits), ``principal`` (whom it was emitted for, as JSON), ``requestid``, ``traceparent`` and
``dataversion``. Events of others need none of them: they stand alone, and were emitted by nobody known.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from mainstay.kernel.flow.places import id_of
from mainstay.kernel.flow.principals import decode_principal, encode_principal
from mainstay.model.principal import Principal
from mainstay.model.values import INT_MAX

_SPEC = "1.0"
_JSON = "application/json"
_MOST = 512  # characters of a text that becomes a column
_NOBODY = encode_principal(Principal.anonymous)


class Unreadable(ValueError):
    """A message that is no CloudEvent as this service reads it. Its text says why, and repeats nothing of it."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way between services."""

    id: UUID
    source: str
    event: str
    key: str | None
    payload: str  # JSON
    principal: str
    request_id: str
    traceparent: str | None
    emitted_at: datetime
    sequence: int
    previous: int
    dataversion: int = 1


class _CloudEvent(msgspec.Struct, kw_only=True, omit_defaults=True):
    specversion: str
    id: str
    source: str
    type: str
    time: datetime | None = None
    datacontenttype: str | None = None
    dataschema: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")
    data_base64: str | None = None
    partitionkey: str | None = None
    sequence: str | None = None
    previous: str | None = None
    principal: str | None = None
    requestid: str | None = None
    traceparent: str | None = None
    dataversion: str | None = None


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_CloudEvent).decode


def encode(envelope: Envelope, schemas: str = "") -> bytes:
    """Return an event as a CloudEvent. ``schemas`` is the URL below which those of events can be fetched, if any."""
    return _encode(
        _CloudEvent(
            specversion=_SPEC,
            id=str(envelope.id),
            source=envelope.source,
            type=envelope.event,
            time=envelope.emitted_at,
            datacontenttype=_JSON,
            dataschema=f"{schemas}/{envelope.event}.{envelope.dataversion}.json" if schemas else None,
            data=msgspec.Raw(envelope.payload.encode()),
            partitionkey=envelope.key,
            sequence=_digits(envelope.sequence),
            previous=_digits(envelope.previous),
            principal=envelope.principal,
            requestid=envelope.request_id or None,
            traceparent=envelope.traceparent,
            dataversion=None if envelope.dataversion == 1 else str(envelope.dataversion),
        )
    )


def decode(body: bytes, now: datetime) -> Envelope:
    """Return what a CloudEvent says. ``now`` stands for the time of one that tells none. Raises ``Unreadable``."""
    try:
        read = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Unreadable("it is no CloudEvent in JSON, or one of its attributes is of another type") from error
    if read.specversion != _SPEC:
        raise Unreadable("its specversion is not 1.0")
    if read.data_base64 is not None or not _is_json(read.datacontenttype):
        raise Unreadable("its data is not JSON")
    if read.time is not None and read.time.tzinfo is None:
        raise Unreadable("its time has no zone")
    for name in ("id", "source", "type"):
        if not getattr(read, name):
            raise Unreadable(f"its {name} is empty")
    return Envelope(
        id=_id(_text(read.id, "id"), _text(read.source, "source")),
        source=read.source,
        event=_text(read.type, "type"),
        key=None if read.partitionkey is None else _text(read.partitionkey, "partitionkey"),
        payload=bytes(read.data).decode(),
        principal=_principal(read.principal),
        request_id=_text(read.requestid or "", "requestid"),
        traceparent=None if read.traceparent is None else _text(read.traceparent, "traceparent"),
        emitted_at=read.time or now,
        sequence=_number(read.sequence, "sequence"),
        previous=_number(read.previous, "previous"),
        dataversion=_number(read.dataversion, "dataversion") or 1,
    )


def _digits(number: int) -> str | None:
    return f"{number:016d}" if number else None


def _number(text: str | None, name: str) -> int:
    if text is None:
        return 0
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or int(text) > INT_MAX:
        raise Unreadable(f"its {name} is no number")
    return int(text)


def _text(text: str, name: str) -> str:
    if len(text) > _MOST:
        raise Unreadable(f"its {name} is longer than {_MOST} characters")
    if "\x00" in text:
        raise Unreadable(f"its {name} has a U+0000")
    return text


def _is_json(media_type: str | None) -> bool:
    """Whether data is JSON: it is where nothing else is said (CloudEvents JSON format, section 3.1)."""
    plain = (media_type or _JSON).partition(";")[0].strip().lower()
    return plain == _JSON or plain.endswith("+json")


def _principal(text: str | None) -> str:
    if text is None:
        return _NOBODY
    try:
        return encode_principal(decode_principal(text))
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise Unreadable("its principal cannot be read") from error


def _id(text: str, source: str) -> UUID:
    """Return an event's id; one that is no UUID is made into one, together with its source, as it is unique with it."""
    try:
        found = UUID(text)
    except ValueError:
        found = None
    if found is not None and str(found) == text.lower():
        return found
    return id_of(source, text)
