"""An answer as it goes over the wire of HTTP/1.1: status line, framing, date (RFC 9112)."""

from __future__ import annotations

from http import HTTPStatus

from mainstay.inbound.http.exchange import Answer

CLOSE = b"Connection: close\r\n"
KEEP = b"Connection: keep-alive\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus}
_BODYLESS = frozenset({204, 304})
_LENGTHS = tuple(b"Content-Length: %d\r\n" % n for n in range(4096))


def length_line(length: int) -> bytes:
    """Return the Content-Length of a body."""
    return _LENGTHS[length] if length < 4096 else b"Content-Length: %d\r\n" % length


def status_line(status: int) -> bytes:
    """Return the status line, of a code without a registered phrase too."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def whole(answer: Answer, method: bytes, date: bytes, connection: bytes) -> bytes:
    """Return a complete answer; to HEAD without its body."""
    status, body = answer.status, answer.body
    line = STATUS_LINES.get(status) or status_line(status)
    if status in _BODYLESS:
        return b"".join((line, answer.head, date, connection, b"\r\n"))
    size = len(body)
    length = _LENGTHS[size] if size < 4096 else length_line(size)
    if method == b"HEAD":
        body = b""
    return b"".join((line, answer.head, length, date, connection, b"\r\n", body))


def beginning(answer: Answer, framing: bytes, date: bytes, connection: bytes) -> bytes:
    """Return the head of an answer that is sent in parts."""
    return b"".join((status_line(answer.status), answer.head, framing, date, connection, b"\r\n"))
