"""A proxy before any server that passes bytes on, and cuts all connections when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class CutProxy:
    """Takes connections on a port of its own. ``refusing``: new ones are ended as they come."""

    def __init__(self, host: str, server_port: int) -> None:
        self._host = host
        self._server_port = server_port
        self._writers: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.port = 0
        self.refusing = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._writers[task] = writers = [writer]
        try:
            back, forth = await asyncio.open_connection(self._host, self._server_port)
            writers.append(forth)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_pass(reader, forth))
                tasks.create_task(_pass(back, writer))
        except* (OSError, EOFError):
            pass
        finally:
            del self._writers[task]
            for each in writers:
                each.transport.abort()

    def cut(self) -> int:
        """End all connections at once, on both sides; return how many there were."""
        for writers in self._writers.values():
            for writer in writers:
                writer.transport.abort()
        return len(self._writers)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[CutProxy]:
        """Take connections until the block ends."""
        server = await asyncio.start_server(self._accept, self._host)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.refusing = True
            self.cut()
            if self._writers:
                await asyncio.wait(list(self._writers), timeout=5)
            await server.wait_closed()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    raise EOFError
