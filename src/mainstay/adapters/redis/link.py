"""The way to one Redis: requests in one round trip each, which fail at once while it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from mainstay.adapters.redis.connection import FAILURES, RedisPlace, away, provider_of
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Notice, Observer

REST = 1.0
"""Seconds for which a Redis that is away is left alone, before one request tries it again."""

MAX_CONNECTIONS = 32


class RedisAway(Exception):
    """Redis does not answer, or refuses to. What was sent to it may have been done all the same."""


class RedisLink:
    """A pool of connections for one part of a service.

    ``timeout`` bounds a request, in seconds. Keys begin with ``base``, which has ``prefix`` in braces: they keep all of
    a service on one node where a proxy stands before several, so that a script may work on several keys. ``part`` is
    what notices call it.
    """

    def __init__(
        self, place: RedisPlace, clock: Clock, observer: Observer, *, prefix: str, part: str, timeout: float = 0.25
    ) -> None:
        self.base = f"{{{prefix}}}:{part}:"
        self.part = part
        self._place = place
        self._clock = clock
        self._observer = observer
        self._timeout = timeout
        self._away = False
        self._until = 0.0
        self._failures = 0
        self._clients: list[Redis] = []
        self.client = self.connect(MAX_CONNECTIONS)

    def connect(self, connections: int, **more: Any) -> Redis:
        """Return a client with connections of its own, which end with the link."""
        place = self._place
        tls: dict[str, Any] = {}
        if place.tls:
            files = {"ssl_ca_certs": place.ca, "ssl_certfile": place.certificate, "ssl_keyfile": place.key}
            tls = {name: None if file is None else str(file) for name, file in files.items()}
        pool = BlockingConnectionPool(
            connection_class=SSLConnection if place.tls else Connection,
            host=place.host,
            port=place.port,
            db=place.database,
            credential_provider=provider_of(place),
            max_connections=connections,
            timeout=self._timeout,
            socket_timeout=self._timeout,
            socket_connect_timeout=self._timeout,
            protocol=2,
            retry=Retry(NoBackoff(), 0),  # nobody knows whether what was sent was done: it is not sent again
            client_name="mainstay",
            **tls,
            **more,
        )
        client = Redis.from_pool(pool)
        self._clients.append(client)
        return client

    @property
    def away(self) -> bool:
        """Whether the last request has failed."""
        return self._away

    async def run(self, script: Any, keys: Sequence[str], arguments: Sequence[Any] = ()) -> Any:
        """Run a script of ``script_of`` and return what it answers. Raises ``RedisAway``."""
        async with self.asking():
            return await script(keys=keys, args=arguments)

    async def ask(self, request: Callable[[], Awaitable[Any]]) -> Any:
        """Make a request of the client and wait for it. Raises ``RedisAway``."""
        async with self.asking():
            return await request()

    @asynccontextmanager
    async def asking(self) -> AsyncIterator[None]:
        """Bound what is asked within, and tell its failure as ``RedisAway``.

        A Redis that is away is not asked: only by one request now and then, which finds out whether it is back.
        """
        if self._away:
            now = self._clock.monotonic()
            if now < self._until:
                raise RedisAway(f"Redis is away ({self.part})")
            self._until = now + REST
        try:
            async with asyncio.timeout(2 * self._timeout):
                yield
        except FAILURES as error:
            self.lost(error)
            raise RedisAway(f"Redis is away ({self.part}): {type(error).__name__}") from error
        if self._away:
            self.found()

    def lost(self, error: BaseException) -> None:
        """Note that a request has failed."""
        self._failures += 1
        self._until = self._clock.monotonic() + REST
        if not self._away:
            self._away = True
            text = f"Redis does not answer: the {self.part} of the service go on without it as they are set to"
            facts = {"part": self.part, "cause": str(away(error))}
            self._observer.observe(Notice("warning", "redis_away", text, facts))

    def found(self) -> None:
        """Note that Redis is back."""
        self._away = False
        self._observer.observe(Notice("info", "redis_back", "Redis answers again", {"part": self.part}))

    def statistics(self) -> Mapping[str, float]:
        """Return counters for metrics, by name."""
        return {"redis_failures": self._failures, "redis_away": float(self._away)}

    async def close(self) -> None:
        """Let all connections go."""
        for client in self._clients:
            await client.aclose(close_connection_pool=True)
