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
_VARIANT = 0b10 << 62
_VERSION = 0x7000
_TOKEN = 22
_TOKENS = 200

# What UUID(int=...) sets, without its checks, which take longer than all the rest: the slots themselves.
_bare = object.__new__
_set_int = vars(UUID)["int"].__set__
_set_is_safe = vars(UUID)["is_safe"].__set__
_UNKNOWN = SafeUUID.unknown


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
            drawn = struct.unpack(f"{_POOL}Q", os.urandom(8 * _POOL))
            pool.extend([number & _RANDOM_62 | _VARIANT for number in drawn])
        made = _bare(UUID)
        _set_int(made, (ticks >> 12 << 16 | ticks & 0xFFF | _VERSION) << 64 | pool.pop())
        _set_is_safe(made, _UNKNOWN)
        return made

    def token(self) -> str:
        tokens = self._tokens
        if not tokens:
            text = urlsafe_b64encode(os.urandom(_TOKEN * _TOKENS * 3 // 4)).decode()
            tokens.extend(text[i : i + _TOKEN] for i in range(0, len(text), _TOKEN))
        return tokens.pop()
