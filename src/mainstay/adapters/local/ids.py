"""Ids and random texts, from a pool of the operating system's randomness."""

from __future__ import annotations

import os
import struct
from base64 import urlsafe_b64encode
from time import time_ns
from uuid import UUID, SafeUUID

from mainstay.adapters.local.fork import after_fork
from mainstay.ports.ids import Ids

_POOL = 512
_RANDOM_62 = (1 << 62) - 1
_VERSION_AND_VARIANT = 0x7 << 76 | 0b10 << 62
_TOKEN = 22
_TOKENS = 200
_set = object.__setattr__


class SystemIds(Ids):
    """UUIDv7 by RFC 9562, section 6.2, method 3, and random texts of 132 bits.

    The 12 bits behind the milliseconds are the fraction of the millisecond (steps of 244 ns). An id is always greater
    than the one before it: where the clock has not gone on, or was set back, the next step is taken. Use one source in
    one thread.
    """

    def __init__(self) -> None:
        self._last = 0
        self._pool: list[int] = []
        self._tokens: list[str] = []
        after_fork(self)

    def reseed(self) -> None:
        """Forget what a forked process has in common with its parent."""
        self._pool = []
        self._tokens = []

    def next(self) -> UUID:
        ticks = time_ns() * 64 // 15_625  # milliseconds times 4096
        if ticks <= self._last:
            ticks = self._last + 1
        self._last = ticks
        pool = self._pool
        if not pool:
            pool.extend(struct.unpack(f"{_POOL}Q", os.urandom(8 * _POOL)))
        made = UUID.__new__(UUID)
        # What UUID(int=...) sets, without its checks, which take longer than all the rest.
        _set(made, "int", (ticks >> 12) << 80 | (ticks & 0xFFF) << 64 | _VERSION_AND_VARIANT | pool.pop() & _RANDOM_62)
        _set(made, "is_safe", SafeUUID.unknown)
        return made

    def token(self) -> str:
        tokens = self._tokens
        if not tokens:
            text = urlsafe_b64encode(os.urandom(_TOKEN * _TOKENS * 3 // 4)).decode()
            tokens.extend(text[i : i + _TOKEN] for i in range(0, len(text), _TOKEN))
        return tokens.pop()
