"""A server on loopback that writes the bytes that a test gives it, and keeps the requests as they came."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple


class Asked(NamedTuple):
    """A request as it came: its header fields by lower-case name."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Last(bytes):
    """An answer after which the connection is closed."""


class AnsweringServer:
    """What a server is told to do, and what it saw. ``answer`` makes the bytes of each answer."""

    def __init__(self, answer: Callable[[Asked], bytes]) -> None:
        self.answer = answer
        self.asked: list[Asked] = []
        self.connections = 0
        self.open = 0
        self.most = 0
        self.port = 0
        self.hold: asyncio.Event | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer each request of one connection."""
        self.connections += 1
        try:
            while (asked := await _read(reader)) is not None and not await self._reply(asked, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _reply(self, asked: Asked, writer: asyncio.StreamWriter) -> bool:
        """Answer, and return whether that was the last one."""
        self.asked.append(asked)
        self.open += 1
        self.most = max(self.most, self.open)
        try:
            if self.hold is not None:
                await self.hold.wait()
            made = self.answer(asked)
            writer.write(made)
            await writer.drain()
            return isinstance(made, Last)
        finally:
            self.open -= 1


async def _read(reader: asyncio.StreamReader) -> Asked | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = first.split(" ")
    return Asked(method, target, headers, body)


def reply(body: bytes = b"", status: int = 200, **headers: str) -> bytes:
    """Return an answer; underlines in the names of headers stand for hyphens."""
    fields = {"content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    return "\r\n".join([f"HTTP/1.1 {status} X", *lines, "", ""]).encode() + body


@asynccontextmanager
async def answering(
    answer: Callable[[Asked], bytes], *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[AnsweringServer]:
    """Serve on a free port of loopback until the block ends."""
    told = AnsweringServer(answer)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        try:
            await told.serve(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            connections.discard(task)

    server = await asyncio.start_server(serve, host, 0, ssl=tls)
    told.port = server.sockets[0].getsockname()[1]
    try:
        yield told
    finally:
        server.close()
        for task in tuple(connections):
            task.cancel()
        if connections:
            await asyncio.wait(connections)
