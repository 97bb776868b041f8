"""A proxy before a server that cuts its connections, or takes none for a while.

Clients of Kafka are told by the server where to connect to: there the proxy's own address is put in its place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_CHUNK = 1 << 16


class CuttingProxy:
    """Takes connections on a port of its own. While ``refusing`` is set it ends each as it comes."""

    def __init__(self, server_port: int, *, host: str = "127.0.0.1", kafka: bool = False) -> None:
        self.port = 0
        self.refusing = False
        self._host = host
        self._server_port = server_port
        self._kafka = kafka
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            back_reader, back = await asyncio.open_connection(self._host, self._server_port)
            self._writers.add(back)
            down = self._frames if self._kafka else _bytes
            both = [
                asyncio.ensure_future(_passed(_bytes, reader, back)),
                asyncio.ensure_future(_passed(down, back_reader, writer)),
            ]
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            self._writers.discard(back)
            for end in (back, writer):
                end.transport.abort()
            await asyncio.wait(both)
        except OSError:
            pass
        finally:
            writer.transport.abort()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _frames(self, reader: asyncio.StreamReader) -> bytes:
        """Return one answer of a Kafka server, with this proxy's address in the place of the server's."""
        head = await reader.readexactly(4)
        body = await reader.readexactly(int.from_bytes(head))
        host = self._host.encode()
        here, there = (host + port.to_bytes(4) for port in (self.port, self._server_port))
        return head + body.replace(there, here)

    def cut(self) -> int:
        """Cut every connection, on both sides; return how many there were."""
        for writer in self._writers:
            writer.transport.abort()
        return len(self._tasks)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[CuttingProxy]:
        """Take connections until the block ends."""
        server = await asyncio.start_server(self._accept, self._host, 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.refusing = True
            self.cut()
            if self._tasks:
                await asyncio.wait(self._tasks, timeout=5)
            await server.wait_closed()


async def _bytes(reader: asyncio.StreamReader) -> bytes:
    return await reader.read(_CHUNK)


async def _passed(
    read: Callable[[asyncio.StreamReader], Awaitable[bytes]],
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    try:
        while data := await read(reader):
            writer.write(data)
            await writer.drain()
    except (OSError, EOFError):
        pass
