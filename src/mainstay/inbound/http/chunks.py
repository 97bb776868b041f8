"""Chunked bodies (RFC 9112, section 7.1): their framing to the letter, and no more of it than there is body."""

from __future__ import annotations

import re
from collections.abc import Callable

from mainstay.inbound.http.lines import FIELD, fields_too_large
from mainstay.inbound.http.problems import RequestMalformed

_TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_SIZE = re.compile(
    rb"([0-9A-Fa-f]{1,16})(?:;%(t)b+(?:=(?:%(t)b+|\"(?:[\t !#-\[\]-~]|\\[\t -~])*\"))?)*\r\n" % {b"t": _TCHAR}
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f-\xff]")
_MAX_LINE = 512  # a size with its extensions
_MAX_SIZE = (1 << 63) - 1
_MAX_OVERHEAD = 32 << 10  # of framing, beside one byte for each of the body
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})

_IN_SIZE, _IN_DATA, _BEHIND_DATA, _IN_TRAILER = range(4)


class Chunks:
    """Takes one chunked body apart and gives what it carries to ``feed``.

    ``ended`` says that its end has been seen. Trailer fields are checked and let go: nothing here reads them, and one
    that is merged into the head would say what the head has been judged without.
    """

    __slots__ = ("_carried", "_feed", "_fields", "_left", "_line", "_max_bytes", "_max_fields", "_state", "ended")

    def __init__(self, feed: Callable[[bytes], None], *, max_fields: int, max_bytes: int) -> None:
        self._feed = feed
        self._max_fields = max_fields
        self._max_bytes = max_bytes
        self._line = b""  # the beginning of a line whose end has not come
        self._left = 0  # of the chunk that is being read; bytes of the trailer in the trailer
        self._carried = -_MAX_OVERHEAD  # bytes of framing less bytes of the body
        self._fields = 0
        self._state = _IN_SIZE
        self.ended = False

    def take(self, data: bytes, at: int, end: int) -> int:
        """Take ``data[at:end]`` up to the end of the body; return the position behind it.

        Raises ``RequestMalformed``, and ``HeadersTooLarge`` for a trailer over the bounds of a head.
        """
        parts: list[bytes] = []
        while at < end and not self.ended:
            if self._state == _IN_DATA:
                parts.append(data[at : min(end, at + self._left)])
                at += len(parts[-1])
                self._count(len(parts[-1]))
            else:
                at = self._take_line(data, at, end)
        if parts:
            self._feed(parts[0] if len(parts) == 1 else b"".join(parts))
        return at

    def _count(self, size: int) -> None:
        """Take note of bytes of the body."""
        self._left -= size
        self._carried -= size
        if not self._left:
            self._state = _BEHIND_DATA

    def _take_line(self, data: bytes, at: int, end: int) -> int:
        found = data.find(b"\n", at, end)
        line = self._line + data[at : end if found < 0 else found + 1]
        longest = self._max_bytes - self._left if self._state == _IN_TRAILER else _MAX_LINE
        if len(line) > longest:
            if self._state == _IN_TRAILER:
                raise fields_too_large(self._max_fields, self._max_bytes)
            raise RequestMalformed("a chunk's size and extensions are longer than a line may be")
        if found < 0:
            self._line = line
            self._check_start(line)
            return end
        self._line = b""
        self._read(line)
        return found + 1

    def _check_start(self, line: bytes) -> None:
        """Refuse the beginning of a line that no end of it could make good."""
        if self._state == _BEHIND_DATA:
            if line != b"\r":
                raise RequestMalformed("a chunk is longer than its size")
        elif self._state == _IN_SIZE and _CONTROL.search(line.removesuffix(b"\r").replace(b"\t", b"")):
            raise RequestMalformed("a chunk's size is not one")

    def _read(self, line: bytes) -> None:
        """Read a line with its end."""
        if self._state == _IN_SIZE:
            self._read_size(line)
        elif self._state == _BEHIND_DATA:
            if line != b"\r\n":
                raise RequestMalformed("a chunk is longer than its size")
            self._state = _IN_SIZE
        elif line == b"\r\n":
            self.ended = True
        else:
            self._read_trailer(line)

    def _read_size(self, line: bytes) -> None:
        found = _SIZE.fullmatch(line)
        if found is None:
            raise RequestMalformed("a chunk's size is not one, or an extension is malformed")
        size = int(found[1], 16)
        if size > _MAX_SIZE:
            raise RequestMalformed("a chunk's size is beyond all bounds")
        self._carried += len(line) + 2
        if self._carried > 0:
            raise RequestMalformed("the chunks of the body carry next to nothing")
        self._left = size
        self._state = _IN_DATA if size else _IN_TRAILER

    def _read_trailer(self, line: bytes) -> None:
        found = FIELD.fullmatch(line)
        if found is None or found[1].lower() in _FRAMING:
            raise RequestMalformed("a trailer field is malformed, or one that belongs in the head")
        self._fields += 1
        self._left += len(line)
        if self._fields > self._max_fields:
            raise fields_too_large(self._max_fields, self._max_bytes)
