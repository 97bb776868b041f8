"""Bodies made of known pieces: bytes, and spans of files and of stored objects. Their length is known beforehand."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator, Callable, Sequence
from io import FileIO
from pathlib import Path
from typing import TypeVar

from mainstay.inbound.http.ranges import Span
from mainstay.model.inputs import Content

PART = 128 << 10

T = TypeVar("T")


class Changed(OSError):
    """What is being sent is not what it was when its sending began."""


async def in_thread(work: Callable[[], T]) -> T:
    """Do work on a file in a thread, to its end: whoever is cancelled must not close the file under it."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise


class OpenFile:
    """A file that was opened once: one that takes its name afterwards is another, and does not get in.

    One that is written over in place is noticed: nobody gets a part of the old one and a part of the new one as one.
    """

    __slots__ = ("_file", "_stamp", "number", "path", "size")

    def __init__(self, path: Path) -> None:
        self._file: FileIO = path.open("rb", buffering=0)
        try:
            self.number = self._file.fileno()
            found = os.fstat(self.number)
            if not stat.S_ISREG(found.st_mode):
                raise OSError(f"{path.name} is no plain file")
        except BaseException:
            self._file.close()
            raise
        self.path = path
        self.size = found.st_size
        self._stamp = (found.st_mtime_ns, found.st_size)

    @property
    def etag(self) -> str:
        """What tells this file's bytes from others, without quotes."""
        return f"{os.fstat(self.number).st_ino:x}-{self._stamp[0]:x}-{self._stamp[1]:x}"

    @property
    def changed_at(self) -> float:
        """When it was last changed, in seconds since 1970."""
        return self._stamp[0] / 1e9

    def check(self) -> None:
        """Raise ``Changed`` where the file was written to since it was opened."""
        found = os.fstat(self.number)
        if (found.st_mtime_ns, found.st_size) != self._stamp:
            raise Changed(f"{self.path.name} was changed while it was sent")

    def read(self, start: int, size: int) -> bytes:
        """Return bytes. Raises ``Changed``."""
        part = os.pread(self.number, size, start)
        self.check()
        return part

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


async def open_file(path: Path) -> OpenFile:
    """Open a file in a thread. Raises ``OSError``. What is opened for a client that has left is closed again."""
    opening = asyncio.get_running_loop().run_in_executor(None, OpenFile, path)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_again)
        raise


def _close_again(opening: asyncio.Future[OpenFile]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class Piece:
    """A span of a file or of a stored object."""

    __slots__ = ("source", "span")

    def __init__(self, source: OpenFile | Content, span: Span) -> None:
        self.source = source
        self.span = span

    async def __aiter__(self) -> AsyncIterator[bytes]:
        at, stop = self.span
        if isinstance(self.source, OpenFile):
            read = self.source.read
            while at < stop:
                start, size = at, min(PART, stop - at)
                part = await in_thread(lambda start=start, size=size: read(start, size))  # type: ignore[misc]  # defaults fix them
                if not part:
                    raise Changed("the file became shorter while it was sent")
                at += len(part)
                yield part
            return
        reading = self.source.read(at, stop)
        try:
            async for part in reading:
                at += len(part)
                if at > stop:
                    raise Changed("the object gave more than it is large")
                yield part
        finally:
            close = getattr(reading, "aclose", None)
            if close is not None:
                await close()
        if at != stop:
            raise Changed("the object gave less than it is large")


class Segments:
    """A body: bytes and pieces, in order."""

    __slots__ = ("_file", "length", "parts")

    def __init__(self, parts: Sequence[bytes | Piece], file: OpenFile | None = None) -> None:
        self.parts = parts
        self._file = file
        self.length: int = sum(len(p) if isinstance(p, bytes) else p.span.stop - p.span.start for p in parts)

    @property
    def whole_file(self) -> Path | None:
        """The path of the file that the body is, all of it, or None where it is something else."""
        file = self._file
        return file.path if file is not None and len(self.parts) == 1 and self.length == file.size else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            if isinstance(part, bytes):
                yield part
            else:
                async for each in part:
                    yield each

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
