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
