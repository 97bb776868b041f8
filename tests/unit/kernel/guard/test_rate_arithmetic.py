"""Token bucket and sliding window hold their promises for any times and costs."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mainstay.kernel.guard.gcra import SECOND, Meter, SlidingWindow, TokenBucket, meter
from mainstay.model.limits import Limit, limit
from mainstay.ports.limiter import Verdict

LIMITS = st.builds(
    lambda quota, window, burst, algorithm: Limit(
        name="any", quota=quota, window=window, algorithm=algorithm, burst=burst
    ),
    quota=st.integers(1, 50) | st.sampled_from([999, 1_000_003, 999_999_999]),
    window=st.integers(1, 100) | st.sampled_from([3600, 86400]),
    burst=st.integers(0, 20),
    algorithm=st.sampled_from(["token-bucket", "sliding-window"]),
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2 * SECOND) | st.integers(0, 200 * SECOND) | st.sampled_from([0, 1, SECOND, 60 * SECOND]),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=60,
)
STARTS = st.integers(0, 10_000_000 * SECOND)
MICROSECOND = 1_000


def run(arithmetic: Meter, start: int, steps: list[tuple[int, int]]) -> list[tuple[int, int, int, Verdict]]:
    """Take every step; return (time, cost, state after, verdict) of each."""
    now, state, taken = start, 0, []
    for wait, cost in steps:
        now += wait
        state, verdict = arithmetic.take(state, now, cost)
        taken.append((now, cost, state, verdict))
    return taken


@given(LIMITS, STARTS, STEPS)
@example(Limit(name="x", quota=7, window=1, burst=7), 0, [(0, 1)] * 9)
def test_never_more_than_quota_and_burst_in_any_window(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    admitted = [(now, cost) for now, cost, _, verdict in run(meter(what), start, steps) if verdict.allowed]
    most = 2 * what.quota if what.algorithm == "sliding-window" else what.quota + (what.burst or what.quota)
    for first, (begin, _) in enumerate(admitted):
        assert sum(cost for now, cost in admitted[first:] if now - begin < what.window * SECOND) <= most


@given(LIMITS, STARTS, STEPS)
def test_the_burst_is_admitted_whole_from_rest(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    arithmetic = meter(what)
    whole = what.quota if what.algorithm == "sliding-window" else what.burst or what.quota
    *_, (_, _, state, _) = run(arithmetic, start, steps)
    rested = max(arithmetic.idle_at(state), start)

    for at in (rested, rested + SECOND):
        _, verdict = arithmetic.take(state, at, whole)
        assert (verdict.allowed, verdict.remaining) == (True, 0)
        assert not arithmetic.take(state, at, whole + 1)[1].allowed


@given(LIMITS, STARTS, STEPS)
def test_retry_after_is_true_to_the_microsecond(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    arithmetic = meter(what)
    for now, cost, state, verdict in run(arithmetic, start, steps):
        if verdict.retry_after == float("inf"):
            continue
        wait = round(verdict.retry_after * 1e6) * MICROSECOND
        assert arithmetic.take(state, now + wait, cost)[1].allowed
        if wait > MICROSECOND:
            assert not arithmetic.take(state, now + wait - MICROSECOND - 1, cost)[1].allowed


@given(LIMITS, STARTS, STEPS)
def test_remaining_is_what_can_be_taken_now(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    arithmetic = meter(what)
    for now, _, state, verdict in run(arithmetic, start, steps):
        assert verdict.remaining >= 0
        assert verdict.reset >= 0
        if verdict.remaining:
            assert arithmetic.take(state, now, verdict.remaining)[1].allowed
        assert not arithmetic.take(state, now, verdict.remaining + 1)[1].allowed


@given(LIMITS, STARTS, STEPS)
def test_a_refusal_changes_nothing(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    arithmetic = meter(what)
    state, now = 0, start
    for wait, cost in steps:
        now += wait
        after, verdict = arithmetic.take(state, now, cost)
        if not verdict.allowed:
            for later in (0, 1, SECOND, 100 * SECOND):
                assert arithmetic.take(after, now + later, 1) == arithmetic.take(state, now + later, 1)
        state = after


@given(LIMITS, STARTS, STEPS)
def test_reset_is_the_moment_of_idleness(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    arithmetic = meter(what)
    for now, _, state, verdict in run(arithmetic, start, steps):
        assert verdict.reset == pytest.approx(max(0, arithmetic.idle_at(state) - now) / SECOND)


@given(LIMITS, STARTS, st.integers(1, 10_000_000 * SECOND), STEPS)
def test_a_clock_that_goes_back_never_locks_a_key_out(
    what: Limit, start: int, back: int, steps: list[tuple[int, int]]
) -> None:
    arithmetic = meter(what)
    *_, (now, _, state, _) = run(arithmetic, start, steps)
    now = max(0, now - back)

    state, verdict = arithmetic.take(state, now, 1)

    longest = 2.0 if what.algorithm == "sliding-window" else (what.burst or what.quota) / what.quota
    assert verdict.reset <= longest * what.window + 1e-6 * (what.burst or what.quota)
    assert arithmetic.take(state, now + int(verdict.reset * SECOND) + SECOND, 1)[1].allowed


@given(LIMITS, st.integers(0, 2**128 - 1), STARTS, st.integers(1, 5))
def test_any_number_is_a_state(what: Limit, state: int, now: int, cost: int) -> None:
    """A state that was half written, or written under another limit, must never raise."""
    arithmetic = meter(what)
    after, verdict = arithmetic.take(state, now, cost)

    assert 0 <= after < 2**128
    assert verdict.remaining >= 0
    assert arithmetic.idle_at(after) >= 0


@given(LIMITS, STARTS, STEPS)
def test_a_cost_of_nothing_tells_how_it_stands(what: Limit, start: int, steps: list[tuple[int, int]]) -> None:
    arithmetic = meter(what)
    for now, _, state, verdict in run(arithmetic, start, steps):
        same, standing = arithmetic.take(state, now, 0)
        assert same == state or arithmetic.idle_at(state) <= now
        assert (standing.allowed, standing.remaining, standing.retry_after) == (True, verdict.remaining, 0.0)


def test_the_arithmetic_of_a_limit() -> None:
    assert isinstance(meter(limit("1/second")), TokenBucket)
    assert isinstance(meter(limit("1/second", algorithm="sliding-window")), SlidingWindow)
