"""Connections that are made to addresses that were judged, and to nothing else."""

from __future__ import annotations

from collections.abc import Iterable

import httpcore2

from mainstay.adapters.outgoing.guard import Guard

PATIENCE = 3.0  # seconds for an address that is not the last one


class GuardedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects a host by the addresses that the guard has found and judged.

    There is no second look-up between judgement and connection, so no answer of a name server can come between them.
    The name stays what TLS verifies.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the form of the base class
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Connect to the first address that answers. Raises ``AddressRefused``, ``HttpFailed``, ``ConnectError``."""
        *earlier, last = await self._guard.addresses(host, port)
        for address in earlier:
            try:
                return await self._network.connect_tcp(str(address), port, PATIENCE, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(str(last), port, timeout, local_address, socket_options)
