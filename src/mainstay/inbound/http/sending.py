"""Answers that are sent in parts: streams, files, and spans of files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from mainstay.inbound.http.exchange import Answer
from mainstay.inbound.http.segments import OpenFile, Piece

Write = Callable[[bytes], None]
Drained = Callable[[], Awaitable[None] | None]
"""Returns an awaitable where the client is behind: wait for it before the next part."""

SendFile = Callable[[OpenFile, int, int], Awaitable[None]]
"""Sends a file from one position to before another by the system's own means."""

_WORTH = 256 << 10
"""Bytes of a file from which on the system's own means are worth their set-up."""

_TURN = 32
"""Parts of a stream after which others have a turn: one that waits for nothing, and a client that is as fast, would
else have the loop for themselves."""


async def opened(answer: Answer) -> Answer:
    """Return an answer as it is now that its file was opened. Raises ``OSError`` where that cannot be."""
    return answer if answer.later is None else await answer.later()


class Parts:
    """The body of an answer part by part. ``length`` is None where it is not known before the end."""

    __slots__ = ("_segments", "_stream", "length")

    def __init__(self, answer: Answer) -> None:
        self._stream = answer.stream
        self._segments = answer.segments
        self.length = answer.length if answer.segments is None else answer.segments.length

    async def __aiter__(self) -> AsyncIterator[bytes]:
        if self._stream is not None:
            taken = 0
            async for part in self._stream:
                if part:
                    yield part
                    taken += 1
                    if not taken % _TURN:
                        await asyncio.sleep(0)
        elif self._segments is not None:
            async for part in self._segments:
                yield part

    async def send(self, write: Write, drained: Drained, *, chunked: bool, send_file: SendFile | None = None) -> None:
        """Write all parts, no faster than the client takes them; ``chunked`` frames them (RFC 9112, section 7.1)."""
        if self._segments is not None and send_file is not None:
            await self._send_segments(write, drained, send_file)
            return
        async for part in self:
            write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
            waiting = drained()
            if waiting is not None:
                await waiting
        if chunked:
            write(b"0\r\n\r\n")

    async def _send_segments(self, write: Write, drained: Drained, send_file: SendFile) -> None:
        for part in self._segments.parts if self._segments is not None else ():
            if isinstance(part, bytes):
                write(part)
            elif isinstance(part.source, OpenFile) and part.span.stop - part.span.start >= _WORTH:
                await send_file(part.source, part.span.start, part.span.stop)
            else:
                await _send_piece(part, write, drained)

    async def close(self) -> None:
        """Let go of the stream or the file, whether it was sent or not."""
        closer = getattr(self._stream, "aclose", None)
        if closer is not None:
            await closer()
        if self._segments is not None:
            self._segments.close()


async def _send_piece(piece: Piece, write: Write, drained: Drained) -> None:
    async for part in piece:
        write(part)
        waiting = drained()
        if waiting is not None:
            await waiting
