"""Claims as advisory locks of one session, which the server frees when its connection ends.

What is asked for while the server is asked is asked for together the next time: a thousand claims at once take a few
round trips. Where the connection ends, so do the claims of this process; that no effect is doubled then rests on the
unique rows that calls commit with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import blake2b

from mainstay.adapters.sql.postgres.errors import ConnectionLost, away
from mainstay.adapters.sql.postgres.link import Link
from mainstay.adapters.sql.postgres.pool import Pool
from mainstay.model.problem import Problem
from mainstay.ports.store import Claims

_TAKE = "SELECT pg_try_advisory_lock(k) FROM unnest($1::bigint[]) WITH ORDINALITY AS asked(k, n) ORDER BY n"
_DROP = "SELECT pg_advisory_unlock(k) FROM unnest($1::bigint[]) AS held(k)"
_SECONDS = 5.0


class AdvisoryClaims(Claims):
    """The claims of one process."""

    def __init__(self, open_link: Callable[[], Awaitable[Link]]) -> None:
        self._open = open_link
        self._link: Link | None = None
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
            await link.fetch(_DROP, ([_number(key) for key in dropped],), _SECONDS)
        if asked:
            rows = await link.fetch(_TAKE, ([_number(key) for key, _ in asked],), _SECONDS)
            for (key, future), (taken,) in zip(asked, rows, strict=True):
                if not future.done():
                    future.set_result(taken)
                elif taken:
                    self._dropped.append(key)  # whoever asked has left

    def _ended(self, link: Link) -> None:
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
        """Let all claims go."""
        running = self._running
        if running is not None:
            with suppress(ConnectionLost):
                await running
        link, self._link = self._link, None
        self._held.clear()
        if link is not None:
            await link.close()


class TransactionClaims(Claims):
    """Claims behind a transaction pooler, where no session is ours: each holds a transaction open, with its lock."""

    def __init__(self, pool: Callable[[], Pool], begin: str) -> None:
        self._pool = pool
        self._begin = begin
        self._held: dict[bytes, Link | None] = {}

    async def take(self, key: bytes) -> bool:
        if key in self._held:
            return False
        self._held[key] = None
        pool = self._pool()
        link: Link | None = None
        try:
            link = await pool.take(_SECONDS)
            await link.execute(self._begin, _SECONDS)
            rows = await link.fetch("SELECT pg_try_advisory_xact_lock($1)", (_number(key),), _SECONDS)
        except BaseException as error:
            del self._held[key]
            if link is not None:
                link.terminate()
                pool.give(link)
            if isinstance(error, ConnectionLost):
                raise away(error) from error
            raise
        if rows[0][0]:
            self._held[key] = link
            return True
        del self._held[key]
        await self._end(link)
        return False

    async def drop(self, key: bytes) -> None:
        link = self._held.pop(key, None)
        if link is not None:
            await self._end(link)

    async def _end(self, link: Link) -> None:
        try:
            await link.execute("ROLLBACK", _SECONDS)
        except (ConnectionLost, Problem):
            link.terminate()
        finally:
            self._pool().give(link)

    async def stop(self) -> None:
        """Let all claims go."""
        for key in list(self._held):
            await self.drop(key)


def _number(key: bytes) -> int:
    """Return the number of a claim's lock."""
    return int.from_bytes(blake2b(key, digest_size=8, person=b"mainstay").digest(), signed=True)
