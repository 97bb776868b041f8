"""The limiter of one process: bounded in memory and in the work of one call."""

from __future__ import annotations

import time
import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.kernel.guard.gcra import SECOND, meter
from mainstay.model.limits import Limit, limit
from mainstay.testing.conformance.limiter import SettableClock

PER_MINUTE = limit("20/minute", by="address")
LIMITS = [limit("2/second"), limit("3/minute", burst=1), limit("4/minute", algorithm="sliding-window", name="window")]
KEYS = [f"key-{number}" for number in range(12)]


def test_memory_is_bounded_under_distinct_keys() -> None:
    clock = SettableClock()
    limiter = MemoryLimiter(clock, max_keys=1_000)
    for number in range(5_000):
        limiter.charge([(PER_MINUTE, f"2001:db8:{number:x}::/64")])
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(50_000):
            clock.at += 0.001
            limiter.charge([(PER_MINUTE, f"2001:db8:{number:x}::/64")])
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()

    assert len(limiter) == 1_000
    assert grown < 600_000  # bytes; without eviction it is over ten million


def test_no_call_scans_the_table() -> None:
    clock = SettableClock()
    limiter = MemoryLimiter(clock, max_keys=30_000)
    for number in range(30_000):
        limiter.charge([(PER_MINUTE, str(number))])
    for number in range(30_000):
        limiter.charge([(PER_MINUTE, str(number))])  # every entry of the queue is out of date now
    clock.at += 4

    looked: list[int] = []
    for number in range(200):
        started = time.thread_time_ns()
        limiter.charge([(PER_MINUTE, f"new-{number}")])
        looked.append(time.thread_time_ns() - started)

    assert sorted(looked)[len(looked) // 2] < 1_000_000  # ns; a scan of 30,000 takes several of them


@pytest.mark.parametrize("max_keys", [0, -1])
def test_a_table_without_room_is_refused(max_keys: int) -> None:
    with pytest.raises(ValueError, match="max_keys"):
        MemoryLimiter(SettableClock(), max_keys=max_keys)


def test_limits_made_for_each_call_do_not_pile_up() -> None:
    limiter = MemoryLimiter(SettableClock())

    verdicts = [limiter.charge([(limit("5000/minute"), "ann")])[0] for _ in range(4_999)]

    assert verdicts[-1].remaining == 1
    assert len(limiter._tables) == 1
    assert len(limiter._by_identity) <= 4_096


class AgainstAModel(RuleBasedStateMachine):
    """With room for all keys, the limiter is the arithmetic and a dictionary; nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = SettableClock(1_000.0)
        self.limiter = MemoryLimiter(self.clock, max_keys=len(KEYS) * len(LIMITS))
        self.states: dict[tuple[Limit, str], int] = {}

    @initialize(at=st.integers(0, 100_000))
    def start(self, at: int) -> None:
        self.clock.at = float(at)

    @rule(step=st.integers(0, 90_000))
    def wait(self, step: int) -> None:
        self.clock.at += step / 1024  # exact in binary

    @rule(
        charges=st.lists(st.tuples(st.sampled_from(LIMITS), st.sampled_from(KEYS)), max_size=4), cost=st.integers(1, 4)
    )
    def charge(self, charges: list[tuple[Limit, str]], cost: int) -> None:
        now = int(self.clock.at * SECOND)
        trial = dict(self.states)
        expected = []
        for pair in charges:
            trial[pair], verdict = meter(pair[0]).take(trial.get(pair, 0), now, cost)
            expected.append(verdict.allowed)
        if all(expected):
            self.states = trial

        assert [verdict.allowed for verdict in self.limiter.charge(charges, cost=cost)] == expected

    @invariant()
    def peeks_agree(self) -> None:
        now = int(self.clock.at * SECOND)
        pairs = [(what, key) for what in LIMITS for key in KEYS[:3]]
        expected = [meter(what).take(self.states.get((what, key), 0), now, 1)[1] for what, key in pairs]
        assert self.limiter.peek(pairs) == expected


AgainstAModel.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestAgainstAModel = AgainstAModel.TestCase
