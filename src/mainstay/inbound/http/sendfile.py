"""A file from the disk to a socket without its bytes passing through this process: sendfile(2)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

from mainstay.inbound.http.segments import Changed, OpenFile, in_thread

_AT_ONCE = 1 << 20


class FileSender:
    """Sends files over the socket of a transport, whose own buffer is empty meanwhile.

    uvloop has no ``loop.sendfile``. The system call is made on a duplicate of the descriptor, which the loop may watch
    beside the transport's own, and in a thread, since it waits for the disk. While the client is behind, ``paused`` and
    ``resumed`` are called as a transport calls them, so that the bounds on slow clients hold.
    """

    def __init__(
        self,
        transport: Any,
        loop: asyncio.AbstractEventLoop,
        drained: Callable[[], Awaitable[None] | None],
        paused: Callable[[], None],
        resumed: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._drained = drained
        self._paused = paused
        self._resumed = resumed

    async def __call__(self, file: OpenFile, start: int, stop: int) -> None:
        """Send a span. Raises ``Changed`` for a file that was written to, ``OSError`` where the client left."""
        await self._flush()
        number = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            while start < stop:
                if self._transport.is_closing():
                    raise ConnectionResetError("the client left")
                size = min(stop - start, _AT_ONCE)
                sent = await in_thread(lambda at=start, size=size: _send(number, file, at, size))  # type: ignore[misc]  # defaults fix them
                if sent is None:
                    await self._writable(number)
                elif not sent:
                    raise Changed("the file became shorter while it was sent")
                else:
                    start += sent
        finally:
            os.close(number)

    async def _flush(self) -> None:
        """Wait until the transport has handed all that it was given to the system."""
        self._transport.set_write_buffer_limits(high=0)
        try:
            waiting = self._drained()
            if waiting is not None:
                await waiting
        finally:
            if not self._transport.is_closing():
                self._transport.set_write_buffer_limits()
        while self._transport.get_write_buffer_size():
            if self._transport.is_closing():
                raise ConnectionResetError("the client left")
            await asyncio.sleep(0)

    async def _writable(self, number: int) -> None:
        """Wait until the client has taken something."""
        ready = self._loop.create_future()
        self._loop.add_writer(number, _set, ready)
        self._paused()
        try:
            await ready
        finally:
            self._loop.remove_writer(number)
            self._resumed()


def _set(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


def _send(number: int, file: OpenFile, at: int, size: int) -> int | None:
    """Send what the socket takes now; None where it takes nothing. Raises ``Changed``."""
    try:
        sent = os.sendfile(number, file.number, at, size)
    except BlockingIOError:
        return None
    file.check()
    return sent
