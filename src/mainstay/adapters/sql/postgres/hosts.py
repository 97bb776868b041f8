"""The hosts that a URL names, of which one is the primary: after a fail-over it is another one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg

STAGGER_SECONDS = 0.25
"""How long a host may take to answer before the next one is asked beside it (after RFC 8305, section 5)."""

Open = Callable[[str], Awaitable[asyncpg.Connection]]


class Hosts:
    """The addresses of one URL. The one that was fit last is asked first.

    A host that is gone takes no connection and refuses none: it is not waited for, as the driver would do.
    """

    __slots__ = ("_current", "_told", "_url", "_urls")

    def __init__(self, url: str, current: Callable[[str], str] = str) -> None:
        self._told = self._url = url
        self._current = current
        self._urls = list(urls_of(url))

    async def connect(self, connect: Open) -> asyncpg.Connection:
        """Return the first connection that is opened. Raises what the driver raises where none is.

        Where one is no server at all, that is told; else that a server is not the one that is looked for.
        """
        now = self._current(self._told)
        if now != self._url:
            self._url, self._urls = now, list(urls_of(now))
        if len(self._urls) == 1:
            return await connect(self._urls[0])
        running: dict[asyncio.Future[asyncpg.Connection], str] = {}
        faults: list[Exception] = []
        try:
            for url in list(self._urls):
                running[asyncio.ensure_future(connect(url))] = url
                found = await self._first(running, faults, STAGGER_SECONDS)
                if found is not None:
                    return found
            while running:
                found = await self._first(running, faults, None)
                if found is not None:
                    return found
        finally:
            await _drop(running)
        unlike = (fault for fault in faults if not isinstance(fault, asyncpg.TargetServerAttributeNotMatched))
        raise next(unlike, faults[0])

    async def _first(
        self,
        running: dict[asyncio.Future[asyncpg.Connection], str],
        faults: list[Exception],
        seconds: float | None,
    ) -> asyncpg.Connection | None:
        """Wait for one that is through; return its connection, or note its fault."""
        done, _ = await asyncio.wait(running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for future in done:
            fault = future.exception()
            if fault is None:
                url = running.pop(future)
                if url in self._urls:  # it may have become another meanwhile
                    self._urls.remove(url)
                    self._urls.insert(0, url)
                return future.result()
            if not isinstance(fault, Exception):
                raise fault
            del running[future]
            faults.append(fault)
        return None


async def _drop(running: Iterable[asyncio.Future[asyncpg.Connection]]) -> None:
    """End what is still being opened."""
    left = [*running]
    for future in left:
        future.cancel()
    if left:
        await asyncio.wait(left)
    for future in left:
        if not future.cancelled() and future.exception() is None:
            future.result().terminate()


def urls_of(url: str) -> Iterator[str]:
    """Give a URL for each host that one names."""
    parts = urlsplit(url)
    user, at, hosts = parts.netloc.rpartition("@")
    several = hosts.split(",")
    if len(several) == 1:
        yield url
        return
    for host in several:
        yield urlunsplit(parts._replace(netloc=f"{user}{at}{host}"))
