"""The arithmetic of rate limits: a token bucket and a sliding window, as functions of (state, now).

No clock, no storage: time comes in as whole nanoseconds (0 or more), a state is one whole number that a table may keep
anywhere, and 0 is the state of a key never seen. Integers make it exact: what is admitted never depends on rounding.

The token bucket is the Generic Cell Rate Algorithm (ITU-T I.371, annex A, as a virtual schedule): its state is the
moment at which the bucket is full again. The sliding window is a counter of two fixed windows, the one before weighted
by how much of it the last ``window`` seconds still cover.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from mainstay.model.limits import Limit
from mainstay.ports.limiter import Verdict

SECOND = 1_000_000_000
_COUNT = (1 << 32) - 1
_INDEX_AT = 64
_CURRENT_AT = 32
_NEVER = float("inf")
_new: Any = tuple.__new__  # calling the class costs as much as all the arithmetic


class Meter(ABC):
    """One limit with its constants worked out."""

    __slots__ = ("limit",)

    def __init__(self, limit: Limit) -> None:
        self.limit = limit

    @abstractmethod
    def take(self, state: int, now: int, cost: int) -> tuple[int, Verdict]:
        """Return the state after a call of ``cost`` at ``now``, and what was decided.

        ``remaining`` and ``reset`` are as they stand after the call; ``retry_after`` is the time until one more call of
        the same cost is admitted, rounded up to the microsecond. A cost above the whole quota is refused for ever: its
        ``retry_after`` is infinite. A cost of 0 tells how the limit stands. A refusal returns a state that answers
        every later call as the old one would. A state from the future (the clock was set back, the host started anew)
        counts as the strictest one possible at ``now``.
        """

    @abstractmethod
    def idle_at(self, state: int) -> int:
        """Return the moment from which on the quota is whole: the key may be forgotten then."""


class TokenBucket(Meter):
    """At most ``burst`` calls at once, refilled evenly at ``quota`` in each ``window``.

    In any stretch of ``window`` seconds at most ``quota + burst`` calls are admitted. The time that one call takes to
    be refilled is rounded up to the nanosecond.
    """

    __slots__ = ("_interval", "_tolerance")

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit)
        self._interval = -(-limit.window * SECOND // limit.quota)
        self._tolerance = (limit.burst or limit.quota) * self._interval

    def take(self, state: int, now: int, cost: int) -> tuple[int, Verdict]:
        interval, tolerance = self._interval, self._tolerance
        debt = state - now
        if debt < 0:
            debt = 0
        elif debt > tolerance:
            debt = tolerance
        price = cost * interval
        after = debt + price
        if after <= tolerance:
            wait = after + price - tolerance
            left = (tolerance - after) // interval
            return now + after, _new(
                Verdict, (self.limit, True, left, after / SECOND, _seconds(wait) if wait > 0 else 0.0)
            )
        retry = _seconds(after - tolerance) if price <= tolerance else _NEVER
        return now + debt, _new(Verdict, (self.limit, False, (tolerance - debt) // interval, debt / SECOND, retry))

    def idle_at(self, state: int) -> int:
        return state


class SlidingWindow(Meter):
    """At most ``quota`` calls in the last ``window`` seconds, by the weighted count of two fixed windows.

    A state is (number of the window, calls in it, calls in the one before), packed. In any stretch of ``window``
    seconds at most ``2 * quota`` calls are admitted, and ``quota`` where they come evenly.
    """

    __slots__ = ("_quota", "_span")

    def __init__(self, limit: Limit) -> None:
        super().__init__(limit)
        self._span = limit.window * SECOND
        self._quota = limit.quota

    def take(self, state: int, now: int, cost: int) -> tuple[int, Verdict]:
        span, quota = self._span, self._quota
        index, elapsed = divmod(now, span)
        stored = state >> _INDEX_AT
        current, before = (state >> _CURRENT_AT) & _COUNT, state & _COUNT
        if stored == index - 1:
            current, before = 0, current
        elif stored < index:
            current = before = 0
        left = span - elapsed
        room = (quota - current) * span - before * left
        allowed = cost * span <= room
        if allowed:
            current += cost
            room -= cost * span
        wait = 0.0 if allowed and cost * span <= room else self._wait(current, before, left, cost)
        reset = (left + span if current else left if before else 0) / SECOND
        after = index << _INDEX_AT | current << _CURRENT_AT | before
        return after, _new(Verdict, (self.limit, allowed, room // span if room > 0 else 0, reset, wait))

    def idle_at(self, state: int) -> int:
        index, current = state >> _INDEX_AT, (state >> _CURRENT_AT) & _COUNT
        if current:
            return (index + 2) * self._span
        return (index + 1) * self._span if state & _COUNT else 0

    def _wait(self, current: int, before: int, left: int, cost: int) -> float:
        """Return the seconds until a call of ``cost`` is admitted."""
        span, spare = self._span, self._quota - current - cost
        if cost > self._quota:
            return _NEVER
        if spare >= 0:  # within this window, once enough of the one before has slid out
            return _seconds(left - spare * span // before)
        # in the next window, once enough of this one has slid out
        return _seconds(left + span - (self._quota - cost) * span // current)


def meter(limit: Limit) -> Meter:
    """Return the arithmetic of ``limit``."""
    if limit.algorithm == "sliding-window":
        return SlidingWindow(limit)
    return TokenBucket(limit)


def _seconds(nanoseconds: int) -> float:
    """Return seconds rounded up to the microsecond: whoever waits that long has waited enough."""
    return -(-nanoseconds // 1000) / 1_000_000
