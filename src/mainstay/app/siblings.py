"""Workers of one host, seen as one: whoever is asked for figures asks the others for theirs.

A worker that leaves writes its last figures down: what was counted stays counted, however often workers are followed
by new ones. Each worker has a name of its own, so that its figures are taken once: live where it answers, else as it
left them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SECONDS = 1.0
_MAX_BYTES = 32 * 1024 * 1024
_MANY = 32  # departed workers, before their figures are put together

Condense = Callable[[Iterable[bytes]], bytes]
"""Makes the last figures of workers that have left into one: what they have counted, and nothing of the moment."""


class Siblings:
    """A Unix socket in the run directory on which a worker tells its snapshot, and the way to the others' sockets.

    ``snapshot`` returns this worker's figures as bytes, of a form that only the caller knows.
    """

    def __init__(self, run: Path, index: int, snapshot: Callable[[], bytes], condense: Condense) -> None:
        self._run = run
        self._index = index
        self._name = secrets.token_hex(4)
        self._path = run / f"worker-{index}-{self._name}.sock"
        self._snapshot = snapshot
        self._condense = condense
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to answer. The sockets that dead workers of the same number left behind are removed."""
        for path in self._run.glob(f"worker-{self._index}-*.sock"):
            if _is_dead(path):
                path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._tell, self._path)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Answer no more, and leave the last figures behind."""
        if self._server is None:
            return
        with _locked(self._run):
            (self._run / f".{self._name}").write_bytes(self._condense([self._snapshot()]))
            (self._run / f".{self._name}").rename(self._run / f"departed-{self._name}")
            self._put_together()
        self._server.close()
        self._server = None
        self._path.unlink(missing_ok=True)

    def _put_together(self) -> None:
        """Keep one file for many; those that left last stay apart: somebody may have asked them a moment ago."""
        before = sorted(self._run.glob("departed-*"), key=lambda path: path.stat().st_mtime_ns)[:-4]
        if len(before) >= _MANY:
            draft = self._run / f".{self._name}"
            draft.write_bytes(self._condense([path.read_bytes() for path in before]))
            for path in before:
                path.unlink()
            draft.rename(self._run / f"departed-{secrets.token_hex(4)}")

    async def _tell(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:  # noqa: ARG002 - asyncio's form
        try:
            writer.write(self._snapshot())
            async with asyncio.timeout(_SECONDS):
                await writer.drain()
        except (OSError, TimeoutError):
            writer.transport.abort()  # who asked has left, or takes nothing: it asks again
        finally:
            writer.close()

    async def gather(self) -> list[bytes]:
        """Return the snapshots of all workers, this one's first, without those that do not answer in a second.

        At the end stand the last figures of those that have left.
        """
        others = sorted(path for path in self._run.glob("worker-*.sock") if path != self._path)
        told = await asyncio.gather(*(_ask(path) for path in others))
        answered = {path.stem.rpartition("-")[2] for path, data in zip(others, told, strict=True) if data}
        left = self._departed(answered | {self._name})
        return [self._snapshot(), *(data for data in told if data), *left]

    def _departed(self, answered: set[str]) -> list[bytes]:
        with _locked(self._run):
            return [
                path.read_bytes()
                for path in sorted(self._run.glob("departed-*"))
                if path.name.removeprefix("departed-") not in answered
            ]


@contextmanager
def _locked(run: Path) -> Iterator[None]:
    """Keep the last figures of workers as they are meanwhile: nobody reads them half put together."""
    descriptor = os.open(run / "departed.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_dead(path: Path) -> bool:
    """Whether nobody listens on a Unix socket any more."""
    with socket.socket(socket.AF_UNIX) as one:
        one.setblocking(False)
        try:
            one.connect(str(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False  # it is gone by now, or listens and is busy
    return False


async def _ask(path: Path) -> bytes:
    with suppress(OSError, TimeoutError):  # it has just ended, or is busy: its figures come with the next scrape
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await _whole(reader)
            finally:
                writer.close()
    return b""


async def _whole(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(1 << 16):
        parts.append(part)
        size += len(part)
        if size > _MAX_BYTES:
            return b""
    return b"".join(parts)
