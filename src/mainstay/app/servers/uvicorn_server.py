"""Uvicorn on the running loop: HTTP/1.1 by httptools, driven through ASGI. Supervisor, signals and log are ours."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Iterator, Sequence
from logging import WARNING

import uvicorn

from mainstay.adapters.observe.python_log import PythonLog
from mainstay.app.servers.contract import ON_ITS_WAY, Facing, Server
from mainstay.app.servers.through_asgi import Through
from mainstay.inbound.http.server import SHAKING

_LOOK = 0.02  # seconds between looks at the connections that are left
_SECONDS = 1.0  # for the server to end after its last answer


def make(facing: Facing) -> Server:
    """Return the server."""
    return UvicornServer(facing)


class _Server(uvicorn.Server):
    """Uvicorn without its hold on signals, and with a bound on TLS handshakes."""

    def __init__(self, config: uvicorn.Config, handshake_seconds: float | None) -> None:
        super().__init__(config)
        self.servers = []
        self._handshake_seconds = handshake_seconds

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        config = self.config

        def protocol() -> asyncio.Protocol:
            return config.http_protocol_class(  # type: ignore[call-arg]  # as uvicorn itself calls it
                config=config, server_state=self.server_state, app_state={}
            )

        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                protocol,
                sock=one,
                ssl=config.ssl,
                backlog=config.backlog,
                ssl_handshake_timeout=self._handshake_seconds,
            )
            for one in sockets or ()
        ]
        self.started = True


class UvicornServer:
    """A ``Server`` by uvicorn."""

    def __init__(self, facing: Facing) -> None:
        http = facing.settings.http
        self._app = Through(facing.door)
        self._door = facing.door
        self._log = PythonLog(facing.observer, "http_server", {"uvicorn": WARNING})
        context = None if facing.tls is None else facing.tls.context
        config = uvicorn.Config(
            self._app,
            http="httptools",
            loop="none",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            backlog=http.backlog,
            timeout_keep_alive=math.ceil(http.idle_seconds),
            ssl_context_factory=None if context is None else lambda _config, _default: context,
        )
        self._server = _Server(config, http.tls.handshake_seconds if context is not None else None)
        self._task: asyncio.Task[None] | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Take calls."""
        self._task = asyncio.create_task(self._server.serve(sockets=list(sockets)), name="mainstay-uvicorn")
        while not self._server.started:
            await asyncio.wait({self._task}, timeout=_LOOK)
            if self._task.done():
                self._task.result()

    def part(self) -> None:
        """Let each answer be its connection's last."""
        self._app.parting = True

    def refuse(self) -> None:
        """Take no further connection."""
        for one in self._server.servers:
            one.close()
        self._door.parting.begin()

    async def finish(self, idle_seconds: float, seconds: float) -> bool:
        """Wait for the next request of idle connections for a time, then for the answers."""
        self.part()
        state, loop = self._server.server_state, asyncio.get_running_loop()
        begun = loop.time()
        idle_until = begun + (idle_seconds or ON_ITS_WAY)
        shaking_until = begun + (SHAKING if self._server.config.is_ssl else 0.0)
        end = begun + seconds
        while self._task is not None and loop.time() < (idle_until if state.connections else shaking_until):
            await asyncio.wait({self._task}, timeout=_LOOK)
        self._server.should_exit = True
        clean = await self._app.ended(max(0.0, end - loop.time()))
        if not clean:
            for connection in tuple(state.connections):
                connection.transport.abort()
        if self._task is not None:
            await asyncio.wait({self._task}, timeout=_SECONDS)
            self._server.force_exit = True  # what is left takes no byte of its answer
            await asyncio.wait({self._task}, timeout=_SECONDS)
        self._log.close()
        return clean
