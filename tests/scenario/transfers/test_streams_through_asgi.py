"""Streams through an ASGI server: cut where they break, closed where the client leaves, ended with the service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mainstay import Dto, Module, Service, anyone
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.streaming import EVENTS, Cut
from mainstay.testing import Client


class Tick(Dto):
    number: int


class Ticking:
    """A service of two streams, called as an ASGI server would."""

    def __init__(self) -> None:
        self.closed = 0
        self.leave = asyncio.Event()
        self.sent: list[dict[str, Any]] = []
        module = Module("clock")

        @module.query("GET /broken", allow=anyone)
        async def broken() -> AsyncIterator[Tick]:
            yield Tick(number=1)
            raise RuntimeError("the secret detail")

        @module.query("GET /feed", allow=anyone)
        async def feed() -> AsyncIterator[Tick]:
            try:
                yield Tick(number=1)
                await asyncio.sleep(3600)
            finally:
                self.closed += 1

        client = Client(Service("clock", modules=[module]), raise_errors=False)
        app = client.app()
        assert isinstance(app, AsgiApp)
        self.app = app

    async def ask(self, path: str, accept: str = "*/*") -> None:
        """Run one request; what the application sends is kept."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "path": path,
            "query_string": b"",
            "headers": [(b"host", b"t"), (b"accept", accept.encode())],
            "client": ("127.0.0.1", 4000),
        }
        first = True

        async def receive() -> dict[str, Any]:
            nonlocal first
            if first:
                first = False
                return {"type": "http.request", "body": b"", "more_body": False}
            await self.leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            self.sent.append(dict(message))

        await asyncio.wait_for(self.app(scope, receive, send), 5)

    @property
    def body(self) -> bytes:
        """What was sent of the body."""
        return b"".join(message.get("body", b"") for message in self.sent)

    @property
    def ended(self) -> bool:
        """Whether the answer was said to be whole."""
        return self.sent[-1].get("more_body", False) is False


@pytest.mark.parametrize("accept", ["*/*", EVENTS])
async def test_a_stream_that_breaks_is_cut_by_the_server(accept: str) -> None:
    ticking = Ticking()
    with pytest.raises(Cut):
        await ticking.ask("/broken", accept)
    assert b"internal_error" in ticking.body
    assert b"secret" not in ticking.body
    assert not ticking.ended


@pytest.mark.parametrize("accept", ["*/*", EVENTS])
async def test_a_client_that_leaves_ends_its_stream(accept: str) -> None:
    ticking = Ticking()
    asking = asyncio.create_task(ticking.ask("/feed", accept))
    while b"number" not in ticking.body:
        await asyncio.sleep(0)
    ticking.leave.set()
    await asking
    assert ticking.closed == 1


async def test_events_end_when_the_service_leaves() -> None:
    ticking = Ticking()
    asking = asyncio.create_task(ticking.ask("/feed", EVENTS))
    while b"number" not in ticking.body:
        await asyncio.sleep(0)
    ticking.app.door.parting.begin()
    await asking
    assert ticking.ended
    assert b"event: end" not in ticking.body
    assert ticking.closed == 1
