"""How little of a client's bytes in how long a time is too little, whichever way they go."""

from __future__ import annotations

import contextlib
import fcntl
import socket
import struct
import sys
import termios
from typing import Any

_UNSENT = 256 << 10  # bytes


class Meter:
    """Measures what comes or goes of one thing at a time: a body, or an answer that the client does not take.

    A time-out between two bytes holds nobody off who sends one byte a second. So in each window of that time-out as
    much must come, or go, as the rate says, and at the least something.
    """

    __slots__ = ("_amount", "_of", "_since")

    def __init__(self) -> None:
        self._of: object = None
        self._amount = 0
        self._since = 0

    def lags(self, of: object, amount: int, *, now: int, window: float, rate: int) -> bool:
        """Whether ``amount`` bytes of a thing are too few now: less than ``rate`` a second since the window began.

        ``now`` and ``window`` are in seconds. With another thing than the last a new window begins.
        """
        if self._of is not of:
            self._of, self._amount, self._since = of, amount, now
            return False
        if now - self._since <= window:
            return False
        gone, self._amount = amount - self._amount, amount
        seconds, self._since = now - self._since, now
        return gone <= 0 or gone < rate * seconds


def unsent(transport: Any) -> bool:
    """Whether the system holds bytes that the client has not taken."""
    found = transport.get_extra_info("socket")
    if found is None or not sys.platform.startswith("linux"):
        return False
    try:
        (size,) = struct.unpack("i", fcntl.ioctl(found.fileno(), termios.TIOCOUTQ, b"\0\0\0\0"))
    except OSError:  # it is gone, or no socket of TCP
        return False
    return bool(size > 0)


def bound_unsent(listener: socket.socket, seconds: float) -> None:
    """Bound what the system holds for clients, in bytes and in time, on all connections that a socket accepts.

    What is in the system's buffer has left us: only the system knows whether it goes (RFC 5482). Of what is not on its
    way yet it takes little, so that an answer that nobody takes does not sit there in megabytes where no rate is seen.
    """
    if listener.family in (socket.AF_INET, socket.AF_INET6) and sys.platform.startswith("linux"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, max(1, int(1000 * seconds)))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT)


def cut_off(transport: Any) -> None:
    """End a connection by a reset: without one, the system would go on to offer the client what it does not take."""
    found = transport.get_extra_info("socket")
    if found is not None:
        with contextlib.suppress(OSError):  # it is gone already
            found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
