"""WebSockets: passed on to mounted applications by an ASGI server, refused by our own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import wsproto
from mounted_service import Running, hear, served, service
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from wsproto.events import AcceptConnection, CloseConnection, Message, RejectConnection, Request, TextMessage

from mainstay import limit

HANDSHAKE = (
    b"GET /legacy/talk HTTP/1.1\r\nHost: t\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


async def talk(websocket: WebSocket) -> None:
    await websocket.accept()
    said = await websocket.receive_text()
    await websocket.send_text(f"{said} {websocket.scope['root_path']} {websocket.client.host}")  # type: ignore[union-attr]  # there is one
    await websocket.close()


def app() -> Starlette:
    return Starlette(routes=[WebSocketRoute("/talk", talk)])


class Talk:
    """A WebSocket's client."""

    def __init__(self, one: Running) -> None:
        self._one = one
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)

    async def open(self, target: str, headers: list[tuple[bytes, bytes]] | None = None, host: str = "t") -> Any:
        self._reader, self._writer = await self._one.open()
        asked = Request(host=host, target=target, extra_headers=headers or [])
        self._writer.write(self._protocol.send(asked))
        return await self.event()

    async def say(self, text: str) -> None:
        self._writer.write(self._protocol.send(Message(text)))

    async def event(self) -> Any:
        while True:
            for event in self._protocol.events():
                return event
            self._protocol.receive_data(await asyncio.wait_for(self._reader.read(65536), 5) or None)

    def close(self) -> None:
        self._writer.close()


async def test_a_conversation(tmp_path: Path) -> None:
    made = service()
    made.mount("/legacy", app())
    async with served(made, tmp_path, "uvicorn") as one:
        talk = Talk(one)
        assert isinstance(await talk.open("/legacy/talk"), AcceptConnection)
        await talk.say("hello")
        said = await talk.event()
        assert isinstance(said, TextMessage)
        assert said.data == "hello /legacy 127.0.0.1"
        assert isinstance(await talk.event(), CloseConnection)
        talk.close()
        call = await one.told("mount:/legacy")
        assert (call.status, call.protocol, call.target) == (101, "websocket", "/legacy/talk")


@pytest.mark.parametrize("target", ["/own", "/nothing", "/legacy/../own", "/legacy/%2e%2e/talk"])
async def test_elsewhere_there_is_none(tmp_path: Path, target: str) -> None:
    made = service()
    made.mount("/legacy", app())
    async with served(made, tmp_path, "uvicorn") as one:
        talk = Talk(one)
        refused = await talk.open(target)
        assert isinstance(refused, RejectConnection)
        assert refused.status_code == 403
        talk.close()


async def test_hosts_and_limits_hold(tmp_path: Path) -> None:
    made = service(limits=[limit("1/minute", by="address")])
    made.mount("/legacy", app())
    async with served(made, tmp_path, "uvicorn", 'http.hosts = ["shop.example"]') as one:
        answers = []
        for host in ("evil.example", "shop.example", "shop.example"):
            talk = Talk(one)
            answers.append(type(await talk.open("/legacy/talk", host=host)))
            talk.close()
        assert answers == [RejectConnection, AcceptConnection, RejectConnection]


async def test_our_own_server_says_what_serves_them(tmp_path: Path) -> None:
    made = service()
    made.mount("/legacy", app())
    async with served(made, tmp_path) as one:
        reader, writer = await one.open()
        writer.write(HANDSHAKE)
        answer = await hear(reader)
        assert (answer.status, "ASGI server" in answer.json["detail"]) == (501, True)
        writer.close()
