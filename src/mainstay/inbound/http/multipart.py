"""multipart/form-data (RFC 7578): the first file part of a body is the upload."""

from __future__ import annotations

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from mainstay.inbound.http.body import Inflow
from mainstay.inbound.http.negotiate import split_media
from mainstay.inbound.http.problems import RequestMalformed
from mainstay.kernel.call import Call
from mainstay.model.problem import UnsupportedMedia

MAX_PARTS = 64
MAX_PART_HEADERS = 16 << 10  # bytes of the header fields of one part


class PartMissing(RequestMalformed):
    """The form has no file part."""


class FormMalformed(RequestMalformed):
    """The body is not well-formed multipart/form-data."""


class _Part:
    __slots__ = ("data", "filename", "is_file", "media_type")

    def __init__(self) -> None:
        self.data = bytearray()
        self.filename: str | None = None
        self.is_file = False
        self.media_type = "application/octet-stream"


def boundary_of(parameters: dict[str, str]) -> bytes:
    """Return the boundary of a form. Raises ``UnsupportedMedia`` where it has none that RFC 2046 allows."""
    boundary = parameters.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise UnsupportedMedia("multipart/form-data: expected a boundary of 1 to 70 characters")
    return boundary.encode("ascii")


class _Reader:
    """Takes the parser's events and keeps the first part that is a file."""

    def __init__(self) -> None:
        self.found: _Part | None = None
        self._part = _Part()
        self._parts = 0
        self._headers = 0
        self._name = bytearray()
        self._value = bytearray()

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise FormMalformed(f"the form has more than {MAX_PARTS} parts")
        self._part = _Part()
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
        if name == b"content-disposition":
            _, options = parse_options_header(value)
            filename = options.get(b"filename")
            if filename is not None:
                self._part.is_file = True
                self._part.filename = _base_name(filename)
        elif name == b"content-type":
            self._part.media_type = split_media(value.decode("latin-1"))[0] or self._part.media_type

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._part.is_file and self.found is None:
            self._part.data += data[start:end]

    def on_part_end(self) -> None:
        if self._part.is_file and self.found is None:
            self.found = self._part


def _base_name(raw: bytes) -> str | None:
    """Return the last part of a file name: a client's folders say nothing here, and must not lead anywhere."""
    name = raw.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    cleaned = "".join(c for c in name if c.isprintable()).strip()[:255]
    return None if cleaned in ("", ".", "..") else cleaned


def first_file(body: bytes, boundary: bytes) -> _Part:
    """Return the first file part of a form. Raises ``FormMalformed`` and ``PartMissing``."""
    reader = _Reader()
    names = ("on_part_begin", "on_header_field", "on_header_value", "on_header_end", "on_part_data", "on_part_end")
    ended: list[bool] = []
    callbacks = {name: getattr(reader, name) for name in names} | {"on_end": lambda: ended.append(True)}
    parser = MultipartParser(boundary, callbacks)  # type: ignore[arg-type]  # a dict of the same keys
    try:
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise FormMalformed from error
    if not ended:
        raise FormMalformed("the form has no end: its last boundary is missing")
    if reader.found is None:
        raise PartMissing("send the file as a part with a filename")
    return reader.found


async def read_part(inflow: Inflow, call: Call, boundary: bytes) -> bytes:
    """Wait for the form, set name and media type of its first file on the call, and return the file's bytes."""
    part = first_file(await inflow.read(), boundary)
    call.filename = part.filename
    call.media_type = part.media_type
    return bytes(part.data)
