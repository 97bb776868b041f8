"""Connections of the load: kept and used again, and told as lost where no whole answer came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mainstay.testing.rollout.wire import Lost, Wire

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
CLOSING = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers as it is told, and counts connections."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = []
        self.heads: list[bytes] = []
        self.connections = 0
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                self.heads.append(await reader.readuntil(b"\r\n\r\n"))
                answer = self.answers.pop(0)
                if answer is None:
                    break
                writer.write(answer)
        except EOFError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(*answers: bytes | None) -> AsyncIterator[tuple[Server, Wire]]:
    server = Server()
    server.answers = list(answers)
    async with await asyncio.start_server(server.serve, "127.0.0.1", 0) as listening:
        wire = Wire(listening.sockets[0].getsockname()[1])
        try:
            yield server, wire
        finally:
            wire.close()


async def get(wire: Wire) -> bytes:
    return (await wire.ask("GET", "/", {"Accept": "*/*"}, seconds=5)).body


async def test_a_connection_is_kept_and_used_again() -> None:
    async with serving(OK, CHUNKED, OK) as (server, wire):
        first = await wire.ask("GET", "/a?b=c", {"Accept": "*/*"}, seconds=5)
        assert (first.status, first.media_type, first.body) == (200, "application/json", b"{}")
        assert await get(wire) == b"abc"
        await wire.ask("POST", "/", {}, b"{}", seconds=5)
        assert server.connections == 1
        assert server.heads[0].startswith(b"GET /a?b=c HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n")
        assert b"Content-Length: 2\r\n" in server.heads[2]


async def test_one_that_the_server_closes_is_not_used_again() -> None:
    async with serving(CLOSING, OK) as (server, wire):
        assert await get(wire) == await get(wire) == b"{}"
        assert server.connections == 2


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "closed without an answer"),
        (b"SMTP\r\n\r\n", "no HTTP"),
    ],
)
async def test_what_is_no_whole_answer_is_lost(answer: bytes | None, said: str) -> None:
    async with serving(answer) as (_, wire):
        with pytest.raises(Lost, match=said):
            await get(wire)


async def test_no_answer_in_time_and_no_server_are_lost() -> None:
    async with serving(b"", OK) as (_, wire):
        with pytest.raises(Lost, match="no answer in"):
            await wire.ask("GET", "/", {}, seconds=0.1)
    with pytest.raises(Lost, match="no connection"):
        await get(wire)
