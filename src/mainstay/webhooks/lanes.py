"""Lanes: how many attempts one endpoint may have under way, so that a slow or dead one delays no other.

One that keeps failing rests, and is tried with a single message after that (a circuit breaker, half open): what waits
for it costs no attempt meanwhile. One that is slow has one attempt at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

import msgspec

WIDTH = 4
"""Attempts at one endpoint at a time."""

SLOW = 1.0
"""Seconds from which on an answer is slow."""

FAILURES = 5
"""Failures in a row after which an endpoint rests."""

FIRST_REST, LONGEST_REST = 10.0, 600.0
"""Seconds of the first rest, and of the longest: each is twice the one before it."""

FORGET = 10_000
"""Endpoints that are remembered: what has nothing to say is forgotten first."""


class Lane(msgspec.Struct):
    """One endpoint, as this process knows it."""

    running: int = 0
    failures: int = 0  # in a row
    rest: float = 0.0  # seconds of the last rest
    until: float = 0.0  # monotonic
    slow: bool = False

    def width(self, now: float) -> int:
        """Return how many attempts may be under way."""
        if now < self.until:
            return 0
        return 1 if self.slow or self.failures >= FAILURES else WIDTH


class Lanes:
    """The lanes of all endpoints; ``clock`` is monotonic."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lanes: dict[UUID, Lane] = {}

    def begin(self, endpoint: UUID) -> bool:
        """Take a place in a lane. Returns False where it is full, or rests."""
        lane = self._lanes.setdefault(endpoint, Lane())
        if lane.running >= lane.width(self._clock()):
            return False
        lane.running += 1
        return True

    def end(self, endpoint: UUID, *, success: bool | None, seconds: float = 0.0, wait: float = 0.0) -> None:
        """Give the place back. ``success`` is None of an attempt that says nothing of the endpoint.

        ``wait`` is how many seconds the receiver asks to be left alone for.
        """
        lane = self._lanes[endpoint]
        lane.running -= 1
        if success:
            lane.failures, lane.rest, lane.slow = 0, 0.0, seconds > SLOW
        elif success is False:
            self._failed(lane)
        if wait:
            lane.until = max(lane.until, self._clock() + min(wait, LONGEST_REST))
        if len(self._lanes) > FORGET:
            self._forget()

    def _failed(self, lane: Lane) -> None:
        lane.failures += 1
        if lane.failures >= FAILURES and self._clock() >= lane.until:
            lane.rest = min(lane.rest * 2 or FIRST_REST, LONGEST_REST)
            lane.until = self._clock() + lane.rest

    def full(self) -> list[UUID]:
        """Return the endpoints that take no attempt now."""
        now = self._clock()
        return [id_ for id_, lane in self._lanes.items() if lane.running >= lane.width(now)]

    def rest_of(self, endpoint: UUID) -> float:
        """Return for how many seconds an endpoint still rests."""
        lane = self._lanes.get(endpoint)
        return 0.0 if lane is None else max(lane.until - self._clock(), 0.0)

    def _forget(self) -> None:
        idle = [id_ for id_, lane in self._lanes.items() if not (lane.running or lane.failures or lane.slow)]
        for id_ in idle:
            del self._lanes[id_]
