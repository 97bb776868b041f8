"""What every server gives to whoever runs it, and what it is given."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from mainstay.app.certificates import Certificates
from mainstay.app.settings import Settings
from mainstay.inbound.http.door import Door
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

ON_ITS_WAY = 0.5
"""Seconds in which a request that was on its way to an idle connection has come."""


class Facing(msgspec.Struct, frozen=True):
    """What a server is made of: the door that it serves, and how it may be reached."""

    door: Door
    clock: Clock
    observer: Observer
    settings: Settings
    tls: Certificates | None = None


class Server(Protocol):
    """A server on the running loop. Its end has three steps, so that no request is lost on the way."""

    async def start(self, sockets: Sequence[socket.socket]) -> None:
        """Take calls on these sockets, which are the server's from now on. Raises ``OSError``."""

    def part(self) -> None:
        """Say with each answer that it is its connection's last: who comes back may find another process."""

    def refuse(self) -> None:
        """Take no further connection. What waits in the sockets' queues is left to whoever shares them."""

    async def finish(self, idle_seconds: float, seconds: float) -> bool:
        """Keep connections for ``idle_seconds`` for their last request, then close those without one.

        Answers have ``seconds`` in all. Returns whether all that was in flight came to its end.
        """


MakeServer = Callable[[Facing], Server]
"""What the registry holds by the name ``server.<name>``."""
