"""How the body of a request is framed (RFC 9112, section 6): by a length, by chunks, or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping

from mainstay.inbound.http.exchange import Exchange
from mainstay.inbound.http.problems import HeaderMalformed, TransferCodingUnknown
from mainstay.model.problem import Problem

CHUNKED = -1
_DRAIN = 64 << 10  # of a body that nobody wants, this much is read to keep the connection

_LENGTH = re.compile(rb"0|[1-9][0-9]{0,17}")
_TOKENS = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?: ?, ?[!#$%&'*+\-.^_`|~0-9A-Za-z]+)*")
_TABBED = re.compile(rb"\r\n(?:content-length|transfer-encoding):[^\r]*\t", re.IGNORECASE)


def body_length(exchange: Exchange) -> int | None:
    """Return the length of the body: ``CHUNKED`` where it is not known, None where there is none.

    Raises ``TransferCodingUnknown`` and ``HeaderMalformed``, after which the connection cannot be used any more.
    """
    headers = exchange.headers
    coding = headers.get(b"transfer-encoding")
    if coding is not None:
        try:
            check_coding(headers)
        except Problem:
            exchange.closing = True
            raise
        return CHUNKED
    length = headers.get(b"content-length")
    if length is None:
        return None
    if _LENGTH.fullmatch(length.rstrip(b" ")) is None:
        exchange.closing = True
        raise HeaderMalformed("Content-Length: expected a number of bytes, without a sign or leading zeros")
    return int(length) or None


def check_coding(headers: Mapping[bytes, bytes]) -> None:
    """Check that a body is chunked and nothing else, and that no length is told beside it.

    Raises ``TransferCodingUnknown``, and ``HeaderMalformed`` where the end of the body could not be told.
    """
    coding = headers[b"transfer-encoding"]
    if b"content-length" in headers:
        raise HeaderMalformed("Transfer-Encoding, Content-Length: a request has one of them")
    if coding == b"chunked":
        return
    lowered = coding.strip(b" ").lower()
    if lowered == b"chunked":
        return
    if _TOKENS.fullmatch(lowered) is None or b"chunked" in re.split(rb" ?, ?", lowered)[:-1]:
        raise HeaderMalformed("Transfer-Encoding: expected chunked, once and last")
    raise TransferCodingUnknown


def has_body(headers: Mapping[bytes, bytes]) -> bool:
    """Whether a head says that a body follows it, in whatever words."""
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0").rstrip(b" ") != b"0"


def leave_body(exchange: Exchange) -> None:
    """Read the rest of a small body, so that the connection can go on; give up the connection for a large one."""
    inflow = exchange.inflow
    if inflow is None:
        return
    length = exchange.headers.get(b"content-length")
    if exchange.expects or b"expect" in exchange.headers or length is None or int(length) - inflow.size > _DRAIN:
        exchange.closing = True
    inflow.drop()


def refuse_tabs(head: bytes) -> None:
    """Refuse tabs in the fields that frame a body: no client writes them, and parties on a path differ over them.

    Raises ``HeaderMalformed``.
    """
    if _TABBED.search(head) is not None:
        raise HeaderMalformed("Content-Length, Transfer-Encoding: a tab stands in the field")
