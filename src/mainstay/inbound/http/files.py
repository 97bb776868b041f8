"""Files as answers: what they are called, whether the client has them already, and which part of them it wants."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from hashlib import blake2b
from pathlib import Path
from urllib.parse import quote

from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.fields import line
from mainstay.inbound.http.preconditions import Validators
from mainstay.inbound.http.ranges import Multipart, Span, spans_of
from mainstay.inbound.http.segments import OpenFile, Piece, Segments, in_thread, open_file
from mainstay.model.inputs import Content, File
from mainstay.model.problem import Problem, RangeNotSatisfiable

_AT_ONCE = 256 << 10  # bytes in memory of which a digest is made without a thread

_TAG = re.compile(r"[!#-~\x80-\xff]*")

Refuse = Callable[[Exchange, Problem], Answer]


def file_answer(exchange: Exchange, file: File, status: int, head: bytes, now: datetime, refuse: Refuse) -> Answer:
    """Return the answer of a file: at once where it is small and in memory, else opened only when it is sent.

    ``head`` are the lines that do not depend on the file; ``refuse`` makes the answer of a problem.
    """
    found = _Found(exchange, file, status, head, now)
    content = file.content

    async def later() -> Answer:
        try:
            return await found.opened()
        except Problem as problem:
            return refuse(exchange, problem)

    if not isinstance(content, bytes) or len(content) > _AT_ONCE:
        return Answer(status, head, later=later)
    return found.answer(content, len(content), file.etag or _digest(content), None)


def _digest(content: bytes) -> str:
    return blake2b(content, digest_size=12).hexdigest()


class _Found:
    """One file, for one request."""

    def __init__(self, exchange: Exchange, file: File, status: int, head: bytes, now: datetime) -> None:
        self._exchange = exchange
        self._file = file
        self._status = status
        self._head = head
        self._now = now
        self._disposition = _disposition(file)
        self._named = line("Content-Type", file.media_type) + self._disposition
        if file.etag is not None and _TAG.fullmatch(file.etag) is None:
            raise ValueError("File: etag has visible characters, and no quotes")

    async def opened(self) -> Answer:
        """Open the file and return its answer. Raises ``OSError``, and the Problem of a request that cannot be met."""
        content = self._file.content
        if isinstance(content, Path):
            file = await open_file(content)
            try:
                changed = datetime.fromtimestamp(file.changed_at, UTC)
                answer = self.answer(file, file.size, self._file.etag or file.etag, changed)
            except BaseException:
                file.close()
                raise
            if answer.segments is None:
                file.close()
            return answer
        if isinstance(content, bytes):
            etag = self._file.etag
            if etag is None:
                etag = await in_thread(partial(_digest, content))
            return self.answer(content, len(content), etag, None)
        return self.answer(content, content.size, self._file.etag or content.etag, content.modified)

    def answer(self, source: bytes | OpenFile | Content, size: int, etag: str, modified: datetime | None) -> Answer:
        """Return the answer. Raises ``PreconditionFailed`` and ``RangeNotSatisfiable``."""
        validators = Validators(f'"{etag}"', self._file.modified or modified, self._now)
        headers, asks = self._exchange.headers, self._exchange.method in (b"GET", b"HEAD")
        head = self._head + validators.lines
        if not asks or self._status != 200:
            return _made(self._status, head + self._named, source, [Span(0, size)])
        if validators.known(headers):
            return Answer(304, head)
        head += b"Accept-Ranges: bytes\r\n"
        field = headers.get(b"range")
        spans = None
        if field is not None and self._exchange.method == b"GET" and validators.same(headers.get(b"if-range")):
            spans = spans_of(field.decode("latin-1"), size)
        if spans is None or (not spans and not size):
            return _made(200, head + self._named, source, [Span(0, size)])
        if not spans:
            told = {"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"}
            raise RangeNotSatisfiable(f"the file has {size} bytes", headers=told)
        if len(spans) == 1:
            head += self._named + b"Content-Range: " + spans[0].of(size) + b"\r\n"
            return _made(206, head, source, spans)
        parts = Multipart(secrets.token_hex(16), self._file.media_type.encode("latin-1"), size)
        head += b"Content-Type: " + parts.content_type + b"\r\n" + self._disposition
        return _made(206, head, source, spans, parts)


def _made(
    status: int, head: bytes, source: bytes | OpenFile | Content, spans: list[Span], framing: Multipart | None = None
) -> Answer:
    pieces: list[bytes | Piece] = []
    for span in spans:
        if framing is not None:
            pieces.append(framing.head(span))
        if isinstance(source, bytes):
            pieces.append(source[span.start : span.stop])
        elif span.stop > span.start:
            pieces.append(Piece(source, span))
    if framing is not None:
        pieces.append(framing.end)
    if isinstance(source, bytes):
        return Answer(status, head, b"".join(piece for piece in pieces if isinstance(piece, bytes)))
    return Answer(status, head, segments=Segments(pieces, source if isinstance(source, OpenFile) else None))


def _disposition(file: File) -> bytes:
    """Say under which name to save a file (RFC 6266), in a form for any character (RFC 8187)."""
    if file.filename is None:
        return b"Content-Disposition: inline\r\n" if file.inline else b""
    kind, name = "inline" if file.inline else "attachment", file.filename
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\%' else "_" for c in name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='!#$&+-.^_`|~')}"
    return line("Content-Disposition", f'{kind}; filename="{plain}"{extended}')
