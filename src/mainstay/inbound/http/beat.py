"""What a server does once a second: the Date header, and the seconds by which idle connections are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from email.utils import formatdate

from mainstay.ports.clock import Clock


class Beat:
    """Counts seconds for all connections of a server, so that none needs a timer of its own.

    ``date`` is the header line for answers of this second; ``now`` counts the beats. Each beat calls ``then``.
    """

    __slots__ = ("_clock", "_handle", "_then", "date", "now")

    def __init__(self, clock: Clock, then: Callable[[], None]) -> None:
        self._clock = clock
        self._then = then
        self._handle: asyncio.TimerHandle | None = None
        self.now = 0
        self.date = b""
        self._tell()

    def _tell(self) -> None:
        self.date = f"Date: {formatdate(self._clock.time(), usegmt=True)}\r\n".encode()

    def start(self) -> None:
        """Begin to beat, on the running loop."""
        self._handle = asyncio.get_running_loop().call_later(1.0, self._beat)

    def _beat(self) -> None:
        self.now += 1
        self._tell()
        self._handle = asyncio.get_running_loop().call_later(1.0, self._beat)
        self._then()

    def stop(self) -> None:
        """Beat no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
