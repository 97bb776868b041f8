"""Bodies of answers: unpacked as they come, and never more of them than was asked for."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable

from mainstay.ports.http import HttpFailed

CODINGS = "gzip, deflate"
"""What is asked for (RFC 9110, section 12.5.3)."""
_GZIP, _ZLIB = 31, 15  # zlib's numbers of the two forms
_BITS = {"gzip": _GZIP, "x-gzip": _GZIP, "deflate": _ZLIB}


async def read_body(parts: AsyncIterable[bytes], coding: str, bound: int) -> bytes:
    """Return a whole body, unpacked. Raises ``HttpFailed`` for one over ``bound`` bytes, packed or not, or broken."""
    body = _Body(coding.strip().lower(), bound)
    async for part in parts:
        body.take(part)
    return body.whole()


class _Body:
    """What has come of a body. At no time is more of it in memory than the bound and one part."""

    def __init__(self, coding: str, bound: int) -> None:
        if coding not in ("", "identity", *_BITS):
            raise HttpFailed("the body is packed in a way that was not asked for")
        self._bits = _BITS.get(coding)
        self._packed = None if self._bits is None else zlib.decompressobj(self._bits)
        self._bound = bound
        grown = bound // 256 + 1024  # by which what cannot be packed becomes longer
        self._wire = bound if self._packed is None else bound + grown
        self._came = 0
        self._bytes = bytearray()

    def take(self, part: bytes) -> None:
        """Take the next part."""
        self._came += len(part)
        if self._came > self._wire:
            raise self._too_long()
        if self._packed is None or self._bits is None:
            self._bytes += part
            return
        try:
            self._packed = self._unpack(self._packed, self._bits, part)
        except zlib.error:
            raise HttpFailed("the body cannot be unpacked") from None

    def _unpack(self, packed: zlib._Decompress, bits: int, part: bytes) -> zlib._Decompress:
        """Unpack a part, and return what goes on with the next one."""
        while part:
            if packed.eof:  # another member of the same stream (RFC 1952, section 2.2)
                packed = zlib.decompressobj(bits)
            self._bytes += packed.decompress(part, self._bound + 1 - len(self._bytes))
            if len(self._bytes) > self._bound:
                raise self._too_long()
            part = packed.unused_data if packed.eof else packed.unconsumed_tail
        return packed

    def whole(self) -> bytes:
        """Return the body at its end."""
        if self._packed is not None and self._came and not self._packed.eof:
            raise HttpFailed("the packed body ends too early")
        return bytes(self._bytes)

    def _too_long(self) -> HttpFailed:
        return HttpFailed(f"the body has more than {self._bound} bytes")
