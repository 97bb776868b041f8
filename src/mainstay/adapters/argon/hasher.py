"""Argon2id (RFC 9106) on threads of its own: few, bounded, and behind the event loop in the order of the processor."""

from __future__ import annotations

import asyncio
import os
import threading
from base64 import b64encode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar
from unicodedata import normalize

from mainstay.model.problem import Unavailable
from mainstay.ports.passwords import PasswordHasher

if TYPE_CHECKING:
    from argon2 import PasswordHasher as Argon2

T = TypeVar("T")

NICENESS = 10
"""How far the threads give way to the event loop, of 19."""


class ArgonHasher(PasswordHasher):
    """Hash with Argon2id.

    ``memory`` is in KiB, and is taken by each of ``threads`` hashes under way; ``waiting`` more may wait for their
    turn, and one beyond is refused with 503 at once.
    """

    def __init__(
        self, *, memory: int = 19_456, iterations: int = 2, lanes: int = 1, threads: int = 1, waiting: int = 64
    ) -> None:
        from argon2 import PasswordHasher as Argon2

        self._argon = Argon2(time_cost=iterations, memory_cost=memory, parallelism=lanes)
        self._nobodys = _nobodys(self._argon)
        self._room = threads + waiting
        self._under_way = 0
        self._pool = ThreadPoolExecutor(threads, "mainstay-passwords", initializer=_give_way)

    async def hash(self, password: str) -> str:
        return await self._beside(lambda: self._argon.hash(_normal(password)))

    async def verify(self, hashed: str | None, password: str) -> bool:
        against = self._nobodys if hashed is None else hashed
        fits = await self._beside(lambda: self._fits(against, password))
        return fits and hashed is not None

    def outdated(self, hashed: str) -> bool:
        return self._argon.check_needs_rehash(hashed)

    def close(self) -> None:
        """Let the threads end once they have nothing to do."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _fits(self, hashed: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._argon.verify(hashed, _normal(password))
        except (VerificationError, InvalidHashError):
            return False

    async def _beside(self, work: Callable[[], T]) -> T:
        if self._under_way >= self._room:
            raise Unavailable("too many passwords are being looked at", retry_after=1.0)
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work)
        future.add_done_callback(self._ended)
        return await future

    def _ended(self, _future: asyncio.Future[T]) -> None:
        self._under_way -= 1


def _normal(password: str) -> bytes:
    return normalize("NFKC", password).encode()


def _give_way() -> None:
    """Put this thread behind the others of the process, where the system has an order for threads."""
    if hasattr(os, "setpriority"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


def _nobodys(argon: Argon2) -> str:
    """Return what looks like a hash of now and is of no password: to compare with it takes as long as with any."""
    salt, digest = (b64encode(os.urandom(length)).decode().rstrip("=") for length in (argon.salt_len, argon.hash_len))
    return f"$argon2id$v=19$m={argon.memory_cost},t={argon.time_cost},p={argon.parallelism}${salt}${digest}"
