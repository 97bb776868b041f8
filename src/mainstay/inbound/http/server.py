"""The server: sockets, connections, and an end that fails no request."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from functools import partial

from mainstay.inbound.http.clients import Clients
from mainstay.inbound.http.connections import Connections
from mainstay.inbound.http.descriptors import room_for
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.introduction import Introduced
from mainstay.inbound.http.patience import bound_unsent
from mainstay.inbound.http.protocol import HttpProtocol
from mainstay.ports.clock import Clock

RECENT = 1.0  # seconds: a connection that was used since is not closed under a request that may be on its way
SHAKING = 1.0  # seconds in which a handshake of TLS is done that had begun when the last connection was taken
_ABORTED = 1.0  # seconds for the loop to tell connections that they were cut off


def listen(host: str, port: int, *, backlog: int = 2048, reuse_port: bool = False) -> list[socket.socket]:
    """Return listening sockets for a host's addresses (an empty host: all addresses).

    ``port`` 0 takes a free one, the same for all addresses. ``reuse_port`` lets several processes listen, each with a
    queue of its own (SO_REUSEPORT). Raises ``OSError`` with the address in its text where one cannot be had.
    """
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            bound = sockets[0].getsockname()[1] if sockets and port == 0 else port
            one = socket.socket(family, kind, protocol)
            sockets.append(one)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            _bind(one, (address[0], bound, *address[2:]))
            one.listen(backlog)
            one.setblocking(False)
    except OSError:
        for one in sockets:
            one.close()
        raise
    return sockets


def _bind(one: socket.socket, address: tuple[object, ...]) -> None:
    try:
        one.bind(address)
    except OSError as error:
        raise OSError(error.errno, f"cannot listen on {address[0]} port {address[1]}: {error.strerror}") from None


class HttpServer:
    """Serves a door on listening sockets, on the running loop; with ``tls``, over it, to ``clients`` that it knows.

    ``start`` accepts. The end has three steps: ``part`` lets each answer be its connection's last, ``refuse`` takes no
    further connection, ``finish`` closes what is idle and waits for what is in flight. ``stop`` is all of them.
    """

    def __init__(
        self,
        door: Door,
        clock: Clock,
        *,
        tls: ssl.SSLContext | None = None,
        handshake_seconds: float = 10.0,
        clients: Clients | None = None,
    ) -> None:
        self._door = door
        if tls is not None:
            if door.options.proxy_protocol:
                raise ValueError("http: the PROXY protocol comes before TLS: let the proxy end TLS, or turn one off")
            door.over_tls()
        self._shared = Connections(door, clock, secure=tls is not None, clients=clients)
        self._tls = tls
        self._handshake_seconds = handshake_seconds if tls is not None else None
        self._servers: list[asyncio.Server] = []

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._shared.open)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of each listening socket."""
        return [one.getsockname()[:2] for server in self._servers for one in server.sockets]

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Accept connections on these sockets, which are the server's from now on."""
        loop = asyncio.get_running_loop()
        shared = self._shared
        shared.tally.most = room_for(self._door.options.max_connections)
        shared.beat.start()
        self._door.admission.follow(shared.crowd)
        factory = partial(Introduced if self._door.options.proxy_protocol else HttpProtocol, shared, loop)
        for one in sockets:
            bound_unsent(one, self._door.options.write_timeout)
            server = await loop.create_server(
                factory,
                sock=one,
                backlog=self._door.options.backlog,
                ssl=self._tls,
                ssl_handshake_timeout=self._handshake_seconds,
            )
            self._servers.append(server)

    async def stop(self) -> bool:
        """Drain as the options say: readiness is refused for ``drain_delay`` while requests are still taken."""
        options = self._door.options
        self._door.draining = True
        if options.drain_delay:
            self.part()
            await asyncio.sleep(options.drain_delay)
        self.refuse()
        return await self.finish(0.0, options.drain_timeout)

    def part(self) -> None:
        """Say with each answer that it is its connection's last: who comes back may find another process."""
        self._shared.retiring = True

    def refuse(self) -> None:
        """Take no further connection."""
        for server in self._servers:
            server.close()
        self._door.parting.begin()

    async def finish(self, idle_seconds: float, seconds: float) -> bool:
        """Keep connections for ``idle_seconds`` for their last request, then close those without one.

        Answers have ``seconds`` in all. Returns whether all that was in flight came to its end.
        """
        self.part()
        if self._tls is not None:
            await asyncio.sleep(min(SHAKING, seconds))  # who is at it is not counted as a connection yet
        if idle_seconds and await self._shared.emptied(min(idle_seconds, seconds)):
            self._shared.beat.stop()
            return True
        self._shared.retire(RECENT)
        clean = await self._shared.emptied(max(0.0, seconds - idle_seconds))
        if not clean:
            self._shared.abort()
            await self._shared.emptied(_ABORTED)
        self._shared.beat.stop()
        return clean
