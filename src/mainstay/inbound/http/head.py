"""The head of a request to the facts of a call. What the head alone shows to be wrong is refused here."""

from __future__ import annotations

from functools import partial

from mainstay.inbound.http.body import Inflow, too_large
from mainstay.inbound.http.conditional import if_match_versions
from mainstay.inbound.http.decompress import UnpackedInflow, unpacker_of
from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.formats import MSGPACK, read_msgpack
from mainstay.inbound.http.negotiate import readable, split_media
from mainstay.inbound.http.problems import ExpectationFailed, HeaderMalformed
from mainstay.inbound.http.request import credentials_of, idempotency_key_of, traceparent_of
from mainstay.inbound.http.targets import OperationTarget, given, given_packed, shown
from mainstay.kernel.call import Call
from mainstay.model.problem import PreconditionRequired, UnsupportedMedia

TELLING = frozenset(
    {
        b"accept",
        b"accept-encoding",
        b"authorization",
        b"content-length",
        b"content-type",
        b"expect",
        b"idempotency-key",
        b"if-match",
        b"if-none-match",
        b"origin",
        b"traceparent",
        b"transfer-encoding",
        b"x-request-id",
    }
)
"""A head without any of these says nothing about its call but its target."""


def describe(exchange: Exchange, target: OperationTarget, call: Call, length: int | None) -> None:
    """Set what the header fields say of a call. Raises the Problem of a head that cannot be served."""
    headers = exchange.headers
    accept = headers.get(b"accept")
    if accept is not None and accept not in target.usual:
        target = exchange.target = given(target, accept)
    codings = headers.get(b"accept-encoding")
    if codings is not None and b"=0" in codings:
        target = exchange.target = given_packed(target, codings)
    authorization = headers.get(b"authorization")
    if authorization is not None:
        call.credentials, call.scheme = credentials_of(authorization)
    condition = headers.get(b"if-match")
    if condition is not None:
        call.if_match = if_match_versions(condition.decode("latin-1"))
    elif target.precondition:
        raise PreconditionRequired("send If-Match with the ETag of what you last read, or * to write over anything")
    if not target.query:
        _describe_command(exchange, target, call)
    if length is not None:
        _describe_body(exchange, target, call, length)
    elif target.takes_body:
        call.body = b""


def _describe_command(exchange: Exchange, target: OperationTarget, call: Call) -> None:
    headers = exchange.headers
    if b"if-none-match" in headers:
        raise HeaderMalformed("If-None-Match: it is for GET and HEAD; send If-Match with a change")
    key = headers.get(b"idempotency-key")
    if key is not None and target.keyed:
        call.idempotency_key = idempotency_key_of(key)


def _describe_body(exchange: Exchange, target: OperationTarget, call: Call, length: int) -> None:
    """Prepare for the body. One over its bound is refused before any of it is read."""
    limit = target.limit
    inflow = exchange.inflow = Inflow(limit, keep=target.takes_body)
    if length > limit:
        exchange.closing = True
        raise too_large(limit)
    expect = exchange.headers.get(b"expect")
    if expect is not None:
        if expect.strip().lower() != b"100-continue":
            raise ExpectationFailed
        exchange.expects = True
    if not target.takes_body:
        return
    if b"content-encoding" in exchange.headers:
        inflow = exchange.inflow = _unpacked(exchange.headers[b"content-encoding"], target, inflow)
    raw = exchange.headers.get(b"content-type", b"")
    media = target.spelled.get(raw) or _media_of(raw, target)
    if target.upload is not None:
        call.read = target.upload.reader(inflow, raw.decode("latin-1"), call)
        return
    if media in MSGPACK and media in target.accepts:
        call.read = partial(read_msgpack, inflow)
        return
    call.media_type = media
    call.read = inflow.read
    exchange.direct = True


def _media_of(raw: bytes, target: OperationTarget) -> str:
    """Return the media type of a body in a spelling of its own. Raises ``UnsupportedMedia``."""
    field = raw.decode("latin-1")
    if not readable(target.accepts, field):
        told = shown(target.accepts)
        headers = {target.accept_field: ", ".join(told)}
        raise UnsupportedMedia(f"the body must be {' or '.join(told)}", headers=headers)
    return split_media(field)[0]


def _unpacked(field: bytes, target: OperationTarget, inflow: Inflow) -> Inflow:
    """Return what collects a body in the coding that its head names. Raises ``UnsupportedMedia``."""
    found = unpacker_of(field)
    return inflow if found is None else UnpackedInflow(target.limit, *found, factor=target.inflation)


def trace(exchange: Exchange) -> str | None:
    """Return the request's valid ``traceparent``."""
    field = exchange.headers.get(b"traceparent")
    return None if field is None else traceparent_of(field)
