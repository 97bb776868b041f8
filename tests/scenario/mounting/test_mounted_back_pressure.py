"""Nothing is held for a mounted application, or for its client, that the other side does not take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from mounted_service import hear, served, service
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

PART = b"x" * 65536
MOST = 40 << 20  # bytes: what two sockets of the loopback hold, several times over
ENDLESS = 400 << 20

pytestmark = pytest.mark.parametrize("form", ["native", "uvicorn"])


async def settled(read: Any) -> int:
    """Return a figure that no longer grows."""
    seen = -1
    while seen != read():
        seen = read()
        await asyncio.sleep(0.25)
    return seen


async def test_an_answer_that_nobody_reads_is_not_made(form: str, tmp_path: Path) -> None:
    made_parts = [0]

    async def endless(_: Request) -> Response:
        async def parts() -> AsyncIterator[bytes]:
            for _ in range(ENDLESS // len(PART)):
                made_parts[0] += 1
                yield PART

        return StreamingResponse(parts())

    made = service()
    made.mount("/legacy", Starlette(routes=[Route("/", endless)]))
    async with served(made, tmp_path, form) as one:
        reader, writer = await one.open()
        writer.write(b"GET /legacy/ HTTP/1.1\r\nHost: t\r\n\r\n")
        await reader.readexactly(1000)
        assert await settled(lambda: made_parts[0]) * len(PART) < MOST
        writer.transport.abort()


async def test_a_body_that_nobody_reads_is_not_taken(form: str, tmp_path: Path) -> None:
    gate = asyncio.Event()

    async def late(request: Request) -> Response:
        await gate.wait()
        size = 0
        async for part in request.stream():
            size += len(part)
        return PlainTextResponse(str(size))

    made = service()
    made.mount("/legacy", Starlette(routes=[Route("/", late, methods=["POST"])]), max_body=ENDLESS)
    async with served(made, tmp_path, form) as one:
        reader, writer = await one.open()
        size = 64 << 20
        writer.write(f"POST /legacy/ HTTP/1.1\r\nHost: t\r\nContent-Length: {size}\r\n\r\n".encode())
        sent = [0]

        async def send() -> None:
            while sent[0] < size:
                writer.write(PART)
                sent[0] += len(PART)
                await writer.drain()

        sending = asyncio.create_task(send())
        assert await settled(lambda: sent[0]) < MOST
        gate.set()
        await asyncio.wait_for(sending, 20)
        assert (await hear(reader)).body == str(size).encode()
        writer.close()


async def test_more_in_flight_than_may_be_is_turned_away(form: str, tmp_path: Path) -> None:
    gate, waiting = asyncio.Event(), [0]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        if scope["path"] == "/legacy/wait":
            waiting[0] += 1
            await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"first", "more_body": True})
        await gate.wait()
        await send({"type": "http.response.body", "body": b"second"})

    made = service()
    made.mount("/legacy", app)
    async with served(made, tmp_path, form, "http.max_concurrency = 3") as one:
        asked = [asyncio.create_task(one.ask("GET", "/legacy/stream")) for _ in range(5)]
        await asyncio.sleep(0.1)
        asked += [asyncio.create_task(one.ask("GET", "/legacy/wait")) for _ in range(3)]
        while waiting[0] < 3:
            await asyncio.sleep(0.01)
        refused = await one.ask("GET", "/legacy/wait")
        assert (refused.status, refused.json["code"]) == (503, "overloaded")
        gate.set()
        assert [(await task).body for task in asked] == [b"firstsecond"] * 8, "a stream is not in flight any more"
