"""The keys that one issuer publishes: fetched, refreshed before they are stale, and kept while the issuer is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from mainstay.adapters.oidc.metadata import (
    MOST_FRESH,
    IssuerFaulty,
    Metadata,
    fetch_metadata,
    fresh_seconds,
    get_json,
)
from mainstay.adapters.oidc.problems import IssuerAway
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.ports.clock import Clock
from mainstay.ports.http import HttpClient
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.tokens import TokenVerifier

AHEAD = 0.8
"""The part of their time after which keys are fetched anew, so that no request waits for it."""

UNKNOWN_SECONDS = 60.0
"""The least time between a fetch and another one that a token with an unknown key asks for."""

MAX_PAUSE = 60.0  # seconds between attempts while the issuer is away

Build = Callable[[bytes], TokenVerifier]
"""What makes a verifier of a JWK set (RFC 7517). Raises ``ValueError`` for one without a key that can be used."""


class IssuerKeys(TokenVerifier):
    """Verify the tokens of one issuer by the keys that it publishes.

    ``unknown`` is what the verifier raises for a key id that is not of the set. Such a token has the keys fetched, once
    for all that wait, unless that was done less than a minute ago: what the issuer had then is the answer. ``stale``
    is for how many seconds the last good keys count once they are no longer fresh and no newer can be had; after that
    every token of the issuer is answered with ``IssuerAway`` (503): nobody knows which of them hold.
    """

    def __init__(
        self,
        http: HttpClient,
        issuer: str,
        build: Build,
        *,
        unknown: type[Unauthenticated],
        clock: Clock,
        observer: Observer,
        loopback: bool,
        stale: float,
    ) -> None:
        self.issuer = issuer
        self._http = http
        self._build = build
        self._unknown = unknown
        self._clock = clock
        self._observer = observer
        self._loopback = loopback
        self._stale = stale
        self._metadata: Metadata | None = None
        self._metadata_until = 0.0
        self._set = b""
        self._current: TokenVerifier | None = None
        self._until = 0.0  # when the keys are no longer good
        self._fresh = 0.0  # seconds
        self._asked: float | None = None  # when they were last fetched, or that was tried
        self._failures = 0
        self._flight: asyncio.Task[None] | None = None

    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        """Return the principal of a token of this issuer, or what will have it once its keys are there."""
        current = self._current
        if current is None or self._clock.monotonic() >= self._until:
            return self._awaiting(token)
        try:
            return current.verify(token)
        except self._unknown:
            if not self._in_flight and not self._may_ask():
                raise
        return self._anew(token)

    def _awaiting(self, token: bytes) -> Awaitable[Principal]:
        """Wait for keys that are being fetched. Raises ``IssuerAway`` where none are: the next attempt is not ours."""
        if not self._in_flight:
            raise IssuerAway(retry_after=self._pause())
        return self._anew(token)

    async def _anew(self, token: bytes) -> Principal:
        await self.refresh()
        current = self._current
        if current is None or self._clock.monotonic() >= self._until:
            raise IssuerAway(retry_after=self._pause())
        found = current.verify(token)
        return found if isinstance(found, Principal) else await found

    def _may_ask(self) -> bool:
        return self._asked is None or self._clock.monotonic() - self._asked >= UNKNOWN_SECONDS

    @property
    def _in_flight(self) -> bool:
        return self._flight is not None and not self._flight.done()

    async def refresh(self) -> None:
        """Fetch the keys, or wait for whoever does. What goes wrong is told to the observer; the keys of before stay.

        Who waits and is cancelled does not end it for the others.
        """
        if self._flight is None or self._flight.done():
            self._flight = asyncio.create_task(self._fetch(), name="mainstay-issuer-keys")
        await asyncio.shield(self._flight)

    async def run(self) -> None:
        """Keep the keys fresh until cancelled."""
        try:
            while True:
                await self.refresh()
                await self._clock.sleep(self._pause())
        finally:
            if self._flight is not None:
                self._flight.cancel()
                await asyncio.wait({self._flight})

    async def metadata(self) -> Metadata:
        """Return what the issuer says of itself, at most a day old. Raises ``IssuerFaulty`` or ``HttpFailed``."""
        if self._metadata is None or self._clock.monotonic() >= self._metadata_until:
            self._metadata = await fetch_metadata(self._http, self.issuer, loopback=self._loopback)
            self._metadata_until = self._clock.monotonic() + MOST_FRESH
        return self._metadata

    def _pause(self) -> float:
        """Return the seconds until the next attempt: before the keys are stale, sooner the fewer attempts failed."""
        if self._failures:
            return min(MAX_PAUSE, 2.0 ** min(self._failures - 1, 6))
        return max(1.0, self._fresh * AHEAD)

    async def _fetch(self) -> None:
        self._asked = self._clock.monotonic()
        try:
            await self._take()
        except Exception as fault:  # whatever an issuer sends, who waits here is told that it is away
            self._failures += 1
            self._metadata_until = 0.0  # the keys may have moved
            self._tell(fault)
        else:
            self._failures = 0

    async def _take(self) -> None:
        metadata = await self.metadata()
        answer = await get_json(self._http, metadata.jwks_uri)
        if answer is None:
            raise IssuerFaulty("it publishes no keys")
        if answer.body != self._set or self._current is None:
            # Another set is another verifier: what the old one remembers of tokens ends with keys that were taken away.
            self._current = self._build(answer.body)
            self._set = answer.body
        self._fresh = fresh_seconds(answer)
        self._until = self._clock.monotonic() + self._fresh + self._stale

    def _tell(self, fault: Exception) -> None:
        good = self._current is not None and self._clock.monotonic() < self._until
        then = "its last keys count for now" if good else "its tokens are answered with 503"
        text = f"the keys of the issuer {self.issuer} cannot be fetched ({fault}): {then}"
        facts = {"issuer": self.issuer, "attempts": self._failures}
        self._observer.observe(Notice("warning" if good else "error", "issuer_away", text, facts, fault))


@asynccontextmanager
async def kept_fresh(issuers: Sequence[IssuerKeys]) -> AsyncIterator[None]:
    """Keep the keys of issuers fresh until the block ends. One that is away holds nothing up."""
    tasks = [asyncio.create_task(one.run(), name=f"mainstay-keys-of-{one.issuer}") for one in issuers]
    await asyncio.sleep(0)  # each has begun to fetch: the first calls wait for that, and for no next attempt
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
