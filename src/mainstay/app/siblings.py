"""Workers of one host, seen as one: whoever is asked for figures asks the others for theirs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

_SECONDS = 1.0
_MAX_BYTES = 32 * 1024 * 1024


class Siblings:
    """A Unix socket in the run directory on which a worker tells its snapshot, and the way to the others' sockets.

    ``snapshot`` returns this worker's figures as bytes, of a form that only the caller knows.
    """

    def __init__(self, run: Path, index: int, snapshot: Callable[[], bytes]) -> None:
        self._run = run
        self._path = run / f"worker-{index}.sock"
        self._snapshot = snapshot
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to answer. The socket that a worker of the same number left behind is replaced."""
        self._path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._tell, self._path)
        self._path.chmod(0o600)

    async def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

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
        """Return the snapshots of all workers, this one's first, without those that do not answer in a second."""
        others = sorted(path for path in self._run.glob("worker-*.sock") if path != self._path)
        told = await asyncio.gather(*(_ask(path) for path in others))
        return [self._snapshot(), *(data for data in told if data)]


async def _ask(path: Path) -> bytes:
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = await asyncio.open_unix_connection(path)
            try:
                return await _whole(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""  # it has just ended, or is busy: its figures come with the next scrape


async def _whole(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    size = 0
    while part := await reader.read(1 << 16):
        parts.append(part)
        size += len(part)
        if size > _MAX_BYTES:
            return b""
    return b"".join(parts)
