"""Granian on the running loop: HTTP/1.1 and HTTP/2 by hyper, driven through ASGI. Supervisor, signals and log are ours.

Its server for use inside of another program takes an address; here it is handed the listening socket. It knows no way
to leave off accepting before it ends, so another listening socket that nobody can reach takes that one's place.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from logging import WARNING
from pathlib import Path
from typing import Any

import msgspec
from granian._granian import SocketHolder
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings, HTTP2Settings
from granian.server.embed import Server as Embedded

from mainstay.adapters.observe.python_log import PythonLog
from mainstay.app.servers.contract import ON_ITS_WAY, Facing, Server
from mainstay.app.servers.through_asgi import Through
from mainstay.app.settings.model import Http
from mainstay.app.tls import TlsFiles

_NO_NAME = ((b"server", b""),)  # hyper writes its own where there is none
_LEAST_BUFFER = 8192  # bytes: hyper refuses less
_BEGIN_SECONDS = 0.1  # in which what is wrong with its options shows
_SECONDS = 2.0  # for the server to end after its last answer


def make(facing: Facing) -> Server:
    """Return the server."""
    return GranianServer(facing)


class _Embedded(Embedded):
    """Granian with a socket that it is handed, which it closes, and with TLS whose key has no password."""

    def __init__(self, descriptor: int, tls: TlsFiles | None, **options: Any) -> None:
        super().__init__(**options)
        self._descriptor = descriptor
        if tls is not None:
            oldest = SSLProtocols.tls12 if tls.minimum == "1.2" else SSLProtocols.tls13
            context: Any = (True, str(tls.certificate), str(tls.key), None, str(oldest), None, [], False)
            self.ssl_ctx = context

    def _init_shared_socket(self) -> None:
        self._ssp = None
        made: Any = SocketHolder(self._descriptor, False, self.backlog)  # type: ignore[call-arg]  # its stub lacks this
        self._shd = made


class GranianServer:
    """A ``Server`` by granian."""

    def __init__(self, facing: Facing) -> None:
        self._facing = facing
        self._app = Through(facing.door, _NO_NAME)
        self._log = PythonLog(facing.observer, "http_server", dict.fromkeys(("granian", "_granian"), WARNING))
        self._servers: list[_Embedded] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._descriptors: list[int] = []
        self._closed: socket.socket | None = None

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Take calls."""
        http, tls = self._facing.settings.http, self._facing.tls
        with _unlocked(None if tls is None else tls.files) as opened:
            self._spawn(sockets, http, opened)
            await asyncio.wait(self._tasks, timeout=_BEGIN_SECONDS)
        for task in self._tasks:
            if task.done():
                task.result()
                raise RuntimeError("granian ended as it began")

    def _spawn(self, sockets: Sequence[socket.socket], http: Http, tls: TlsFiles | None) -> None:
        for one in sockets:
            one.listen(http.backlog)
            descriptor = os.dup(one.fileno())
            one.close()
            self._descriptors.append(descriptor)
            server = _Embedded(descriptor, tls, **_options(self._app, http))
            self._servers.append(server)
            self._tasks.append(asyncio.create_task(server.serve(), name="mainstay-granian"))

    def part(self) -> None:
        """Let each answer be its connection's last."""
        self._app.parting = True

    def refuse(self) -> None:
        """Take no further connection."""
        if self._closed is None:
            self._closed = closed = socket.socket(socket.AF_UNIX)
            closed.bind("")  # a name that the kernel makes up
            closed.listen(1)
            closed.setblocking(False)
            for descriptor in self._descriptors:
                os.dup2(closed.fileno(), descriptor, inheritable=False)
        self._facing.door.parting.begin()

    async def finish(self, idle_seconds: float, seconds: float) -> bool:
        """Wait for the next request of idle connections for a time, then for the answers."""
        self.part()
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        await asyncio.sleep(min(idle_seconds or ON_ITS_WAY, seconds))
        for server in self._servers:
            server.interrupt_signal = True
            server.main_loop_interrupt.set()
        clean = await self._app.ended(max(0.0, end - loop.time()))
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_SECONDS)
            for task in late:
                task.cancel()
        if self._closed is not None:
            self._closed.close()
        self._log.close()
        return clean


@contextmanager
def _unlocked(tls: TlsFiles | None) -> Iterator[TlsFiles | None]:
    """Give the files of TLS with a key that needs no password: granian opens only some of those that do.

    The opened key is in memory, under a name that this process alone has, and no longer than the block.
    """
    if tls is None or tls.password is None:
        yield tls
        return
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(tls.key.read_bytes(), tls.password.encode())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    descriptor = os.memfd_create("key", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, key.private_bytes(*form))
        yield msgspec.structs.replace(tls, key=Path(f"/proc/self/fd/{descriptor}"), password=None)
    finally:
        os.close(descriptor)


def _options(app: Through, http: Http) -> dict[str, Any]:
    return {
        "target": app,
        "interface": Interfaces.ASGINL,
        "http": HTTPModes.auto,
        "websockets": False,
        "log_enabled": False,
        "log_access": False,
        "backlog": http.backlog,
        "http1_settings": HTTP1Settings(
            header_read_timeout=int(1000 * http.header_seconds),
            max_buffer_size=max(_LEAST_BUFFER, http.max_header + http.max_target),
        ),
        "http2_settings": HTTP2Settings(max_headers_size=http.max_header, keep_alive_interval=None),
    }
