"""What the connections of one server share."""

from __future__ import annotations

import asyncio
from typing import Protocol

from mainstay.inbound.http.beat import Beat
from mainstay.inbound.http.clients import Clients
from mainstay.inbound.http.crowd import LINGERING, Crowd
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.turnstile import Gate
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock

_AT_ONCE = 32  # connections that are swept in one turn of the loop
_RESTING = 1  # seconds: a connection that was used since is not closed to make room


def address_of(transport: asyncio.BaseTransport) -> str:
    """Return the address of a connection's other end, "" where it has none."""
    peername = transport.get_extra_info("peername")
    return peername[0] if isinstance(peername, tuple) else ""


class Connection(Protocol):
    """A connection, as the server sees it."""

    def sweep(self) -> None:
        """Close what has waited too long."""

    def idle_for(self) -> int:
        """Return for how many seconds it has been at rest; -1 where it is not."""

    def close_idle(self) -> None:
        """End it, being at rest."""

    def retire(self) -> None:
        """Close now if idle; else after the answers to what has begun."""

    def abort(self) -> None:
        """Cut off."""

    def step_behind(self, gate: Gate) -> None:
        """Let a turnstile take the input."""


class Connections:
    """The open connections, their door and their beat. While ``retiring``, each answer is its connection's last.

    ``secure`` says that they are over TLS of our own, ``clients`` how the certificates of clients are read, where they
    have any; ``idle_seconds`` is how long a connection may wait for its next request.
    """

    def __init__(self, door: Door, clock: Clock, *, secure: bool = False, clients: Clients | None = None) -> None:
        self.door = door
        self.secure = secure
        self._clients = clients
        self.open: set[Connection] = set()
        self._turned_away: set[Connection] = set()  # those that have time to read why
        self.beat = Beat(clock, self._sweep)
        self.gate = Gate(door, self._date)
        self.tally = Crowd(door.options)
        self._room = 0  # connections that were closed to make room, and whose places have not been taken
        self._cleared = -1  # the beat at which that was last done
        self.retiring = False
        self.idle_seconds = door.options.keep_alive_timeout
        self._gone: asyncio.Event | None = None

    def client_of(self, transport: asyncio.BaseTransport) -> Principal | None:
        """Return as whom the calls of a connection begin; None: as nobody."""
        return None if self._clients is None else self._clients.of(transport)

    def enter(self, connection: Connection, address: str) -> str | None:
        """Count a connection. Returns what to ``leave`` with, or None where there are too many of them."""
        if self.tally.full(len(self.open)) and not self._make_room():
            return None
        name = self.tally.enter(address)
        if name is not None:
            self.open.add(connection)
        return name

    def _make_room(self) -> bool:
        """Close connections that have been at rest the longest, some at once, at most once a beat."""
        if not self._room and self._cleared != self.beat.now:
            self._cleared = self.beat.now
            idle = [(one.idle_for(), one) for one in self.open]
            resting = sorted((one for one in idle if one[0] > _RESTING), key=lambda one: -one[0])
            for _, one in resting[: 1 + len(idle) // 16]:
                one.close_idle()
                self._room += 1
        if not self._room:
            return False
        self._room -= 1
        return True

    def may_linger(self, connection: Connection) -> bool:
        """Whether a connection that is turned away may have time to read why."""
        self._turned_away.add(connection)
        return len(self._turned_away) <= LINGERING

    def refusal(self) -> bytes:
        """Return what a connection is told that is turned away."""
        lines = b"X-Request-ID: " + self.door.new_id() + b"\r\n" + self.door.common
        return self.tally.refusal(lines, self.beat.date)

    def leave(self, connection: Connection, name: str | None) -> None:
        """Take note that a connection is no more."""
        if name is None:
            self._turned_away.discard(connection)
        else:
            self.tally.leave(name)
            self.open.discard(connection)
        if self._gone is not None and not self.open and not self._turned_away:
            self._gone.set()

    async def emptied(self, timeout: float) -> bool:  # noqa: ASYNC109 - a bound on the drain, not on the caller
        """Wait until no connection is open, at most ``timeout`` seconds. Returns whether that came to be."""
        if self.open or self._turned_away:
            self._gone = asyncio.Event()
            try:
                await asyncio.wait_for(self._gone.wait(), timeout)
            except TimeoutError:
                return False
        return True

    def _date(self) -> bytes:
        return self.beat.date

    def crowd(self, crowded: bool) -> None:
        """Put turnstiles before all connections, or take them away."""
        self.gate.shut = crowded
        if not crowded:
            self.gate.clear()
            return
        for connection in tuple(self.open):
            connection.step_behind(self.gate)

    def _sweep(self) -> None:
        self.tally.report(self.door.observe, len(self.open))
        self._sweep_some(list(self.open))

    def _sweep_some(self, waiting: list[Connection]) -> None:
        """Sweep some connections and let others be served in between: ten thousand at once would be a pause."""
        for connection in waiting[-_AT_ONCE:]:
            connection.sweep()
        del waiting[-_AT_ONCE:]
        if waiting:
            asyncio.get_running_loop().call_soon(self._sweep_some, waiting)

    def retire(self, idle_seconds: float) -> None:
        """Close connections that have had no request for so long, now and from now on; each answer is the last."""
        self.retiring = True
        self.idle_seconds = idle_seconds
        for connection in tuple(self.open):
            connection.retire()
        for connection in tuple(self._turned_away):
            connection.abort()

    def abort(self) -> None:
        """Cut off what is still open."""
        for connection in tuple(self.open):
            connection.abort()
