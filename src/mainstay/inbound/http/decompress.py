"""Request bodies in a content coding (RFC 9110, section 8.4): unpacked as they arrive, in bounded steps.

A body is refused as soon as it passes the bound of its size, or has become larger than it came by more than a factor:
what a few bytes can be made to hold costs no more than what is accepted. It has one coding; more, or one that is
unknown, are 415 with what is taken (RFC 9110, section 15.5.16). One that ends early, or has more behind it, is 400.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from mainstay.inbound.http.body import Inflow, too_large
from mainstay.inbound.http.codings import IDENTITY, MAX_ZSTD_WINDOW, brotli_module, is_installed, zstd_module
from mainstay.model.problem import Malformed, Problem, TooLarge, UnsupportedMedia

STEP = 64 << 10
"""Bytes that are unpacked at a time."""

_SPARED = 64 << 10  # unpacked bytes before their number is held against those that came
_GZIP_WINDOW, _ZLIB_WINDOW = 31, 15


class CodingMalformed(Malformed):
    """The body is not well-formed in the coding that Content-Encoding names."""


class Unpacker(Protocol):
    """Unpacks one body part by part. ``feed`` raises ``error`` or ``CodingMalformed``."""

    error: type[Exception]

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Give what a part holds, no more than about ``STEP`` bytes at a time."""

    def end(self) -> bool:
        """Whether the body is complete."""


class _Zlib:
    """gzip, of which several may stand one behind the other (RFC 1952), and deflate (RFC 1950)."""

    def __init__(self, window: int) -> None:
        self.error: type[Exception] = zlib.error
        self._window = window
        self._unpack = zlib.decompressobj(window)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._unpack.eof:
                if self._window != _GZIP_WINDOW:
                    raise CodingMalformed("the body goes on behind its end")
                self._unpack = zlib.decompressobj(self._window)
            part = self._unpack.decompress(data, STEP)
            if part:
                yield part
            data = self._unpack.unused_data if self._unpack.eof else self._unpack.unconsumed_tail
            if not data and (self._unpack.eof or len(part) < STEP):
                return

    def end(self) -> bool:
        return self._unpack.eof


class _Brotli:
    def __init__(self) -> None:
        brotli = brotli_module()
        self.error: type[Exception] = brotli.error
        self._unpack = brotli.Decompressor()

    def feed(self, data: bytes) -> Iterator[bytes]:
        while part := self._unpack.process(data, output_buffer_limit=STEP):
            yield part
            data = b""
            if self._unpack.is_finished():
                return

    def end(self) -> bool:
        finished: bool = self._unpack.is_finished()
        return finished


class _Zstd:
    """zstd, of which several frames may stand one behind the other (RFC 8878)."""

    def __init__(self) -> None:
        self._zstd = zstd_module()
        self.error: type[Exception] = self._zstd.ZstdError
        self._begin()

    def _begin(self) -> None:
        bound = {self._zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW}
        self._unpack: Any = self._zstd.ZstdDecompressor(options=bound)

    def feed(self, data: bytes) -> Iterator[bytes]:
        while True:
            if self._unpack.eof:
                self._begin()
            part = self._unpack.decompress(data, STEP)
            if part:
                yield part
            data = self._unpack.unused_data if self._unpack.eof else b""
            if not data and (self._unpack.eof or self._unpack.needs_input):
                return

    def end(self) -> bool:
        ended: bool = self._unpack.eof
        return ended


_UNPACKERS: dict[str, Callable[[], Unpacker]] = {
    "gzip": lambda: _Zlib(_GZIP_WINDOW),
    "deflate": lambda: _Zlib(_ZLIB_WINDOW),
    "br": _Brotli,
    "zstd": _Zstd,
}


def unpacker_of(field: bytes) -> tuple[str, Unpacker] | None:
    """Return the coding that a Content-Encoding field names and what unpacks it, or None where there is none.

    Raises ``UnsupportedMedia``.
    """
    names = [name for part in field.decode("latin-1").split(",") if (name := part.strip().lower())]
    names = [name.removeprefix("x-") for name in names if name != IDENTITY]
    if not names:
        return None
    name = names[0]
    if len(names) == 1 and name in _UNPACKERS and is_installed(name):
        return name, _UNPACKERS[name]()
    taken = ", ".join(one for one in _UNPACKERS if is_installed(one))
    told = "a body may have one coding" if len(names) > 1 else "this content coding is not known here"
    raise UnsupportedMedia(f"{told}: {taken} are", headers={"Accept-Encoding": taken})


class UnpackedInflow(Inflow):
    """Collects a body unpacked. Its ``size`` is that of what came; ``factor`` bounds how much larger it may become."""

    __slots__ = ("_factor", "_name", "_unpacked", "_unpacker")

    def __init__(self, limit: int, name: str, unpacker: Unpacker, factor: int) -> None:
        super().__init__(limit)
        self._name = name
        self._unpacker = unpacker
        self._factor = factor
        self._unpacked = 0

    def feed(self, data: bytes) -> None:
        """Take a part of the body as it came."""
        self.size += len(data)
        if self.size > self.limit:
            self.fail(too_large(self.limit))
        if not self.keep or not data:  # some servers end a body by a part with nothing in it: no member begins with it
            return
        try:
            for part in self._unpacker.feed(data):
                self._bound(len(part))
                self.hold(part)
        except Problem as problem:
            self.fail(problem)
        except self._unpacker.error as error:
            malformed = CodingMalformed(f"the body is not {self._name}, or has more behind it")
            malformed.__cause__ = error
            self.fail(malformed)

    def _bound(self, more: int) -> None:
        self._unpacked += more
        if self._unpacked > self.limit:
            raise too_large(self.limit)
        if self._unpacked > _SPARED + self._factor * self.size:
            raise TooLarge(f"the body becomes more than {self._factor} times as large as it was sent")

    def finish(self) -> None:
        """The body has ended: one that is not complete in its coding is refused."""
        if self.size and not self.over and self.keep and not self._unpacker.end():
            self.fail(CodingMalformed(f"the body ends before its {self._name} coding does"))
        super().finish()
