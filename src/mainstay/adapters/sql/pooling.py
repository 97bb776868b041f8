"""Connections to a server, lent to one call at a time and opened as they are needed."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from time import monotonic
from typing import Generic, TypeVar

from mainstay.adapters.sql.faults import StatementFailed
from mainstay.adapters.sql.links import Link
from mainstay.adapters.sql.outages import ConnectionLost, PoolExhausted, away
from mainstay.model.problem import DeadlineExceeded

L = TypeVar("L", bound=Link)

RETRY_SECONDS = 0.2
"""How often a database that is away is looked for."""

CHECK_SECONDS = 1.0
"""How long an idle connection may take to answer."""


class Pool(Generic[L]):
    """At most so many connections; who comes when all are lent waits in a queue.

    A connection that was closed, or was given back in the midst of something, is never lent again. Nothing is reset
    between two calls: what a call sets, it sets for its transaction only.
    """

    def __init__(
        self,
        open_link: Callable[[], Awaitable[L]],
        *,
        size: int,
        queue_limit: int,
        wait_seconds: float,
        check_seconds: float,
    ) -> None:
        self._open = open_link
        self.size: int = size
        self._queue_limit = queue_limit
        self._wait_seconds = wait_seconds
        self._check_seconds = check_seconds
        self._idle: list[L] = []
        self._lent: dict[L, float] = {}
        self._waiting: deque[tuple[float, asyncio.Future[L]]] = deque()
        self._openers: set[asyncio.Task[None]] = set()
        self._menders: set[asyncio.Task[None]] = set()
        self._given: asyncio.Event | None = None  # of who waits for all to be given back
        self._closing = False
        self.failure: str | None = None
        self.opened: int = 0
        self.lost: int = 0

    @property
    def lent(self) -> int:
        """How many connections are in use."""
        return len(self._lent)

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        return len(self._waiting)

    @property
    def longest(self) -> float:
        """For how many seconds the connection that was lent first has been in use: one that never ends is a leak."""
        return monotonic() - next(iter(self._lent.values())) if self._lent else 0.0

    @property
    def delay(self) -> float:
        """For how many seconds the first in the queue has waited."""
        return monotonic() - self._waiting[0][0] if self._waiting else 0.0

    async def start(self) -> None:
        """Open the first connection. Raises ``DatabaseAway`` where that fails."""
        link = await self.take()
        self.give(link)

    async def take(self, patience: float | None = None) -> L:
        """Return a connection, to be given back. Raises ``PoolExhausted``, ``DatabaseAway``, ``DeadlineExceeded``."""
        now = monotonic()
        while self._idle:
            link = self._idle.pop()
            if link.closed:
                self._drop(link)
            elif now - link.used < self._check_seconds or await self._alive(link):
                self._lent[link] = now
                return link
            else:
                self._shed()
        while True:
            link = await self._wait(now, patience)
            if not link.closed:
                return link
            self.give(link)  # it ended in the moment in which it was handed over

    async def _alive(self, link: L) -> bool:
        """Whether a connection that was not used for long, or was cut, is fit to be lent; one that is not is ended.

        A BEGIN that was given up may have been carried out all the same: what is written in that transaction would
        be lost, and be acknowledged.
        """
        fit = False
        try:
            await link.execute("SELECT 1", CHECK_SECONDS)
            fit = not (link.closed or link.in_transaction)
        except (ConnectionLost, DeadlineExceeded, StatementFailed):
            pass
        finally:
            if not fit:
                self._end(link)
        return fit

    async def _wait(self, now: float, patience: float | None) -> L:
        if self._closing or self.failure is not None:
            raise away(None)  # it is looked for, and calls are taken as soon as it is there
        if len(self._waiting) >= self._queue_limit:
            raise PoolExhausted(retry_after=1)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[L] = loop.create_future()
        self._waiting.append((now, future))
        self._open_more()
        seconds = self._wait_seconds if patience is None else min(patience, self._wait_seconds)
        timer = loop.call_later(max(0.0, seconds), self._expire, future, patience is not None and patience <= seconds)
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self.give(future.result())  # it came in the moment of the cancellation
            raise
        finally:
            timer.cancel()
            self._forget(future)

    def _expire(self, future: asyncio.Future[L], late: bool) -> None:
        if not future.done():
            problem = DeadlineExceeded("no connection was free in time") if late else None
            future.set_exception(problem or (PoolExhausted(retry_after=1) if self.opened else away(None)))

    def _forget(self, future: asyncio.Future[L]) -> None:
        """Take a call out of the queue that is in it still."""
        if self._waiting and self._waiting[0][1] is future:
            self._waiting.popleft()
            return
        for place, (_, one) in enumerate(self._waiting):
            if one is future:
                del self._waiting[place]
                return

    def give(self, link: L) -> None:
        """Take a connection back. One in the midst of something is ended."""
        if self._lent.pop(link, None) is None:
            return  # it was given back before
        if self._given is not None:
            self._given.set()
        if link.closed or self._closing or link.in_transaction:
            self._end(link)
            return
        if link.cut:
            self._spawn(self._mend(link), self._menders)
            return
        link.used = monotonic()
        self._lend(link)

    async def _mend(self, link: L) -> None:
        """Wait until the server has let go of what was given up on a connection, and lend it again."""
        link.cut = False
        if await self._alive(link):
            link.used = monotonic()
            self._lend(link)

    def _lend(self, link: L) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                self._lent[link] = monotonic()
                future.set_result(link)
                return
        self._idle.append(link)

    def _drop(self, link: L) -> None:
        self._lent.pop(link, None)
        self.opened -= 1
        self.lost += 1

    def _shed(self) -> None:
        """End all idle connections: they were not used for longer still than one that did not answer."""
        idle, self._idle = self._idle, []
        for link in idle:
            self._end(link)

    def _end(self, link: L) -> None:
        """End a connection, and open another where one is waited for or none is left."""
        self._drop(link)
        link.terminate()
        self._open_more()
        self._look()

    def _open_more(self) -> None:
        """Begin to open connections for those who wait, as many as there may be."""
        room = self.size - self.opened - len(self._openers)
        for _ in range(min(room, len(self._waiting) - len(self._openers))):
            self._spawn(self._opening(), self._openers)

    def _spawn(self, work: Coroutine[None, None, None], among: set[asyncio.Task[None]]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)

    async def _opening(self) -> None:
        """Open a connection; where the database is away, tell those who wait, and look for it until it is back."""
        while not self._closing:
            try:
                link = await self._open()
                if link.closed:
                    raise ConnectionLost("it ended as it was opened")
            except Exception as error:
                if self._gives_up(error):
                    return
                await asyncio.sleep(RETRY_SECONDS)
            else:
                self.failure = None
                self.opened += 1
                self._is_done()
                link.used = monotonic()
                link.when_ended(self._ended)
                self._lend(link)
                return

    def _gives_up(self, error: Exception) -> bool:
        """Note why no connection could be opened; return whether whoever tried to is not to try again.

        Where others are open the server has no room for more: who waits gets one of those. Else one is enough to look
        for the database.
        """
        if self.opened:
            self._is_done()
            return True
        self.failure = f"the database cannot be reached: {type(error).__name__}"
        self._refuse(error)
        if len(self._openers) > 1:
            self._is_done()
            return True
        return False

    def _is_done(self) -> None:
        """Count the running task out of those who open connections: at once, for whoever counts them next."""
        task = asyncio.current_task()
        if task is not None:
            self._openers.discard(task)

    def _ended(self, link: L) -> None:
        """A connection has ended. An idle one is forgotten; with the last one the database is looked for."""
        if link in self._idle:
            self._idle.remove(link)
            self._drop(link)
        self._look()

    def _look(self) -> None:
        if self.opened == 0 and not self._openers and not self._closing:
            self._spawn(self._opening(), self._openers)

    def _refuse(self, cause: BaseException) -> None:
        while self._waiting:
            _, future = self._waiting.popleft()
            if not future.done():
                future.set_exception(away(cause))

    async def stop(self, seconds: float) -> None:
        """Wait for what is lent, for so long at most, and end all connections."""
        self._given = asyncio.Event()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._lent:
                    self._given.clear()
                    await self._given.wait()
        self._closing = True
        self._refuse(RuntimeError("the store is stopped"))
        tasks = [*self._openers, *self._menders]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for link in list(self._lent):
            link.terminate()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(link.close() for link in idle))
