"""NOTIFY and LISTEN: the processes that share a database wake each other.

A ring is no part of a transaction: PostgreSQL commits transactions that notify one after another, however many cores it
has. What is lost here is found by who looks now and then, so a ring is sent once for all that come meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mainstay.adapters.sql.outages import ConnectionLost
from mainstay.adapters.sql.postgres.link import Link

_SECONDS = 5.0
RETRY_SECONDS = 1.0
"""How long a connection that was lost is left alone."""


class Wire:
    """One connection that listens to a channel and rings on it."""

    def __init__(self, open_link: Callable[[], Awaitable[Link]], channel: str) -> None:
        self._open = open_link
        self._channel = channel
        self._heard: list[Callable[[], None]] = []
        self._link: Link | None = None
        self._rung = asyncio.Event()
        self._running: asyncio.Task[None] | None = None
        self.lost: int = 0

    def listen(self, heard: Callable[[], None]) -> None:
        """Have ``heard`` called too at each ring of another process."""
        self._heard.append(heard)
        self._begin()

    def ring(self) -> None:
        """Tell the others, soon; a process that listens to nobody has its connection from the first time on."""
        self._rung.set()
        self._begin()

    def _begin(self) -> None:
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Keep a connection that listens, and ring on it when asked to."""
        while True:
            try:
                await self._serve()
            except Exception:
                # Whatever it was (a server that starts, or has no room), it is counted, and tried again: who delivers
                # looks for events by itself meanwhile.
                self.lost += 1
                self._end()
                await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self) -> None:
        link = self._link = await self._open()
        link.when_ended(lambda _: self._rung.set())
        await link.hear(self._channel, self._hear)
        while not link.closed:
            await self._rung.wait()
            self._rung.clear()
            if not link.closed:
                await link.fetch("SELECT pg_notify($1, '')", (self._channel,), _SECONDS)
        raise ConnectionLost("the connection that listens has ended")

    def _hear(self, pid: int, own: int) -> None:
        if pid != own:
            for heard in self._heard:
                heard()

    def _end(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.terminate()

    async def stop(self) -> None:
        """Listen no more."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait((running,))
        link, self._link = self._link, None
        if link is not None:
            await link.close()
