"""Objects as files below a folder of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from mainstay.ports.blobs import Blob, BlobChanged, BlobExists, BlobMissing, Blobs, checked_key

_PART = 256 << 10
_TEMPORARY = "~tmp"  # no key has a ~, so none leads there
_FOLDER = "~"  # what a folder's name ends with: the keys "a" and "a/b" can both be
_STALE = 86_400.0  # seconds after which a temporary file is of a process that died

T = TypeVar("T")


class DiskBlobs(Blobs):
    """Objects as files: the key ``a/b.png`` is ``a~/b.png`` below the root.

    An object is written to a temporary file, synced, and takes its place by a rename: it is there whole or not at all,
    also after a loss of power, and who reads the one before goes on reading that. Several processes may share a root.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._swept = False

    def _path(self, key: str) -> Path:
        *folders, name = checked_key(key).split("/")
        return self._root.joinpath(*(folder + _FOLDER for folder in folders), name)

    async def put(self, key: str, content: bytes | AsyncIterable[bytes], *, replace: bool = True) -> Blob:
        """Store an object. Raises ``OSError`` where the disk fails."""
        path = self._path(key)
        handle, temporary = await _in_thread(self._temporary)
        try:
            if isinstance(content, bytes):
                await _in_thread(partial(_write, handle, content))
            else:
                async for part in content:
                    await _in_thread(partial(_write, handle, part))
            await _in_thread(partial(_settle, handle, temporary, path, replace))
            return await _in_thread(partial(self._blob, key, path))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        finally:
            os.close(handle)

    def _temporary(self) -> tuple[int, Path]:
        folder = self._root / _TEMPORARY
        folder.mkdir(parents=True, exist_ok=True)
        if not self._swept:
            self._swept = True
            _sweep(folder)
        handle, name = tempfile.mkstemp(dir=folder)
        os.fchmod(handle, 0o640)
        return handle, Path(name)

    async def get(self, key: str) -> Blob:
        """Return an object."""
        return await _in_thread(partial(self._blob, key, self._path(key)))

    def _blob(self, key: str, path: Path) -> Blob:
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            raise BlobMissing from None
        etag = _etag(found)
        modified = datetime.fromtimestamp(found.st_mtime, UTC)
        return Blob(key, size=found.st_size, etag=etag, modified=modified, read=partial(_read, path, etag))

    async def exists(self, key: str) -> bool:
        """Whether there is an object of this key."""
        return await _in_thread(self._path(key).exists)

    async def delete(self, key: str) -> None:
        """Remove an object."""
        path = self._path(key)

        def remove() -> None:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                path.unlink()
                _sync(path.parent)

        await _in_thread(remove)

    async def list(self, prefix: str = "", *, after: str = "") -> AsyncIterator[Blob]:
        """Give the objects of a prefix in order. One that is removed meanwhile is left out."""
        keys = self._keys(self._root, "", prefix, after)
        while (key := await _in_thread(partial(next, keys, None))) is not None:
            with contextlib.suppress(BlobMissing):
                yield await self.get(key)

    def _keys(self, folder: Path, above: str, prefix: str, after: str) -> Iterator[str]:
        """Walk the keys below a folder in order, going into none that has no key of the prefix."""
        try:
            with os.scandir(folder) as entries:
                found = sorted(_part(above, entry) for entry in entries if entry.name != _TEMPORARY)
        except (FileNotFoundError, NotADirectoryError):
            return
        for key in found:
            if key.endswith("/"):
                beyond = key < after and not after.startswith(key)
                if (key.startswith(prefix) or prefix.startswith(key)) and not beyond:
                    yield from self._keys(folder / (key[len(above) : -1] + _FOLDER), key, prefix, after)
            elif key.startswith(prefix) and key > after:
                yield key


def _part(above: str, entry: os.DirEntry[str]) -> str:
    return above + (entry.name[: -len(_FOLDER)] + "/" if entry.name.endswith(_FOLDER) else entry.name)


def _write(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def _settle(handle: int, temporary: Path, path: Path, replace: bool) -> None:
    """Let a written file take its place, durably."""
    os.fsync(handle)
    new = not path.parent.is_dir()
    path.parent.mkdir(parents=True, exist_ok=True)
    if replace:
        temporary.replace(path)
    else:
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            raise BlobExists from None
        temporary.unlink()
    _sync(path.parent)
    if new:
        _sync(path.parent.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove what processes that died have left."""
    for entry in os.scandir(folder):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - entry.stat().st_mtime > _STALE:
                Path(entry.path).unlink()


def _etag(found: os.stat_result) -> str:
    return f"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"


async def _read(path: Path, etag: str, start: int, stop: int | None) -> AsyncIterator[bytes]:
    handle = await _in_thread(partial(_open, path, etag))
    try:
        while stop is None or start < stop:
            size = _PART if stop is None else min(_PART, stop - start)
            part = await _in_thread(partial(os.pread, handle, size, start))
            if not part:
                break
            start += len(part)
            yield part
    finally:
        os.close(handle)


def _open(path: Path, etag: str) -> int:
    """Open a file for reading. Raises ``BlobChanged`` where it is not the one that was found."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise BlobChanged from None
    if _etag(os.fstat(handle)) != etag:
        os.close(handle)
        raise BlobChanged
    return handle


async def _in_thread(work: Callable[[], T]) -> T:
    """Do work on a file in a thread, to its end: whoever is cancelled must not close the file under it."""
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait({running})
        raise
