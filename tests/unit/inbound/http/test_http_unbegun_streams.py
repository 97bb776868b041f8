"""A stream whose client is gone before its first item lets go of all that it holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mainstay import Dto, Module, Service, anyone
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.connections import Connections
from mainstay.inbound.http.protocol import HttpProtocol
from mainstay.testing import Client


class Tick(Dto):
    number: int


class Tool:
    """Something that is made for a call, and cleaned up behind it."""


class Wire(asyncio.Transport):
    """A transport that goes nowhere."""

    def write(self, data: Any) -> None:
        """Take bytes."""

    def abort(self) -> None:
        """Be cut off."""

    def is_closing(self) -> bool:
        """It is never closing by itself."""
        return False


async def test_a_stream_that_never_begins_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []

    async def make_tool() -> AsyncIterator[Tool]:
        heard.append("open")
        yield Tool()
        heard.append("close")

    module = Module("clock")

    @module.query("GET /ticks", allow=anyone)
    async def ticks(tool: Tool) -> AsyncIterator[Tick]:
        yield Tick(number=1)

    service = Service("clock", modules=[module])
    service.provide(Tool, make_tool, scope="call")
    client = Client(service)
    app = client.app()
    assert isinstance(app, AsgiApp)
    send = HttpProtocol._send

    def send_and_lose(protocol: HttpProtocol, exchange: Any, answer: Any) -> None:
        send(protocol, exchange, answer)
        protocol.connection_lost(None)

    monkeypatch.setattr(HttpProtocol, "_send", send_and_lose)
    protocol = HttpProtocol(Connections(app.door, client.clock), asyncio.get_running_loop())
    protocol.connection_made(Wire())
    protocol.data_received(b"GET /ticks HTTP/1.1\r\nHost: t\r\n\r\n")
    for _ in range(20):
        await asyncio.sleep(0)
    assert heard == ["open", "close"]
