"""The server of this package: HTTP/1.1 on asyncio, with every bound of the settings."""

from __future__ import annotations

from mainstay.app.servers.contract import Facing, Server
from mainstay.inbound.http.clients import Clients
from mainstay.inbound.http.server import HttpServer


def make(facing: Facing) -> Server:
    """Return the server."""
    tls = facing.settings.http.tls
    known = Clients(tls.client_identity, tls.client_principal) if tls.client_certificates != "none" else None
    return HttpServer(
        facing.door,
        facing.clock,
        tls=None if facing.tls is None else facing.tls.context,
        handshake_seconds=tls.handshake_seconds,
        clients=known,
    )
