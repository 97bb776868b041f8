"""Parts of an answer: what a Range asks for, and multipart/byteranges (RFC 9110, section 14)."""

from __future__ import annotations

import re
from typing import NamedTuple

MAX_RANGES = 32
"""A Range of more parts is ignored: the whole costs less than it (RFC 9110, section 14.2)."""

_SPEC = re.compile(r"(?:([0-9]{1,19})-([0-9]{1,19})?|-([0-9]{1,19}))\Z")


class Span(NamedTuple):
    """Bytes from ``start`` to before ``stop``."""

    start: int
    stop: int

    def of(self, size: int) -> bytes:
        """Return the Content-Range of these bytes of so many."""
        return b"bytes %d-%d/%d" % (self.start, self.stop - 1, size)


def spans_of(field: str, size: int) -> list[Span] | None:
    """Return the bytes that a Range asks for, in its order; None where it is to be ignored, [] where it asks for none.

    It is ignored in another unit, where it is not well-formed, and where it has too many parts. Parts that overlap or
    touch are one: nothing is sent twice.
    """
    unit, equals, specs = field.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    listed = [spec.strip(" \t") for spec in specs.split(",")]
    wanted = [spec for spec in listed if spec]
    if not 0 < len(wanted) <= MAX_RANGES or len(listed) > 2 * MAX_RANGES:
        return None
    found = []
    for spec in wanted:
        matched = _SPEC.match(spec)
        if matched is None:
            return None
        first, last, suffix = matched.groups()
        if suffix is not None:
            start, stop = max(0, size - int(suffix)), size
        else:
            start, stop = int(first), size if last is None else min(int(last) + 1, size)
            if last is not None and int(last) < start:
                return None
        if start < stop:
            found.append(Span(start, stop))
    return _coalesced(found)


def _coalesced(spans: list[Span]) -> list[Span]:
    """Join spans that overlap or touch. Each stands where the first of its parts stood."""
    joined: list[list[int]] = []  # start, stop, place
    for start, stop, place in sorted((span.start, span.stop, place) for place, span in enumerate(spans)):
        if joined and start <= joined[-1][1]:
            joined[-1][1] = max(joined[-1][1], stop)
            joined[-1][2] = min(joined[-1][2], place)
        else:
            joined.append([start, stop, place])
    return [Span(start, stop) for start, stop, _ in sorted(joined, key=lambda one: one[2])]


class Multipart:
    """The framing of several parts of one body (RFC 9110, section 14.6). The boundary is not in it by any chance."""

    def __init__(self, boundary: str, media: bytes, size: int) -> None:
        self.content_type: bytes = b"multipart/byteranges; boundary=" + boundary.encode()
        self.end: bytes = b"\r\n--" + boundary.encode() + b"--\r\n"
        self._boundary = boundary.encode()
        self._media = media
        self._size = size

    def head(self, span: Span) -> bytes:
        """Return what stands before the bytes of a part."""
        return b"\r\n--%b\r\nContent-Type: %b\r\nContent-Range: %b\r\n\r\n" % (
            self._boundary,
            self._media,
            span.of(self._size),
        )
