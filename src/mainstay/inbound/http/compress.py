"""Packing answers: which are packed, and by what (RFC 9110, sections 8.4 and 12.5.3).

Small bodies are not (packing costs more than it saves), nor types that are packed by nature, nor what says
``Cache-Control: no-transform`` or has a coding already. A secret that an answer shows may be guessed from the length of
its packed form by a page of another origin that makes a browser send requests with the user's cookies (BREACH): what
shows a secret, sets a cookie, or was asked for with cookies by who is not of the same origin, is sent as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from mainstay.inbound.http.codings import Choice, Coding, Compressor, Wanted, codings
from mainstay.inbound.http.negotiate import matches
from mainstay.inbound.http.options import HttpOptions
from mainstay.kernel.call import Reply

COMPRESSIBLE = (
    "text/csv",
    "text/plain",
    "text/html",
    "text/css",
    "text/javascript",
    "text/xml",
    "application/javascript",
    "application/json",
    "application/x-ndjson",
    "application/xml",
    "application/vnd.msgpack",
    "application/msgpack",
    "application/x-msgpack",
    "image/svg+xml",
)
"""Media types that become smaller. A stream of events is none of them: a proxy that gathers input would hold them."""

VARY = b"Vary: Accept-Encoding\r\n"
PLAIN = Wanted((), True)
_SLICE = 64 << 10
_OWN_SITE = (b"same-origin", b"none")

Headers = Mapping[bytes, bytes]


def compressible(media: str, more: Sequence[str] = ()) -> bool:
    """Whether a body of a media type becomes smaller; ``more`` are further types or patterns such as ``text/*``."""
    media = media.partition(";")[0].strip().lower()
    if media.endswith(("+json", "+xml")):
        return True
    return any(matches(pattern, media) for pattern in (*COMPRESSIBLE, *more))


class Packed(NamedTuple):
    """A body as it is sent, with the coding that it is in."""

    body: bytes
    coding: Coding | None = None
    stream: AsyncIterator[bytes] | None = None


class Packing:
    """Packs the answers of one door. ``least`` is the size in bytes from which on a body is packed."""

    def __init__(self, options: HttpOptions) -> None:
        self.offered: tuple[Coding, ...] = codings(options.codings) if options.compress else ()
        self.least = options.compress_least
        self._inline = options.compress_inline
        self._more = options.compress_types
        self._choice = Choice(self.offered)

    def fits(self, media: str) -> bool:
        """Whether answers of a media type may be packed."""
        return bool(self.offered) and compressible(media, self._more)

    def refuses_all(self, field: bytes) -> bool | None:
        """Whether an Accept-Encoding lets nothing be sent; None where plain bytes may be, as usual."""
        wanted = self._choice.of(field)
        return None if wanted.plain else not wanted.codings

    def wanted(self, headers: Headers) -> Wanted:
        """Return what a request lets be sent. Without the field anything may be, and plain bytes are safest."""
        field = headers.get(b"accept-encoding")
        if field is None:
            return PLAIN
        wanted = self._choice.of(field)
        if wanted.plain and b"cookie" in headers and headers.get(b"sec-fetch-site") not in _OWN_SITE:
            return PLAIN
        return wanted

    def reply(self, coding: Coding, reply: Reply, *, always: bool = False) -> Packed:
        """Return the body of a reply packed, or as it is where that is no gain and not asked for ``always``.

        A big one is packed in a thread while it is sent.
        """
        body = reply.body
        if reply.stream is not None:
            return Packed(b"", coding, PackedStream(reply.stream, coding.begin()))
        if len(body) > self._inline:
            return Packed(b"", coding, PackedBody(body, coding.begin()))
        packed = coding.pack(body)
        return Packed(packed, coding) if always or len(packed) < len(body) else Packed(body)


def may_pack(reply: Reply, least: int) -> bool:
    """Whether a reply of a fitting media type may be packed, by its size and by what it carries."""
    if reply.secret or reply.file is not None or reply.status in (204, 206):
        return False
    if reply.stream is None and len(reply.body) < least:
        return False
    return not (reply.headers and any(_keeps(name.lower(), value) for name, value in reply.headers))


def _keeps(name: str, value: str) -> bool:
    return name in ("content-encoding", "set-cookie") or (name == "cache-control" and "no-transform" in value.lower())


class PackedBody(AsyncIterator[bytes]):
    """A big body, packed slice by slice in a thread, so that the loop goes on meanwhile."""

    __slots__ = ("_at", "_body", "_compressor")

    def __init__(self, body: bytes, compressor: Compressor) -> None:
        self._body = memoryview(body)
        self._at = 0
        self._compressor: Compressor | None = compressor

    async def __anext__(self) -> bytes:
        """Return the next part."""
        if self._compressor is None:
            raise StopAsyncIteration
        return await asyncio.to_thread(self._next, self._compressor)

    def _next(self, compressor: Compressor) -> bytes:
        part = bytes(self._body[self._at : self._at + _SLICE])
        self._at += len(part)
        packed = compressor.part(part)
        if self._at >= len(self._body):
            self._compressor = None
            packed += compressor.end()
        return packed


class PackedStream(AsyncIterator[bytes]):
    """A stream whose items are packed one by one: each can be read as soon as it has arrived."""

    __slots__ = ("_compressor", "_items")

    def __init__(self, items: AsyncIterator[bytes], compressor: Compressor) -> None:
        self._items = items
        self._compressor: Compressor | None = compressor

    async def __anext__(self) -> bytes:
        """Return the next item packed, at the end what ends the packing."""
        compressor = self._compressor
        if compressor is None:
            raise StopAsyncIteration
        try:
            return compressor.part(await anext(self._items))
        except StopAsyncIteration:
            self._compressor = None
            return compressor.end()

    async def aclose(self) -> None:
        """End the stream that is packed, begun or not."""
        self._compressor = None
        closer = getattr(self._items, "aclose", None)
        if closer is not None:
            await closer()
