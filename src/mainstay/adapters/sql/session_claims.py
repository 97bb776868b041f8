"""Claims as locks of one session, which the server frees when its connection ends.

What is asked for while the server is asked is asked for together the next time: a thousand claims at once take a few
round trips. Where the connection ends, so do the claims of this process; that no effect is doubled then rests on the
unique rows that calls commit with it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from mainstay.adapters.sql.links import Link
from mainstay.adapters.sql.outages import ConnectionLost, away
from mainstay.model.problem import Problem
from mainstay.ports.store import Claims

L = TypeVar("L", bound=Link)
C_contra = TypeVar("C_contra", contravariant=True)


class Locks(Protocol[C_contra]):
    """The locks of a server that one session holds until it lets them go or ends."""

    async def take(self, link: C_contra, keys: Sequence[bytes]) -> Sequence[bool]:
        """Take the locks of keys that no other session holds, without waiting; tell of each whether it was."""

    async def drop(self, link: C_contra, keys: Sequence[bytes]) -> None:
        """Let locks go."""


class HeldClaims(Claims):
    """Claims that are let go when the store stops."""

    @abstractmethod
    async def stop(self) -> None:
        """Let all claims go."""


class SessionClaims(HeldClaims, Generic[L]):
    """The claims of one process."""

    def __init__(self, open_link: Callable[[], Awaitable[L]], locks: Locks[L]) -> None:
        self._open = open_link
        self._locks = locks
        self._link: L | None = None
        self._held: set[bytes] = set()
        self._asked: list[tuple[bytes, asyncio.Future[bool]]] = []
        self._dropped: list[bytes] = []
        self._running: asyncio.Task[None] | None = None

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held.add(key)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((key, future))
        self._begin()
        try:
            taken = await future
        except BaseException:
            await self.drop(key)
            raise
        if not taken:
            self._held.discard(key)
        return taken

    async def drop(self, key: bytes) -> None:
        """Let a claim go; the server is told, and not waited for."""
        if key in self._held:
            self._held.discard(key)
            self._dropped.append(key)
            self._begin()

    def _begin(self) -> None:
        if self._running is None:
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        """Ask the server for what is wanted, until nothing is."""
        try:
            while self._asked or self._dropped:
                asked, self._asked = self._asked, []
                dropped, self._dropped = self._dropped, []
                try:
                    await self._tell(asked, dropped)
                except Exception as error:
                    self._forget()
                    for _, future in asked:
                        if not future.done():
                            future.set_exception(error if isinstance(error, Problem) else away(error))
        finally:
            self._running = None

    async def _tell(self, asked: list[tuple[bytes, asyncio.Future[bool]]], dropped: list[bytes]) -> None:
        link = self._link
        if link is None or link.closed:
            self._forget()
            link = self._link = await self._open()
            link.when_ended(self._ended)
            self._held.update(key for key, _ in asked)
            dropped = []  # they ended with the connection that held them
        if dropped:
            await self._locks.drop(link, dropped)
        if asked:
            told = await self._locks.take(link, [key for key, _ in asked])
            for (key, future), taken in zip(asked, told, strict=True):
                if not future.done():
                    future.set_result(taken)
                elif taken:
                    self._dropped.append(key)  # whoever asked has left

    def _ended(self, link: L) -> None:
        if link is self._link:
            self._forget()

    def _forget(self) -> None:
        """The connection has ended, and all claims with it."""
        link, self._link = self._link, None
        waiting = {key for key, _ in self._asked}
        self._held &= waiting
        self._dropped.clear()
        if link is not None:
            link.terminate()

    async def stop(self) -> None:
        running = self._running
        if running is not None:
            with suppress(ConnectionLost):
                await running
        link, self._link = self._link, None
        self._held.clear()
        if link is not None:
            await link.close()
