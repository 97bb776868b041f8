"""What the connections of one server share."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mainstay.inbound.http.beat import Beat
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.turnstile import Gate
from mainstay.ports.clock import Clock


class Connection(Protocol):
    """A connection, as the server sees it."""

    def sweep(self) -> None:
        """Close what has waited too long."""

    def retire(self) -> None:
        """Close now if idle; else after the answers to what has begun."""

    def abort(self) -> None:
        """Cut off."""

    def step_behind(self, gate: Gate) -> None:
        """Let a turnstile take the input."""


class Connections:
    """The open connections, their door and their beat. While ``retiring``, each answer is its connection's last.

    ``secure`` says that they are over TLS of our own; ``idle_seconds`` is how long a connection may wait for its next request.
    """

    def __init__(self, door: Door, clock: Clock, *, secure: bool = False) -> None:
        self.door = door
        self.secure = secure
        self.open: set[Connection] = set()
        self.beat = Beat(clock, self._sweep)
        self.gate = Gate(door, self._date)
        self.retiring = False
        self.idle_seconds = door.options.keep_alive_timeout
        self._gone: asyncio.Event | None = None

    def leave(self, connection: Connection) -> None:
        """Take note that a connection is no more."""
        self.open.discard(connection)
        if self._gone is not None and not self.open:
            self._gone.set()

    async def emptied(self, timeout: float) -> bool:  # noqa: ASYNC109 - a bound on the drain, not on the caller
        """Wait until no connection is open, at most ``timeout`` seconds. Returns whether that came to be."""
        if self.open:
            self._gone = asyncio.Event()
            try:
                await asyncio.wait_for(self._gone.wait(), timeout)
            except TimeoutError:
                return False
        return True

    def _date(self) -> bytes:
        return self.beat.date

    def guard(self, guarded: bool) -> None:
        """Put turnstiles before all connections, or take them away."""
        self.gate.shut = guarded
        if not guarded:
            self.gate.clear()
            return
        for connection in tuple(self.open):
            connection.step_behind(self.gate)

    def _sweep(self) -> None:
        for connection in tuple(self.open):
            connection.sweep()

    def retire(self, idle_seconds: float) -> None:
        """Close connections that have had no request for so long, now and from now on; each answer is the last."""
        self.retiring = True
        self.idle_seconds = idle_seconds
        for connection in tuple(self.open):
            connection.retire()

    def abort(self) -> None:
        """Cut off what is still open."""
        for connection in tuple(self.open):
            connection.abort()
