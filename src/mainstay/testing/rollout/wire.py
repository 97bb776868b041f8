"""HTTP/1.1 to a service on this machine: connections that are kept and used again, and every way that one may fail."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httptools
import msgspec

HOST = "127.0.0.1"
_IDLE_SECONDS = 20.0  # less than any server waits: who closes is we


class Lost(Exception):
    """There was no whole answer; the text says what became of the connection."""


class Arrived(msgspec.Struct, frozen=True):
    """A whole answer; the names of its fields are in lower case."""

    status: int
    fields: Mapping[str, str]
    body: bytes

    @property
    def media_type(self) -> str:
        """What the body is, without parameters."""
        return self.fields.get("content-type", "").partition(";")[0].strip()


class _Connection(asyncio.Protocol):
    """One connection, with one request under way at most."""

    def __init__(self) -> None:
        self.since = 0.0
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Arrived] | None = None
        self._begin()

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fields: dict[str, str] = {}
        self._parts: list[bytes] = []

    @property
    def is_open(self) -> bool:
        """Whether a request may be sent."""
        return self._transport is not None and not self._transport.is_closing()

    def send(self, request: bytes) -> asyncio.Future[Arrived]:
        """Send a request; what is returned ends with its answer or with ``Lost``."""
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def close(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(Lost(f"what came is no HTTP: {error}"))
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Lost(f"the connection was closed without an answer{f': {exc}' if exc else ''}"))

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        arrived = Arrived(self._parser.get_status_code(), self._fields, b"".join(self._parts))
        kept = self._parser.should_keep_alive()
        self._begin()
        if not kept:
            self.close()
        self._end(arrived)

    def _end(self, outcome: Arrived | Lost) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None or waiting.done():
            return
        if isinstance(outcome, Lost):
            waiting.set_exception(outcome)
        else:
            waiting.set_result(outcome)


class Wire:
    """The connections to one port of this machine."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._idle: list[_Connection] = []

    async def ask(
        self, method: str, target: str, fields: Mapping[str, str], body: bytes = b"", *, seconds: float
    ) -> Arrived:
        """Ask, and return the answer. Raises ``Lost``: nothing is asked again."""
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(seconds):
                connection = self._kept() or await self._opened()
                arrived = await connection.send(_encoded(method, target, fields, body))
        except TimeoutError:
            if connection is not None:
                connection.close()
            raise Lost(f"there was no answer in {seconds:g} s") from None
        except OSError as error:
            raise Lost(f"no connection: {error.strerror or error}") from None
        if connection.is_open:
            connection.since = time.monotonic()
            self._idle.append(connection)
        return arrived

    def _kept(self) -> _Connection | None:
        """Return a connection that may be used again; what is too old, or has ended, is let go."""
        now = time.monotonic()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now - connection.since < _IDLE_SECONDS:
                return connection
            connection.close()
        return None

    async def _opened(self) -> _Connection:
        _, connection = await asyncio.get_running_loop().create_connection(_Connection, HOST, self.port)
        return connection

    def close(self) -> None:
        """End the connections that nothing is under way on."""
        for connection in self._idle:
            connection.close()
        self._idle.clear()


def _encoded(method: str, target: str, fields: Mapping[str, str], body: bytes) -> bytes:
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}", *(f"{name}: {value}" for name, value in fields.items())]
    if body or method not in ("GET", "DELETE"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body
