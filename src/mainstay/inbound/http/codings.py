"""Content codings: which there are, which a client wants, and how each packs and unpacks (RFC 9110, section 8.4).

gzip and deflate are Python's own; brotli and zstd come with the extra ``compress``, and are offered where it is
installed. What is packed for one answer is packed at a level that costs less than it saves on a usual network; what is
packed once, at start-up, at a better one.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from mainstay.inbound.http.negotiate import quality

IDENTITY = "identity"
PREFERRED = ("zstd", "br", "gzip")
"""The codings of answers, the best first."""

_GZIP_WINDOW = 31  # zlib's number for the largest window in the gzip format
_LEVELS = {"gzip": (4, 9), "br": (4, 9), "zstd": (3, 12)}  # of one answer, of a document
MAX_ZSTD_WINDOW = 23  # 8 MiB, the most that a receiver must take (RFC 9659)
_PACKAGES = {"br": "brotli", "zstd": "backports.zstd" if sys.version_info < (3, 14) else "compression.zstd"}
_KEPT = 512  # of the fields that were read: clients send few different ones


class CodingMissing(Exception):
    """A coding was asked for that is unknown or not installed. The message says what to do."""


class Compressor(Protocol):
    """Packs one body part by part."""

    def part(self, data: bytes) -> bytes:
        """Return what can be sent of a part, so that all of it can be read."""

    def end(self) -> bytes:
        """Return the rest."""


class Coding(NamedTuple):
    """One coding of answers: its name and header line, how to pack a whole body, and how to begin one in parts."""

    name: str
    line: bytes
    pack: Callable[[bytes], bytes]
    pack_well: Callable[[bytes], bytes]
    begin: Callable[[], Compressor]


class _Gzip:
    def __init__(self) -> None:
        self._pack = zlib.compressobj(_LEVELS["gzip"][0], zlib.DEFLATED, _GZIP_WINDOW)

    def part(self, data: bytes) -> bytes:
        return self._pack.compress(data) + self._pack.flush(zlib.Z_SYNC_FLUSH)

    def end(self) -> bytes:
        return self._pack.flush()


class _Brotli:
    def __init__(self) -> None:
        self._pack = brotli_module().Compressor(quality=_LEVELS["br"][0])

    def part(self, data: bytes) -> bytes:
        packed: bytes = self._pack.process(data) + self._pack.flush()
        return packed

    def end(self) -> bytes:
        packed: bytes = self._pack.finish()
        return packed


class _Zstd:
    def __init__(self) -> None:
        self._pack = zstd_module().ZstdCompressor(level=_LEVELS["zstd"][0])

    def part(self, data: bytes) -> bytes:
        packed: bytes = self._pack.compress(data, self._pack.FLUSH_BLOCK)
        return packed

    def end(self) -> bytes:
        packed: bytes = self._pack.flush()
        return packed


def _gzip(data: bytes, level: int) -> bytes:
    return zlib.compress(data, level, _GZIP_WINDOW)


def _brotli(data: bytes, level: int) -> bytes:
    packed: bytes = brotli_module().compress(data, quality=level)
    return packed


def _zstd(data: bytes, level: int) -> bytes:
    packed: bytes = zstd_module().compress(data, level)
    return packed


_PACK: dict[str, tuple[Callable[[bytes, int], bytes], Callable[[], Compressor]]] = {
    "gzip": (_gzip, _Gzip),
    "br": (_brotli, _Brotli),
    "zstd": (_zstd, _Zstd),
}


def _coding(name: str) -> Coding:
    (usual, well), (pack, begin) = _LEVELS[name], _PACK[name]
    line = f"Content-Encoding: {name}\r\n".encode()
    return Coding(name, line, lambda data: pack(data, usual), lambda data: pack(data, well), begin)


def brotli_module() -> Any:
    """Return the module for brotli."""
    import brotli  # type: ignore[import-untyped]  # it ships no types

    return brotli


def zstd_module() -> Any:
    """Return the module for zstd: Python's own from 3.14 on, before that the same as a package."""
    return import_module(_PACKAGES["zstd"])


def is_installed(name: str) -> bool:
    """Whether what a coding needs is there; it is imported at its first use."""
    package = _PACKAGES.get(name)
    if package is None:
        return True
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # of what it is in
        return False


def codings(names: Sequence[str] | None = None) -> tuple[Coding, ...]:
    """Return the codings of answers in the order of preference: those named, or all that are installed.

    Raises ``CodingMissing`` for a named one that is not there.
    """
    found = []
    for name in PREFERRED if names is None else names:
        if name not in _PACK:
            raise CodingMissing(f"there is no coding {name!r}: known are {', '.join(PREFERRED)}")
        if is_installed(name):
            found.append(_coding(name))
        elif names is not None:
            text = f"the coding {name} needs a package that is not installed: pip install 'mainstay[compress]'"
            raise CodingMissing(text)
    return tuple(found)


class Wanted(NamedTuple):
    """What an Accept-Encoding field lets be sent: codings, the most wanted first, and whether plain bytes may be."""

    codings: tuple[Coding, ...]
    plain: bool


class Choice:
    """Reads Accept-Encoding (RFC 9110, section 12.5.3). Of codings wanted alike, the first of those offered wins."""

    def __init__(self, offered: Sequence[Coding]) -> None:
        self._offered = tuple(offered)
        self._known: dict[bytes, Wanted] = {}

    def of(self, field: bytes) -> Wanted:
        """Return what a field lets be sent."""
        known = self._known.get(field)
        if known is None:
            known = self._read(field.decode("latin-1"))
            if len(self._known) < _KEPT and len(field) <= 256:
                self._known[field] = known
        return known

    def _read(self, field: str) -> Wanted:
        weights = _weights(field)
        others = weights.get("*", 0.0)
        weighed = [(weights.get(coding.name, others), coding) for coding in self._offered]
        plain = weights.get(IDENTITY, weights.get("*", 1.0))
        # Plain bytes are always the last resort, but a client may want them more than anything packed.
        named = weights.get(IDENTITY)
        wanted = [one for one in weighed if one[0] > 0 and (named is None or one[0] >= named)]
        wanted.sort(key=lambda one: -one[0])
        return Wanted(tuple(coding for _, coding in wanted), plain > 0)


def _weights(field: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for part in field.split(","):
        name, *parameters = part.split(";")
        name = name.strip().lower().removeprefix("x-")
        if name:
            weights[name] = max(weights.get(name, 0.0), _weight(parameters))
    return weights


def _weight(parameters: Sequence[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "q":
            return quality(value.strip())
    return 1.0
