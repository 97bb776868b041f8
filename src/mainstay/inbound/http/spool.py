"""Where the bytes of an upload are while its call lasts: a few in memory, more than that in a temporary file."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from mainstay.model.problem import Unavailable

IN_MEMORY = 256 << 10
"""Bytes of one file that are kept in memory; one that is larger is on disk from there on."""

_PART = 256 << 10
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)

T = TypeVar("T")


class NoRoom(Unavailable, hint="Try again later, or send a smaller file."):
    """There is no room to take a file."""


class Spool:
    """The bytes of one file: written once by ``add``, then read as often as wanted, until ``close``.

    The temporary file has no name, so that it is gone with the process however that ends. Work on it is done in
    threads. ``folder`` is where it is made; None is the system's place for temporary files.
    """

    __slots__ = ("_file", "_folder", "_held", "closed", "size")

    def __init__(self, folder: str | None = None) -> None:
        self._folder = folder
        self._held: list[bytes] = []
        self._file: BinaryIO | None = None
        self.size = 0
        self.closed = False

    async def add(self, data: bytes) -> None:
        """Take the next bytes. Raises ``NoRoom`` where the disk is full, ``OSError`` where it fails."""
        self.size += len(data)
        if self._file is None:
            self._held.append(data)
            if self.size <= IN_MEMORY:
                return
        await self._in_thread(lambda: self._write(data))

    def _write(self, data: bytes) -> None:
        try:
            if self._file is None:
                self._file = _unnamed(self._folder)
                held, self._held = self._held, []
                data = b"".join(held)
            _write_all(self._file.fileno(), data)
        except OSError as error:
            if error.errno in _NO_ROOM:
                raise NoRoom from error
            raise

    async def _in_thread(self, work: Callable[[], T]) -> T:
        """Do work on the file in a thread, to its end: a call that is cancelled must not close the file under it."""
        running = asyncio.get_running_loop().run_in_executor(None, work)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait({running})
            raise

    def _open(self) -> BinaryIO | None:
        if self.closed:
            raise RuntimeError("an upload is gone when its call has ended: save it, or put it to Blobs, before that")
        return self._file

    async def read(self) -> AsyncIterator[bytes]:
        """Give all bytes, in parts. Raises ``RuntimeError`` once the call has ended."""
        file = self._open()
        if file is None:
            for part in self._held:
                yield part
            return
        at = 0
        while at < self.size:
            self._open()
            part = await self._in_thread(partial(os.pread, file.fileno(), _PART, at))
            if not part:
                raise OSError("the temporary file of an upload became shorter")
            at += len(part)
            yield part

    async def save(self, path: Path) -> None:
        """Write all bytes to a file, which is there whole or not at all. Raises ``OSError``."""
        self._open()
        await self._in_thread(lambda: self._save(path))

    def _save(self, path: Path) -> None:
        with _replacing(path) as target:
            if self._file is None:
                _write_all(target.fileno(), b"".join(self._held))
            else:
                _copy(self._file.fileno(), target.fileno(), self.size)

    def close(self) -> None:
        """Let go of the bytes. Closing frees the file's blocks, which takes its time for a large one."""
        self.closed = True
        self._held.clear()
        file, self._file = self._file, None
        if file is not None:
            file.close()


def _unnamed(folder: str | None) -> BinaryIO:
    return tempfile.TemporaryFile(dir=folder or None)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside ``path`` that takes its place when the block has ended well."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:64]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            os.fchmod(file.fileno(), 0o666 & ~_umask())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _write_all(file: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _umask() -> int:
    """Return the process's mask, which can be read only by setting it; from a file where Linux tells."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077


def _copy(source: int, target: int, size: int) -> None:
    """Copy a file from its beginning, without passing its bytes through this process."""
    at = 0
    while at < size:
        done = os.sendfile(target, source, at, min(size - at, 1 << 30))
        if not done:
            raise OSError("the temporary file of an upload became shorter")
        at += done
