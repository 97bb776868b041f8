"""What every limiter must do, whatever it keeps its counts in.

Subclass ``LimiterConformance`` in a test file and give it ``make_limiter``::

    class TestMyLimiter(LimiterConformance):
        def make_limiter(self, clock, max_keys):
            return MyLimiter(clock, max_keys=max_keys)

An adapter that tells the time by itself cannot be tested with a clock that is set: give it the clock all the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime
from inspect import isawaitable

from mainstay.model.limits import Limit, limit
from mainstay.ports.clock import Clock
from mainstay.ports.limiter import Limiter, Verdict

_START = 1_000_000.0  # monotonic seconds: a host that has run for days
_GRAIN = 1e-5  # seconds: what rounding to whole microseconds may cost


class SettableClock(Clock):
    """A clock that stands still until it is moved. ``at`` is its monotonic time in seconds, and its wall time too."""

    def __init__(self, at: float = _START) -> None:
        self.at: float = at

    def now(self) -> datetime:
        """Return the wall time."""
        return datetime.fromtimestamp(self.at, UTC)

    def time(self) -> float:
        """Return the wall time in seconds since the epoch."""
        return self.at

    def monotonic(self) -> float:
        """Return the monotonic time in seconds."""
        return self.at

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once."""
        self.at += seconds


