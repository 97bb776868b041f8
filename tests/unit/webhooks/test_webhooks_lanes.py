"""Lanes: how many attempts an endpoint may have under way, and when it rests."""

from __future__ import annotations

from uuid import UUID

from mainstay.webhooks import lanes as module
from mainstay.webhooks.lanes import FAILURES, FIRST_REST, LONGEST_REST, SLOW, WIDTH, Lanes

ONE, TWO = UUID(int=1), UUID(int=2)


class Time:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def failing(lanes: Lanes, times: int = 1) -> None:
    for _ in range(times):
        assert lanes.begin(ONE)
        lanes.end(ONE, success=False)


def test_a_lane_is_full_and_others_are_not() -> None:
    lanes = Lanes(Time())
    assert [lanes.begin(ONE) for _ in range(WIDTH + 1)] == [True] * WIDTH + [False]
    assert lanes.full() == [ONE]
    assert lanes.begin(TWO)
    lanes.end(ONE, success=True)
    assert not lanes.full()
    assert lanes.begin(ONE)


def test_a_slow_endpoint_has_one_attempt_at_a_time() -> None:
    lanes = Lanes(Time())
    lanes.begin(ONE)
    lanes.end(ONE, success=True, seconds=SLOW + 0.1)
    assert [lanes.begin(ONE), lanes.begin(ONE)] == [True, False]
    lanes.end(ONE, success=True, seconds=0.1)
    assert [lanes.begin(ONE) for _ in range(WIDTH)] == [True] * WIDTH


def test_an_endpoint_that_keeps_failing_rests_longer_and_longer() -> None:
    time = Time()
    lanes = Lanes(time)
    failing(lanes, FAILURES)
    rests = []
    for _ in range(9):
        assert not lanes.begin(ONE)
        assert lanes.full() == [ONE]
        rests.append(lanes.rest_of(ONE))
        time.now += rests[-1]
        assert lanes.begin(ONE)
        assert not lanes.begin(ONE)  # a single message tries it out
        lanes.end(ONE, success=False)
    assert rests == [min(FIRST_REST * 2**n, LONGEST_REST) for n in range(9)]


def test_a_success_ends_it() -> None:
    time = Time()
    lanes = Lanes(time)
    failing(lanes, FAILURES)
    time.now += FIRST_REST
    lanes.begin(ONE)
    lanes.end(ONE, success=True)
    assert [lanes.begin(ONE) for _ in range(WIDTH)] == [True] * WIDTH


def test_failures_that_were_under_way_together_make_one_rest() -> None:
    lanes = Lanes(Time())
    failing(lanes, FAILURES - 1)
    for _ in range(WIDTH):
        assert lanes.begin(ONE)
    for _ in range(WIDTH):
        lanes.end(ONE, success=False)
    assert lanes.rest_of(ONE) == FIRST_REST


def test_what_says_nothing_of_the_endpoint_counts_for_nothing() -> None:
    lanes = Lanes(Time())
    for _ in range(2 * FAILURES):
        assert lanes.begin(ONE)
        lanes.end(ONE, success=None)
    assert lanes.begin(ONE)


def test_a_receiver_that_asks_for_it_is_left_alone() -> None:
    time = Time()
    lanes = Lanes(time)
    lanes.begin(ONE)
    lanes.end(ONE, success=False, wait=60.0)
    assert not lanes.begin(ONE)
    assert lanes.rest_of(ONE) == 60.0
    time.now += 60.0
    assert lanes.begin(ONE)


def test_lanes_with_nothing_to_say_are_forgotten(monkeypatch: object) -> None:
    time = Time()
    lanes = Lanes(time)
    failing(lanes, 1)
    for number in range(2, module.FORGET + 3):
        lanes.begin(UUID(int=number))
        lanes.end(UUID(int=number), success=True)
    assert len(lanes._lanes) <= 2
    assert lanes.rest_of(TWO) == 0.0
