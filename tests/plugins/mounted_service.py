"""A service with mounted applications, served for real: by the door's own server, and by uvicorn as ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import uvicorn
from http_clients import Answered

from mainstay.adapters.local.clock import SystemClock
from mainstay.app.asgi import app_of
from mainstay.app.assembly import Application, assemble
from mainstay.app.doors import make_doors
from mainstay.app.observing import make_observing
from mainstay.app.settings import load
from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.server import HttpServer
from mainstay.model.module import Module
from mainstay.model.policy import anyone
from mainstay.model.service import Service
from mainstay.ports.observer import CallEnded, Notice, Observation, Observer


class Ear(Observer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[CallEnded] = []
        self.notices: list[Notice] = []

    def observe(self, observation: Observation) -> None:
        if isinstance(observation, CallEnded):
            self.calls.append(observation)
        elif isinstance(observation, Notice):
            self.notices.append(observation)


def service(**more: Any) -> Service:
    """Return a service with a route of its own, and one below where others are mounted."""
    shop = Module("shop")

    @shop.query("GET /own", allow=anyone)
    async def own() -> str:
        return "own"

    @shop.query("GET /legacy/moved", allow=anyone)
    async def moved() -> str:
        return "moved"

    return Service("shop", modules=[shop], **more)


class Running:
    """A service that is being served."""

    def __init__(self, application: Application, ear: Ear, address: tuple[str, int]) -> None:
        self.application = application
        self.ear = ear
        self.address = address

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect."""
        return await asyncio.open_connection(*self.address)

    async def ask(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answered:
        """Send one request, exactly as it is said, and return its answer."""
        fields = {"Host": "shop.example", "Connection": "close", **(headers or {})}
        if body is not None and "Transfer-Encoding" not in fields:
            fields.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        reader, writer = await self.open()
        try:
            writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + (body or b""))
            return await asyncio.wait_for(hear(reader, method), 10)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def told(self, operation: str) -> CallEnded:
        """Return what was told of the first request of an operation, once it is."""
        for _ in range(500):
            found = [one for one in self.ear.calls if one.operation == operation]
            if found:
                return found[0]
            await asyncio.sleep(0.01)
        raise AssertionError(f"nothing was told of {operation}: {self.ear.calls}")


async def hear(reader: asyncio.StreamReader, method: str = "GET") -> Answered:
    """Read one answer."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].decode("latin-1").split("\r\n")
    headers = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
    answer = Answered(int(first.split(" ")[1]), headers, b"")
    if method == "HEAD" or answer.status in (204, 304):
        return answer
    if answer.all("transfer-encoding") == ["chunked"]:
        while size := int(await reader.readuntil(b"\r\n"), 16):
            answer.body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
    else:
        answer.body = await reader.readexactly(int(answer["content-length"]))
    return answer


@asynccontextmanager
async def served(made: Service, folder: Path, form: str = "native", toml: str = "") -> AsyncIterator[Running]:
    """Serve a service on a port of its own, by ``native`` or ``uvicorn``."""
    (folder / "mainstay.toml").write_text(toml)
    settings = load(folder, environ={"MAINSTAY_PROFILE": "test"})
    observing, ear = make_observing(settings), Ear()
    application = assemble(made, settings, observer=ear)
    sock = socket.create_server(("127.0.0.1", 0))
    try:
        if form == "native":
            doors = make_doors(application, observing=observing, siblings=None, documents={})
            async with application, _native(doors.main, sock):
                yield Running(application, ear, sock.getsockname())
        else:
            async with by_uvicorn(app_of(application, observing), sock):
                yield Running(application, ear, sock.getsockname())
    finally:
        observing.close()
        sock.close()


@asynccontextmanager
async def _native(door: Any, sock: socket.socket) -> AsyncIterator[None]:
    server = HttpServer(door, SystemClock())
    await server.start([sock.dup()])
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def by_uvicorn(
    app: Any, sock: socket.socket, *, lifespan: Literal["auto", "on", "off"] = "on"
) -> AsyncIterator[None]:
    """Serve an ASGI application by uvicorn, on the running loop."""
    failed: list[BaseException] = []

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        try:
            await app(scope, receive, send)
        except BaseException as error:
            failed.append(error)
            raise

    config = uvicorn.Config(
        watched,
        lifespan=lifespan,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws="wsproto",
    )
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]  # the test's own stay
    task = asyncio.create_task(_serve(server, sock))
    while not server.started:
        if server.should_exit or task.done():
            await asyncio.wait({task})
            task.exception()
            raise failed[0] if failed else AssertionError("uvicorn did not start")
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def _serve(server: uvicorn.Server, sock: socket.socket) -> None:
    with contextlib.suppress(SystemExit):  # of a lifespan that failed
        await server.serve(sockets=[sock])


__all__ = ["AsgiApp", "Ear", "Running", "by_uvicorn", "hear", "served", "service"]
