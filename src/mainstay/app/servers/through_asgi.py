"""The door as an ASGI application for a server that this process runs: what it cannot do by itself is done here."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mainstay.inbound.http.asgi import AsgiApp, Message, Receive, Scope, Send
from mainstay.inbound.http.door import Door

Fields = Sequence[tuple[bytes, bytes]]
_LAST = (b"connection", b"close")


class Through:
    """Counts what is in flight; while ``parting``, each answer over HTTP/1 is its connection's last.

    ``fields`` stand in every answer.
    """

    def __init__(self, door: Door, fields: Fields = ()) -> None:
        self.parting = False
        self.running = 0
        self._app = AsgiApp(door)
        self._fields = tuple(fields)
        self._idle: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        self.running += 1
        try:
            if self._fields or self.parting:
                await self._app(scope, receive, self._marking(scope, send))
            else:
                await self._app(scope, receive, send)
        finally:
            self.running -= 1
            if self._idle is not None and not self.running:
                self._idle.set()

    def _marking(self, scope: Scope, send: Send) -> Send:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                last = (_LAST,) if self.parting and scope["http_version"][:1] == "1" else ()
                message["headers"] = [*message["headers"], *self._fields, *last]
            await send(message)

        return marked

    async def ended(self, seconds: float) -> bool:
        """Wait until nothing is in flight, at most ``seconds``. Returns whether that came to be."""
        if self.running:
            self._idle = asyncio.Event()
            try:
                await asyncio.wait_for(self._idle.wait(), seconds)
            except TimeoutError:
                return False
        return True
