"""A link to a RabbitMQ server: one connection and one channel, made when they are asked for, and anew once lost.

The client's own reconnection is not used: it goes on behind the caller's back, and what was handed out before has no
meaning on the channel that comes after.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from ssl import SSLContext
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import CONNECTION_EXCEPTIONS, DeliveryError
from aiormq.channel import Channel

from mainstay.ports.broker import BrokerAway

_T = TypeVar("_T")
_HEARTBEAT = 15  # seconds; a peer that is silent for three of them is gone
_FAREWELL = 5.0  # seconds for an orderly end
LOST = "the connection to RabbitMQ was lost"
SILENCE = "RabbitMQ does not confirm: it may be short of memory or disk, or have no majority"


async def within(seconds: float, call: Coroutine[Any, Any, _T]) -> _T:
    """Return what a call to the server comes to. Raises ``BrokerAway``.

    It runs as a task of its own, since the client ends calls on a lost channel by cancelling them: that must not look
    as if the caller had been cancelled.
    """
    task = asyncio.ensure_future(call)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        if not task.done():
            task.cancel()
    if not task.done():
        raise BrokerAway(f"RabbitMQ has not answered within {seconds:g} s")
    if task.cancelled():
        raise BrokerAway(LOST)
    try:
        return task.result()
    except Exception as error:
        if isinstance(error, CONNECTION_EXCEPTIONS) or type(error) is Exception:  # which is all that the client says
            raise BrokerAway(reason(error)) from error
        raise


def reason(error: BaseException) -> str:
    """Return why the server did not do what it was asked for, without the URL that some of the client's errors show."""
    if isinstance(error, RuntimeError | asyncio.CancelledError) or type(error) is Exception:
        return LOST
    if isinstance(error, DeliveryError):
        return "RabbitMQ does not keep a message: a queue refuses it, or has no majority of its members"
    return f"RabbitMQ: {str(error) or type(error).__name__}"


async def underlay(channel: AbstractChannel) -> Channel:
    """Return what a channel stands on: the frames themselves."""
    found = await channel.get_underlay_channel()
    assert isinstance(found, Channel)
    return found


class Link:
    """``prepare`` is called with each new channel before anyone else gets it."""

    def __init__(
        self,
        url: str,
        tls: SSLContext | None,
        patience: float,
        name: str,
        prepare: Callable[[AbstractChannel], Coroutine[Any, Any, None]],
    ) -> None:
        self._url = f"{url}?heartbeat={_HEARTBEAT}"
        self._tls = tls
        self._name = name
        self._prepare = prepare
        self._connection: AbstractConnection | None = None
        self._channel: AbstractChannel | None = None
        self._connecting = asyncio.Lock()
        self.patience = patience

    @property
    def open_channel(self) -> AbstractChannel | None:
        """The channel, unless it was lost or is still to be made."""
        return None if self._channel is None or self._channel.is_closed else self._channel

    async def channel(self) -> AbstractChannel:
        """Return the channel, a new one where there is none. Raises ``BrokerAway``."""
        async with self._connecting:
            if self.open_channel is None:
                await self.drop()
                try:
                    await self._connect()
                except BaseException:
                    await self.drop()
                    raise
            assert self._channel is not None
            return self._channel

    async def _connect(self) -> None:
        connecting = aio_pika.connect(
            self._url, ssl_context=self._tls, client_properties={"connection_name": self._name}
        )
        self._connection = await within(self.patience, connecting)
        channel = self._connection.channel(on_return_raises=True)
        await within(self.patience, channel.initialize())
        await within(self.patience, self._prepare(channel))
        self._channel = channel

    async def ask(self, call: Callable[[AbstractChannel], Awaitable[_T]]) -> _T:
        """Return what a call on the channel comes to. Raises ``BrokerAway``, also where the channel was lost."""
        channel = self.open_channel
        if channel is None:
            raise BrokerAway(LOST)

        async def asked() -> _T:
            return await call(channel)

        return await within(self.patience, asked())

    async def leave(self) -> None:
        """Let the connection go once the server has had all that was handed over: the channel's end goes behind it."""
        with suppress(BrokerAway):  # then it comes again
            await self.ask(lambda channel: channel.close())
        await self.drop()

    async def drop(self) -> None:
        """Let the connection go, if there is one."""
        connection, self._connection, self._channel = self._connection, None, None
        if connection is not None:
            with suppress(BrokerAway):  # one that is lost needs no farewell
                await within(_FAREWELL, connection.close())
