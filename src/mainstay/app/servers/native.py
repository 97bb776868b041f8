"""The server of this package: HTTP/1.1 on asyncio, with every bound of the settings."""

from __future__ import annotations

from mainstay.app.servers.contract import Facing, Server
from mainstay.app.tls import context_of
from mainstay.inbound.http.server import HttpServer


def make(facing: Facing) -> Server:
    """Return the server."""
    return HttpServer(
        facing.door,
        facing.clock,
        tls=None if facing.tls is None else context_of(facing.tls),
        handshake_seconds=facing.settings.http.tls.handshake_seconds,
    )
