"""Claims as locks of one session, which the server frees when its connection ends.

What is asked for while the server is asked is asked for together the next time: a thousand claims at once take a few
round trips. Where the connection ends, the server frees the claims of this process. Within the process they stand, and
they are taken anew by the next connection; that no effect is doubled meanwhile rests on the unique rows that calls
commit with it.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from mainstay.adapters.sql.links import Link
from mainstay.adapters.sql.outages import away
from mainstay.model.problem import DeadlineExceeded, Problem
from mainstay.ports.store import Claims

RETRY_SECONDS = 0.2
"""How often the database is looked for while claims are to be taken anew."""

Asked = list[tuple[bytes, asyncio.Future[bool]]]

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
        self._asked: Asked = []
        self._dropped: list[bytes] = []
        self._cut = False  # the connection has ended, and what is held is to be taken anew
        self._running: asyncio.Task[None] | None = None

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held.add(key)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((key, future))
        self._begin()
        taken = False
        try:
            taken = await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None and future.result():
                await self.drop(key)
            raise
        finally:
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
            while self._asked or self._dropped or self._cut:
                asked, self._asked = self._asked, []
                dropped, self._dropped = self._dropped, []
                self._cut = False
                connected = self._link is not None
                try:
                    await self._tell(asked, dropped)
                except Exception as error:
                    self._forget()
                    for _, future in asked:
                        if not future.done():
                            future.set_exception(_refusal(error))
                    await asyncio.sleep(0 if connected else RETRY_SECONDS)
                    self._cut = bool(self._held)
        finally:
            self._running = None

    async def _tell(self, asked: Asked, dropped: list[bytes]) -> None:
        link = self._link
        if link is None or link.closed:
            self._forget()
            link = await self._connect({key for key, _ in [*asked, *self._asked]})
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

    async def _connect(self, wanted: set[bytes]) -> L:
        """Open the connection, and take anew what is held and not just ``wanted``.

        What another process has taken meanwhile it keeps: both calls may run, and only one of them can commit.
        """
        link = self._link = await self._open()
        link.when_ended(self._ended)
        anew = list(self._held - wanted)
        if anew:
            told = await self._locks.take(link, anew)
            self._held.difference_update(key for key, taken in zip(anew, told, strict=True) if not taken)
        return link

    def _ended(self, link: L) -> None:
        if link is self._link:
            self._forget()
            if self._held:
                self._cut = True
                self._begin()

    def _forget(self) -> None:
        """The connection has ended, and with it what the server held for this process."""
        link, self._link = self._link, None
        self._dropped.clear()
        if link is not None:
            link.terminate()

    async def stop(self) -> None:
        """Let all claims go."""
        self._held.clear()
        running = self._running
        if running is not None:
            await asyncio.wait((running,))
        link, self._link = self._link, None
        if link is not None:
            await link.close()


def _refusal(error: Exception) -> Exception:
    """Return what a call is told that could not ask: nothing was done yet."""
    if isinstance(error, Problem) and not isinstance(error, DeadlineExceeded):
        return error
    return away(error)
