"""multipart/form-data (RFC 7578) as it arrives: files to their spools, fields to memory, all of it bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from hashlib import blake2b
from typing import Any

import msgspec
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.negotiate import split_media
from mainstay.inbound.http.problems import RequestMalformed
from mainstay.inbound.http.spool import Spool
from mainstay.kernel.call import Call
from mainstay.kernel.received import Received
from mainstay.model.inputs import Upload
from mainstay.model.problem import TooLarge, UnsupportedMedia

MAX_PARTS = 64
MAX_PART_HEADERS = 16 << 10  # bytes of the header fields of one part
MAX_FIELDS = 1 << 20  # bytes of all parts together that are no files: those are kept in memory

OCTETS = "application/octet-stream"
FORM = "multipart/form-data"


class FormMalformed(RequestMalformed):
    """The body is not well-formed multipart/form-data."""


def boundary_of(parameters: dict[str, str]) -> bytes:
    """Return the boundary of a form. Raises ``UnsupportedMedia`` where it has none that RFC 2046 allows."""
    boundary = parameters.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise UnsupportedMedia("multipart/form-data: expected a boundary of 1 to 70 characters")
    return boundary.encode("ascii")


class _Part:
    """One part of a form: a file where it has a filename, else a field."""

    __slots__ = ("filename", "is_file", "media_type", "name", "spool", "text")

    def __init__(self) -> None:
        self.name = ""
        self.filename: str | None = None
        self.is_file = False
        self.media_type = OCTETS
        self.spool: Spool | None = None
        self.text = bytearray()


class _Events:
    """Takes the parser's events. What has come of files since the last look stands in ``pending``."""

    def __init__(self) -> None:
        self.parts: list[_Part] = []
        self.pending: list[tuple[_Part, bytes]] = []
        self.ended = False
        self._in_fields = 0
        self._headers = 0
        self._name = bytearray()
        self._value = bytearray()

    def on_part_begin(self) -> None:
        if len(self.parts) == MAX_PARTS:
            raise FormMalformed(f"the form has more than {MAX_PARTS} parts")
        self.parts.append(_Part())
        self._headers = 0

    def _count(self, size: int) -> None:
        self._headers += size
        if self._headers > MAX_PART_HEADERS:
            raise FormMalformed(f"the header fields of a part are larger than {MAX_PART_HEADERS} bytes")

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count(end - start)
        self._value += data[start:end]

    def on_header_end(self) -> None:
        name, value = bytes(self._name).lower(), bytes(self._value)
        self._name.clear()
        self._value.clear()
        part = self.parts[-1]
        if name == b"content-disposition":
            _, options = parse_options_header(value)
            part.name = options.get(b"name", b"").decode("utf-8", "replace")
            filename = options.get(b"filename")
            if filename is not None:
                part.is_file = True
                part.filename = base_name(filename)
        elif name == b"content-type":
            part.media_type = split_media(value.decode("latin-1"))[0] or part.media_type

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if part.is_file:
            self.pending.append((part, data[start:end]))
            return
        self._in_fields += end - start
        if self._in_fields > MAX_FIELDS:
            raise TooLarge(f"the fields of the form are larger than {MAX_FIELDS} bytes", limit=MAX_FIELDS)
        part.text += data[start:end]

    def on_end(self) -> None:
        self.ended = True


_CALLBACKS = ("on_part_begin", "on_header_field", "on_header_value", "on_header_end", "on_part_data", "on_end")


def base_name(raw: bytes) -> str | None:
    """Return the last part of a file name: a client's folders say nothing here, and must not lead anywhere."""
    name = raw.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    cleaned = "".join(c for c in name if c.isprintable()).strip()[:255]
    return None if cleaned in ("", ".", "..") else cleaned


