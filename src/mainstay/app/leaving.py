"""Leaving: the end of serving, in steps that fail no request as far as HTTP/1.1 allows.

At the end of a service readiness is refused for a time in which each answer says that it is its connection's last, so
that who is still about is led elsewhere. Then the queues of the listening sockets are emptied, nothing more is taken,
and what has begun is ended. Where a successor has taken the place (a rolling restart) readiness stays as it is and the
queue is left to it; connections without a request are kept open for a time, so that nearly all of them hear with an
answer that they are closed, and none is closed under a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

from mainstay.app.assembly import Application
from mainstay.app.servers.contract import Server
from mainstay.app.sockets import take_no_more
from mainstay.inbound.http.door import Door

HANDED_SECONDS = 5.0
"""How long a connection is kept for its last request where a successor serves all others."""

ENDING_SECONDS = 2.0
"""The same where nobody does, and clients could not be told before: the gap until the next start grows with it."""

_QUEUE_SECONDS = 0.02  # for the loop to take what waits in a listening socket's queue


class Stop:
    """The wish to end: gently, refusing readiness first; at once; or because a successor has taken the place."""

    def __init__(self) -> None:
        self.wanted: asyncio.Event = asyncio.Event()
        self.hurried: asyncio.Event = asyncio.Event()
        self.handed: bool = False

    def gently(self) -> None:
        """End after the time of refusing readiness. A second wish is one for at once."""
        if self.wanted.is_set():
            self.hurried.set()
        self.wanted.set()

    def now(self) -> None:
        """End when what is in flight has ended."""
        self.hurried.set()
        self.wanted.set()

    def hand_over(self) -> None:
        """End: a successor takes calls on the same socket."""
        self.handed = True
        self.wanted.set()


async def leave(
    application: Application,
    doors: Sequence[Door],
    servers: Sequence[Server],
    listeners: Sequence[socket.socket],
    stop: Stop,
) -> bool:
    """End all servers together. Returns whether everything in flight came to its end.

    ``listeners`` are copies of the listening sockets; they are closed here. Empty, the queues are somebody else's.
    """
    http = application.settings.http
    told = 0.0  # seconds in which clients heard that they are led elsewhere
    if not stop.handed:
        application.stopping = True
        for door in doors:
            door.draining = True
        if http.drain_delay and stop.wanted.is_set():
            for server in servers:
                server.part()
            told = 0.0 if await _hurried(stop, http.drain_delay) else http.drain_delay
    if not stop.handed:
        await _empty(listeners)
    for one in listeners:
        one.close()
    for server in servers:
        server.refuse()
    wait = HANDED_SECONDS if stop.handed else max(0.0, ENDING_SECONDS - told)
    at_once = stop.hurried.is_set() or not stop.wanted.is_set()
    idle_seconds = 0.0 if at_once else min(wait, http.drain_seconds / 2)
    return all(await asyncio.gather(*(server.finish(idle_seconds, http.drain_seconds) for server in servers)))


async def _hurried(stop: Stop, seconds: float) -> bool:
    """Wait, but no longer than until somebody is in a hurry."""
    try:
        await asyncio.wait_for(stop.hurried.wait(), seconds)
    except TimeoutError:
        return False
    return True


async def _empty(listeners: Sequence[socket.socket]) -> None:
    """Let the servers take what waits in the queues, while the kernel puts nothing more into them."""
    for one in listeners:
        with contextlib.suppress(OSError):  # no such filters here: what comes in this moment may be reset
            take_no_more(one)
    if listeners:
        await asyncio.sleep(_QUEUE_SECONDS)
