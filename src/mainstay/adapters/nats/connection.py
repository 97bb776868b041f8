"""Where NATS servers are, and the connection to one of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress

import msgspec
from nats.aio.client import Client
from nats.errors import Error

from mainstay.ports.broker import BrokerAway
from mainstay.ports.observer import Notice, Observer

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 5.0
BLINK_SECONDS = 1.0
"""For which a connection that was cut is waited for, before the broker is told to be away."""

_PAUSE_SECONDS = 0.25  # between attempts to connect again

FAILURES = (Error, OSError, TimeoutError, EOFError)
"""What the client raises that gets no answer, or an error for one."""


Credentials = tuple[str | None, str | None]
"""A user and a password; None for what is not given."""


def nobody() -> Credentials:
    """Return no credentials."""
    return None, None


class NatsPlace(msgspec.Struct, frozen=True, kw_only=True):
    """The servers of one cluster, as ``host:port``, and who asks.

    ``credentials`` gives user and password, and is asked for each connection: they may change. A user without a
    password is a token.
    """

    servers: tuple[str, ...]
    credentials: Callable[[], Credentials] = nobody
    tls: ssl.SSLContext | None = None


def away(error: BaseException | None) -> BrokerAway:
    """Return what is told of a failure: its kind, and the server's code where it gave one."""
    told = "it is not connected" if error is None else type(error).__name__
    if type(error) is Error:
        told = str(error)  # a word of the server's: "nats: 'Authorization Violation'"
    code = getattr(error, "err_code", None)
    gone = BrokerAway(f"NATS does not do what it was asked for: {told}" + (f" ({code})" if code else ""))
    gone.__cause__ = error
    return gone


class NatsConnection:
    """One connection, which is made again by itself where it is lost. ``on_change`` hears of both."""

    def __init__(self, place: NatsPlace, observer: Observer, on_change: Callable[[], None]) -> None:
        self._place = place
        self._observer = observer
        self._on_change = on_change
        self._told = False
        self._cause: Exception | None = None  # of the last failure
        self._client: Client | None = None
        self._back = asyncio.Event()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        return self._client is not None and self._client.is_connected

    async def open(self) -> None:
        """Connect, where that is not done yet. Raises ``BrokerAway``."""
        if self.connected:
            return
        await self.close()
        client = self._client = Client()
        self._cause = None
        scheme = "nats" if self._place.tls is None else "tls"
        credentials = self._place.credentials
        user, password = credentials()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await client.connect(
                    [f"{scheme}://{server}" for server in self._place.servers],
                    name="mainstay",
                    tls=self._place.tls,
                    connect_timeout=int(CONNECT_SECONDS),
                    reconnect_time_wait=_PAUSE_SECONDS,  # type: ignore[arg-type]  # it sleeps for that
                    max_reconnect_attempts=1,  # of each server, until one takes us
                    error_cb=self._failed,
                    disconnected_cb=self._changed,
                    reconnected_cb=self._changed,
                    closed_cb=self._changed,
                    user=None if password is None else lambda: credentials()[0] or "",
                    password=None if password is None else lambda: credentials()[1] or "",
                    token=None if password is not None or user is None else lambda: credentials()[0] or "",
                )
        except FAILURES as error:
            await self.close()
            raise away(self._cause or error) from error
        client.options["max_reconnect_attempts"] = -1
        self._back.set()

    async def _changed(self) -> None:
        (self._back.set if self.connected else self._back.clear)()
        self._told = self._told and not self.connected
        self._on_change()

    async def _failed(self, error: Exception) -> None:
        """Tell of the first failure since there was a connection: others are those of attempts to make one."""
        if not self._told and not isinstance(error, OSError):
            told = f"NATS: {type(error).__name__}"
            self._observer.observe(Notice("warning", "broker_connection", told, {}, error))
        self._told = True
        self._cause = error

    def check(self) -> Client:
        """Return the client. Raises ``BrokerAway`` where it is not connected."""
        client = self._client
        if client is None or not client.is_connected:
            raise away(None if client is None else client.last_error)
        return client

    async def ready(self) -> Client:
        """Return the client, once it is connected again where it was cut. Raises ``BrokerAway`` where that lasts."""
        if self._client is not None and not self._client.is_connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(BLINK_SECONDS):
                    await self._back.wait()
        return self.check()

    async def settle(self) -> None:
        """Return when the server has read all that was sent. Raises ``BrokerAway``."""
        try:
            await (await self.ready()).flush(int(ANSWER_SECONDS))
        except FAILURES as error:
            raise away(error) from error

    async def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(*FAILURES):  # it was lost, or never made
                await client.close()