class LimiterConformance(ABC):
    """The suite. ``max_keys`` of ``make_limiter`` is how many keys the limiter must hold, and how many it may."""

    clock: SettableClock
    limiter: Limiter

    @abstractmethod
    def make_limiter(self, clock: Clock, max_keys: int) -> Limiter:
        """Return a limiter without any counts."""

    def setup_limiter(self, max_keys: int = 64) -> None:
        """Start a test with a new limiter at a new clock."""
        self.clock = SettableClock()
        self.limiter = self.make_limiter(self.clock, max_keys)

    async def charge(self, *charges: tuple[Limit, str], cost: int = 1) -> Sequence[Verdict]:
        """Charge, and wait where the limiter must."""
        return await _settled(self.limiter.charge(charges, cost=cost))

    async def peek(self, *charges: tuple[Limit, str]) -> Sequence[Verdict]:
        """Peek, and wait where the limiter must."""
        return await _settled(self.limiter.peek(charges))

    async def admitted(self, what: Limit, key: str, *, calls: int) -> int:
        """Return how many of ``calls`` are admitted now."""
        return sum([(await self.charge((what, key)))[0].allowed for _ in range(calls)])

    async def test_a_bucket_admits_its_quota_at_once(self) -> None:
        self.setup_limiter()
        per_minute = limit("20/minute")

        assert await self.admitted(per_minute, "ann", calls=30) == 20

    async def test_a_bucket_refills_evenly(self) -> None:
        self.setup_limiter()
        per_minute = limit("20/minute")
        await self.charge((per_minute, "ann"), cost=20)

        self.clock.at += 3 - _GRAIN
        assert await self.admitted(per_minute, "ann", calls=2) == 0
        self.clock.at += 2 * _GRAIN
        assert await self.admitted(per_minute, "ann", calls=2) == 1
        self.clock.at += 30
        assert await self.admitted(per_minute, "ann", calls=20) == 10
        self.clock.at += 3600
        assert await self.admitted(per_minute, "ann", calls=30) == 20

    async def test_a_burst_of_its_own(self) -> None:
        self.setup_limiter()
        paced = limit("60/minute", burst=2)

        assert await self.admitted(paced, "ann", calls=5) == 2
        self.clock.at += 1 + _GRAIN
        assert await self.admitted(paced, "ann", calls=5) == 1

    async def test_a_window_counts_the_last_seconds(self) -> None:
        self.setup_limiter()
        window = limit("10/minute", algorithm="sliding-window")
        self.clock.at = 1_000_020.0  # the start of a minute

        assert await self.admitted(window, "ann", calls=15) == 10
        self.clock.at += 59
        assert await self.admitted(window, "ann", calls=5) == 0
        self.clock.at += 31  # the next window; half of the one before still counts
        assert await self.admitted(window, "ann", calls=15) == 5
        self.clock.at += 120
        assert await self.admitted(window, "ann", calls=15) == 10

    async def test_keys_and_limits_are_apart(self) -> None:
        self.setup_limiter()
        one, other = limit("2/minute", name="one"), limit("2/minute", name="other")

        assert await self.admitted(one, "ann", calls=3) == 2
        assert await self.admitted(one, "bob", calls=3) == 2
        assert await self.admitted(other, "ann", calls=3) == 2

    async def test_equal_limits_share_their_counts(self) -> None:
        self.setup_limiter()

        assert await self.admitted(limit("2/minute"), "ann", calls=2) == 2
        assert await self.admitted(limit("2/minute"), "ann", calls=2) == 0

    async def test_a_verdict_says_what_is_left(self) -> None:
        self.setup_limiter()
        per_minute = limit("20/minute")

        (verdict,) = await self.charge((per_minute, "ann"), cost=18)
        assert (verdict.limit, verdict.allowed, verdict.remaining, verdict.retry_after) == (per_minute, True, 2, 48.0)
        assert abs(verdict.reset - 54) < _GRAIN

        await self.charge((per_minute, "ann"), cost=2)
        (verdict,) = await self.charge((per_minute, "ann"))
        assert (verdict.allowed, verdict.remaining) == (False, 0)
        assert abs(verdict.reset - 60) < _GRAIN
        assert abs(verdict.retry_after - 3) < _GRAIN

    async def test_retry_after_is_true(self) -> None:
        for what in (limit("7/minute"), limit("7/minute", algorithm="sliding-window"), limit("7/minute", burst=3)):
            for cost in (1, 2, 3):
                self.setup_limiter()
                self.clock.at += 17.3
                while (refused := (await self.charge((what, "ann"), cost=cost))[0]).allowed:
                    self.clock.at += 0.7
                refused_at = self.clock.at

                self.clock.at = refused_at + refused.retry_after - _GRAIN
                assert not (await self.charge((what, "ann"), cost=cost))[0].allowed, (what, cost)
                self.clock.at = refused_at + refused.retry_after + _GRAIN
                assert (await self.charge((what, "ann"), cost=cost))[0].allowed, (what, cost)

    async def test_reset_is_true(self) -> None:
        for what in (limit("7/minute"), limit("7/minute", algorithm="sliding-window")):
            self.setup_limiter()
            (verdict,) = await self.charge((what, "ann"), cost=5)

            self.clock.at += verdict.reset + _GRAIN
            assert await self.admitted(what, "ann", calls=9) == 7

    async def test_what_can_never_be_admitted(self) -> None:
        self.setup_limiter()
        for what in (limit("5/minute"), limit("5/minute", algorithm="sliding-window")):
            (verdict,) = await self.charge((what, "ann"), cost=6)

            assert not verdict.allowed
            assert verdict.remaining == 5
            assert verdict.retry_after == float("inf")

    async def test_several_limits_are_charged_together_or_not_at_all(self) -> None:
        self.setup_limiter()
        wide, narrow = limit("10/minute", by="address"), limit("3/minute")
        window = limit("10/minute", algorithm="sliding-window", name="window")
        charges = ((wide, "192.0.2.1"), (narrow, "ann"), (window, "ann"))

        for left in (2, 1, 0):
            verdicts = await self.charge(*charges)
            assert [verdict.limit for verdict in verdicts] == [wide, narrow, window]
            assert [verdict.remaining for verdict in verdicts] == [left + 7, left, left + 7]
        for _ in range(3):
            verdicts = await self.charge(*charges)
            assert [verdict.allowed for verdict in verdicts] == [True, False, True]
            assert [verdict.remaining for verdict in verdicts] == [7, 0, 7]

        assert await self.admitted(wide, "192.0.2.1", calls=10) == 7
        assert await self.admitted(window, "ann", calls=10) == 7

    async def test_a_key_twice_in_one_call_is_charged_twice(self) -> None:
        self.setup_limiter()
        three = limit("3/minute")

        assert [verdict.allowed for verdict in await self.charge((three, "ann"), (three, "ann"))] == [True, True]
        assert False in [verdict.allowed for verdict in await self.charge((three, "ann"), (three, "ann"))]
        assert await self.admitted(three, "ann", calls=3) == 1

    async def test_peek_charges_nothing(self) -> None:
        self.setup_limiter()
        three = limit("3/minute")

        for _ in range(5):
            (verdict,) = await self.peek((three, "ann"))
            assert (verdict.allowed, verdict.remaining) == (True, 2)
        assert await self.admitted(three, "ann", calls=5) == 3
        assert not (await self.peek((three, "ann")))[0].allowed

    async def test_no_limit_at_all(self) -> None:
        self.setup_limiter()

        assert list(await self.charge()) == []
        assert list(await self.peek()) == []

    async def test_a_cost_below_one_is_refused(self) -> None:
        self.setup_limiter()
        for cost in (0, -1):
            try:
                await self.charge((limit("3/minute"), "ann"), cost=cost)
            except ValueError:
                continue
            raise AssertionError(f"a cost of {cost} was taken")

    async def test_a_clock_that_goes_back_does_no_harm(self) -> None:
        for what in (limit("6/minute"), limit("6/minute", algorithm="sliding-window")):
            for step in (1, 50, 5_000, 999_000):
                self.setup_limiter()
                await self.charge((what, "ann"), cost=6)

                self.clock.at -= step
                assert await self.admitted(what, "ann", calls=10) <= 6
                await self.charge((what, "ann"), (what, "bob"))
                self.clock.at += 120
                assert await self.admitted(what, "ann", calls=10) == 6

    async def test_idle_keys_make_room(self) -> None:
        self.setup_limiter(max_keys=8)
        one = limit("1/minute")
        for turn in range(20):
            for number in range(8):
                assert await self.admitted(one, f"{turn}-{number}", calls=2) == 1
            self.clock.at += 60 + _GRAIN

    async def test_busy_keys_are_kept_and_newcomers_share_one_bucket(self) -> None:
        for three in (limit("3/minute"), limit("3/minute", algorithm="sliding-window")):
            self.setup_limiter(max_keys=8)
            for number in range(8):
                assert await self.admitted(three, f"busy-{number}", calls=5) == 3

            newcomers = [await self.admitted(three, f"new-{number}", calls=1) for number in range(50)]
            assert sum(newcomers) == 3
            (verdict,) = await self.peek((three, "new-99"))
            assert not verdict.allowed
            for number in range(8):
                assert await self.admitted(three, f"busy-{number}", calls=1) == 0

            self.clock.at += 121
            assert await self.admitted(three, "late", calls=5) == 3
            assert await self.admitted(three, "later", calls=5) == 3

    async def test_one_idle_key_among_busy_ones_makes_room(self) -> None:
        self.setup_limiter(max_keys=8)
        short, long = limit("2/second", name="short"), limit("2/hour", name="long")
        await self.charge((short, "brief"), cost=2)
        for number in range(7):
            await self.charge((long, f"busy-{number}"), cost=2)

        assert await self.admitted(long, "early", calls=3) == 2  # the shared bucket
        assert await self.admitted(long, "early too", calls=3) == 0
        self.clock.at += 2
        assert await self.admitted(long, "in time", calls=3) == 2  # the place of "brief"
        assert await self.admitted(long, "too late", calls=3) == 0
        assert await self.admitted(long, "busy-0", calls=3) == 0


async def _settled(answer: Sequence[Verdict] | Awaitable[Sequence[Verdict]]) -> Sequence[Verdict]:
    if isawaitable(answer):
        return await answer
    return answer