class Reader:
    """Reads one body of files and fields. What it opened is let go of when the running task, the call's, has ended.

    ``boundary`` is that of a form; without one the body is a file as it stands. ``digest`` asks for that of all of it.
    """

    def __init__(self, inflow: Inflow, boundary: bytes | None, folder: str | None, *, digest: bool = False) -> None:
        self._inflow = inflow
        self._boundary = boundary
        self._folder = folder
        self._digest = blake2b(digest_size=20) if digest else None
        self._spools: list[Spool] = []

    async def __call__(self, media_type: str = OCTETS) -> Received:
        """Wait for the body and return it. Raises ``FormMalformed``, ``NoRoom``, and what ``Inflow.parts`` does."""
        task = asyncio.current_task()
        if task is not None:
            task.add_done_callback(self._let_go)
        if self._boundary is None:
            received = await self._file(media_type)
        else:
            received = await self._form(self._boundary)
        if self._digest is not None:
            received.digest = self._digest.digest()
        return received

    async def _file(self, media_type: str) -> Received:
        spool = self._spool()
        async for data in self._inflow.parts():
            if self._digest is not None:
                self._digest.update(data)
            await spool.add(data)
        return Received(files=[("", Upload(spool, media_type=media_type))])

    async def _form(self, boundary: bytes) -> Received:
        events = _Events()
        parser = MultipartParser(boundary, {name: getattr(events, name) for name in _CALLBACKS})  # type: ignore[arg-type]  # a dict of the same keys
        try:
            async for data in self._inflow.parts():
                parser.write(data)
                if events.pending:
                    await self._store(events)
            parser.finalize()
        except MultipartParseError as error:
            raise FormMalformed from error
        if not events.ended:
            raise FormMalformed("the form has no end: its last boundary is missing")
        return self._received(events.parts)

    async def _store(self, events: _Events) -> None:
        """Put what has come to the files that it is of, one write for each."""
        pending, events.pending = events.pending, []
        at = 0
        while at < len(pending):
            part, end = pending[at][0], at + 1
            while end < len(pending) and pending[end][0] is part:
                end += 1
            data = pending[at][1] if end == at + 1 else b"".join([each for _, each in pending[at:end]])
            if part.spool is None:
                part.spool = self._spool()
                self._tell(part)
            if self._digest is not None:
                self._digest.update(data)
            await part.spool.add(data)
            at = end

    def _tell(self, part: _Part) -> None:
        """Add to the digest where a part begins, and which."""
        if self._digest is not None:
            self._digest.update(repr((part.name, part.filename, part.media_type)).encode("utf-8", "backslashreplace"))

    def _received(self, parts: list[_Part]) -> Received:
        received = Received(files=[], fields=[])
        for part in parts:
            if part.is_file:
                spool = part.spool or self._spool()
                upload = Upload(spool, media_type=part.media_type, filename=part.filename)
                received.files.append((part.name, upload))
            else:
                received.fields.append((part.name, _text(part)))
        if self._digest is not None:
            sizes = [upload.size for _, upload in received.files]
            self._digest.update(repr((received.fields, sizes)).encode("utf-8", "backslashreplace"))
        return received

    def _spool(self) -> Spool:
        self._spools.append(Spool(self._folder))
        return self._spools[-1]

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        """Close the files; in a thread, because freeing the blocks of a large one takes its time."""
        loop = task.get_loop()
        for spool in self._spools:
            spool.closed = True
            if loop.is_closed():
                spool.close()
            else:
                loop.run_in_executor(None, spool.close)


def _text(part: _Part) -> str:
    try:
        return part.text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormMalformed("a field of the form is not UTF-8 text") from error


class Uploads(msgspec.Struct, frozen=True):
    """How an operation takes files: ``window`` bytes are read ahead, the large ones are in ``folder`` meanwhile."""

    window: int
    folder: str

    def reader(self, inflow: Inflow, field: str, call: Call) -> Callable[[], Coroutine[Any, Any, Received]]:
        """Return what waits for the files of a call; ``field`` is its Content-Type. Raises ``UnsupportedMedia``."""
        inflow.window = self.window
        media, parameters = split_media(field)
        boundary = boundary_of(parameters) if media == FORM else None
        keyed = call.idempotency_key is not None
        return partial(Reader(inflow, boundary, self.folder or None, digest=keyed), media or OCTETS)
