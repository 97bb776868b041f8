"""Answers that are sent in parts: streams of unknown length, and files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BufferedReader
from pathlib import Path

from mainstay.inbound.http.exchange import Answer

_PART = 64 << 10

Write = Callable[[bytes], None]
Drained = Callable[[], Awaitable[None] | None]
"""Returns an awaitable where the client is behind: wait for it before the next part."""


def _open(path: Path) -> tuple[BufferedReader, int]:
    file = path.open("rb")
    return file, os.fstat(file.fileno()).st_size


class Parts:
    """The body of an answer part by part. ``length`` is None where it is not known before the end."""

    __slots__ = ("_file", "_stream", "length")

    def __init__(self, stream: AsyncIterator[bytes] | None, file: BufferedReader | None, length: int | None) -> None:
        self._stream = stream
        self._file = file
        self.length = length

    @classmethod
    async def of(cls, answer: Answer) -> Parts:
        """Open what an answer is made of. Raises ``OSError`` for a file that cannot be read."""
        if answer.path is None:
            return cls(answer.stream, None, answer.length)
        file, size = await asyncio.to_thread(_open, answer.path)
        return cls(None, file, size)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._stream is not None:
            async for part in self._stream:
                if part:
                    yield part
        elif self._file is not None:
            left = self.length or 0
            while left and (part := await asyncio.to_thread(self._file.read, min(_PART, left))):
                left -= len(part)
                yield part
            if left:
                raise OSError("the file became shorter while it was sent")

    async def close(self) -> None:
        """Let go of the stream or the file, whether it was sent or not."""
        closer = getattr(self._stream, "aclose", None)
        if closer is not None:
            await closer()
        if self._file is not None:
            self._file.close()


async def send(parts: Parts, write: Write, drained: Drained, *, chunked: bool) -> None:
    """Write all parts, no faster than the client takes them; ``chunked`` frames them (RFC 9112, section 7.1)."""
    async for part in parts:
        write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
        waiting = drained()
        if waiting is not None:
            await waiting
    if chunked:
        write(b"0\r\n\r\n")
