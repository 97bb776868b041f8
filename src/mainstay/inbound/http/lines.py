"""The lines of a request's head, held to the grammar to the letter (RFC 9110 and RFC 9112).

The parser behind it tolerates what two parties on a path may read differently: more spaces than one between the parts
of the request line, line feeds and carriage returns before it, other protocols' names. Here all of that is refused.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from mainstay.inbound.http.problems import (
    HeadersTooLarge,
    MethodUnknown,
    PathMalformed,
    RequestMalformed,
    TargetTooLong,
    VersionNotSupported,
)

HEAD_END = b"\r\n\r\n"
FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[\t -~\x80-\xff]*\r\n")
"""A header or trailer field with the end of its line."""

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE | re.DOTALL)
_HOST = re.compile(rb"(?:[A-Za-z0-9._~-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{0,5}))?")
_INVISIBLE = re.compile(rb"[^ -~]")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_MAX_METHOD = 32
_AROUND = _MAX_METHOD + len(b"  HTTP/1.1")  # of a request line, beside its target

METHODS = frozenset(
    b"GET HEAD POST PUT PATCH DELETE OPTIONS TRACE QUERY COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK BIND "
    b"REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE MKCALENDAR LINK UNLINK PURGE SUBSCRIBE UNSUBSCRIBE NOTIFY "
    b"M-SEARCH".split()
)
"""The methods that routes may have; CONNECT, which asks for a tunnel, is not among them."""


class Line(NamedTuple):
    """A request line: its bytes with their CRLF, the method, the target in origin-form (or ``*``), and what it implies.

    ``authority`` stands for the Host field where the target was in absolute-form (RFC 9112, section 3.2.2).
    """

    raw: bytes
    method: bytes
    target: bytes
    http10: bool
    authority: bytes | None


NO_LINE = Line(HEAD_END * 2, b"-", b"", False, None)
"""Stands where no line has been read: no head begins with it."""


def read_line(head: bytes, max_target: int) -> Line:
    """Return the request line that ``head`` begins with, whose end is there. Raises the Problem of what is none."""
    raw = head[: head.index(b"\n") + 1]
    check_start(raw.removesuffix(b"\r\n"), max_target)
    parts = raw.removesuffix(b"\r\n").split(b" ")
    if len(parts) != 3 or not raw.endswith(b"\r\n"):
        raise RequestMalformed("the request line is not a method, a target and a version with one space between them")
    method, target, version = parts
    if _TOKEN.fullmatch(method) is None or _VERSION.fullmatch(version) is None:
        raise RequestMalformed("the request line is not that of HTTP")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise VersionNotSupported
    if method not in METHODS:
        raise MethodUnknown
    if len(target) > max_target:
        raise TargetTooLong(f"path and query are longer than {max_target} bytes")
    target, authority = _aimed(method, target)
    return Line(raw, method, target, version == b"HTTP/1.0", authority)


def check_start(start: bytes, max_target: int) -> None:
    """Check the beginning of a request line, without its CRLF, for what no end of it could make good.

    However much of a line is there, what is refused here is refused of the whole line, with the same Problem.
    """
    method = start[: _MAX_METHOD + 1].partition(b" ")[0]
    if len(method) > _MAX_METHOD:
        raise MethodUnknown if _TOKEN.fullmatch(method) else RequestMalformed("the request line is not that of HTTP")
    longest = max_target + _AROUND
    if start and (_INVISIBLE.search(start, 0, longest) is not None or _TOKEN.fullmatch(method) is None):
        raise RequestMalformed("the request line is not that of HTTP")
    if len(start) > longest:
        raise TargetTooLong(f"path and query are longer than {max_target} bytes")


def _aimed(method: bytes, target: bytes) -> tuple[bytes, bytes | None]:
    """Return the target in origin-form, or ``*``, and the authority of an absolute one."""
    if b"#" in target:
        raise PathMalformed("a request target has no fragment")
    if target[:1] == b"/" or (target == b"*" and method == b"OPTIONS"):
        return target, None
    found = _ABSOLUTE.fullmatch(target)
    if found is None:
        raise PathMalformed("the request target must begin with a slash")
    authority, rest = found.groups()
    if not is_host(authority):
        raise PathMalformed("the request target: its authority is no host with an optional port")
    if not rest:
        return (b"*" if method == b"OPTIONS" else b"/"), authority
    return (rest if rest[:1] == b"/" else b"/" + rest), authority


def is_host(value: bytes) -> bool:
    """Whether a Host field is a host with an optional port: no user, no path, no list, and not nothing."""
    found = _HOST.fullmatch(value)
    return found is not None and (not found[1] or int(found[1]) <= 65535)


class Head:
    """A head that arrives in pieces. It is kept, and refused as soon as it cannot become a good one.

    What is refused, and how, does not depend on the pieces. ``whole`` is set when its end is there.
    """

    __slots__ = ("_bytes", "_checked", "_fields", "_first", "_max_bytes", "_max_fields", "_max_target", "whole")

    def __init__(self, max_target: int, max_bytes: int, max_fields: int) -> None:
        self._max_target = max_target
        self._max_bytes = max_bytes
        self._max_fields = max_fields
        self._bytes = bytearray()
        self._checked = 0  # up to here there are complete lines, and good ones
        self._first = -1  # where the header fields begin
        self._fields = 0
        self.whole: bytes | None = None

    def take(self, data: bytes, at: int) -> int:
        """Take input from ``at`` up to the end of the head; return the position behind it. Raises the Problem."""
        kept = self._bytes
        before = len(kept)
        room = self._max_target + _AROUND + self._max_bytes + 8 - before
        kept += data[at : at + room]
        end = kept.find(HEAD_END, max(0, before - 3))
        if end < 0:
            self._check(before)
            return min(len(data), at + room)
        self.whole = bytes(kept[: end + 4])
        return at + end + 4 - before

    def check(self, head: bytes) -> None:
        """Check a whole head as if it had come in pieces. Raises the Problem that is first then."""
        self._bytes += head[: self._max_target + _AROUND + self._max_bytes + 8]
        self._check(0)

    def _check(self, before: int) -> None:
        """Check what is there, of which so much has been checked ``before``."""
        kept = self._bytes
        while (end := kept.find(b"\n", max(self._checked, before))) >= 0:
            self._check_line(bytes(kept[self._checked : end + 1]), end + 1)
            self._checked = end + 1
        end = len(kept) - kept.endswith(b"\r")
        if self._first < 0:
            check_start(bytes(kept[self._checked : end]), self._max_target)
        elif _CONTROL.search(kept, max(self._checked, before - 1), end) or kept.startswith(
            (b" ", b"\t"), self._checked
        ):
            raise RequestMalformed("a line of the head is not a header field")
        self._bound(len(kept))

    def _check_line(self, line: bytes, end: int) -> None:
        if self._first < 0:
            if self._checked == 0 and line == b"\r\n":  # one empty line may stand before a request
                return
            read_line(line, self._max_target)
            self._first = end
        elif line != b"\r\n":
            self._bound(end)
            if FIELD.fullmatch(line) is None:
                raise RequestMalformed("a line of the head is not a header field")
            self._fields += 1
            if self._fields > self._max_fields:
                raise fields_too_large(self._max_fields, self._max_bytes)

    def _bound(self, end: int) -> None:
        if self._first >= 0 and end - self._first > self._max_bytes + 2:
            raise fields_too_large(self._max_fields, self._max_bytes)


def fields_too_large(fields: int, size: int) -> HeadersTooLarge:
    """Return the refusal of header fields over their bounds."""
    return HeadersTooLarge(f"at most {fields} header fields of {size} bytes together")
