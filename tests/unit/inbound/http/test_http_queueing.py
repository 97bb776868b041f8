"""When a queue stands and when it is a burst: with a loop and a clock that stand still unless they are moved."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from mainstay.inbound.http.queueing import FEW, LEAST_CALLS, LOOK, LoopQueue, StoreQueue
from mainstay.inbound.http.watch import Watch

TARGET = 0.02
LEAST = TARGET / 64


class Still:
    """An event loop and its clock. One ``turn`` runs the timers that are due and what was to be called soon."""

    def __init__(self) -> None:
        self.now = 100.0
        self.answered = 0
        self.queue: LoopQueue | None = None
        self.parked: list[Callable[[], None]] = []
        self._soon: list[tuple[Callable[..., None], tuple[Any, ...]]] = []
        self._timers: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._made = 0

    def monotonic(self) -> float:
        return self.now

    def call_soon(self, call: Callable[..., None], *arguments: Any) -> None:
        self._soon.append((call, arguments))

    def call_later(self, seconds: float, call: Callable[..., None], *arguments: Any) -> Still:
        self._made += 1
        heapq.heappush(self._timers, (self.now + seconds, self._made, call, arguments))
        return self

    call_soon_threadsafe = call_soon

    def cancel(self) -> None: ...

    def turn(self, seconds: float, requests: int = 0) -> int:
        """Run one turn, which answers requests in so many seconds. Returns how many of them a crowded loop takes on."""
        while self._timers and self._timers[0][0] <= self.now:
            _, _, call, arguments = heapq.heappop(self._timers)
            call(*arguments)
        soon, self._soon = self._soon, []
        for call, arguments in soon:
            call(*arguments)
        taken = 0
        for _ in range(requests):
            taken += self.queue is not None and self.queue.crowded and self.queue.admits()
            self.now += seconds / requests
        self.now += 0 if requests else seconds
        self.answered += requests
        return taken


@pytest.fixture
def still() -> Still:
    return Still()


@pytest.fixture
def queue(still: Still) -> LoopQueue:
    made = LoopQueue(
        still,  # type: ignore[arg-type]  # what is read of a clock
        TARGET,
        count=lambda: still.answered,
        changed=lambda: None,
        resume=lambda: bool(still.parked) and (still.parked.pop()(), True)[1],
    )
    made.start(still)  # type: ignore[arg-type]
    still.queue = made
    return made


def turns(still: Still, seconds: float, requests: int, during: float) -> None:
    end = still.now + during
    while still.now < end:
        still.turn(seconds, requests)


def test_turns_that_are_long_by_few_requests_are_no_queue(still: Still, queue: LoopQueue) -> None:
    turns(still, 0.3, FEW, during=5)
    assert not queue.crowded


def test_many_requests_in_short_turns_are_no_queue(still: Still, queue: LoopQueue) -> None:
    turns(still, TARGET * 0.9, FEW + 20, during=5)
    assert not queue.crowded
    assert queue.last == pytest.approx(TARGET * 0.9)


def test_requests_that_cost_next_to_nothing_may_queue_for_longer(still: Still, queue: LoopQueue) -> None:
    turns(still, 0.2, 4000, during=5)
    assert not queue.crowded
    turns(still, 0.3, 4000, during=2)
    assert queue.crowded
    assert queue.budget == 12.5 * LEAST


def test_a_burst_that_ends_within_an_interval_is_no_queue(still: Still, queue: LoopQueue) -> None:
    for _ in range(5):
        turns(still, 0.03, 2 * FEW, during=0.06)
        turns(still, 0.001, 1, during=0.2)
    assert not queue.crowded


def test_one_slow_call_that_others_wait_behind_is_no_queue(still: Still, queue: LoopQueue) -> None:
    for _ in range(5):
        still.turn(0.4, FEW + 40)
        turns(still, 0.001, 1, during=0.2)
    assert not queue.crowded


@pytest.mark.parametrize(("seconds", "within"), [(0.03, 0.3), (0.15, 0.5), (0.6, 1.3)])
def test_a_queue_that_stands(still: Still, queue: LoopQueue, seconds: float, within: float) -> None:
    turns(still, seconds, 2 * FEW, during=within)
    assert queue.crowded
    assert queue.budget == LEAST


def test_a_turn_that_is_very_late_by_very_many_requests_is_a_queue_at_once(still: Still, queue: LoopQueue) -> None:
    turns(still, 0.001, 1, during=LOOK / 2)
    still.turn(0.4, 10 * FEW)
    still.turn(0)
    assert queue.crowded


def crowd(still: Still, queue: LoopQueue) -> None:
    turns(still, 0.15, 2 * FEW, during=0.6)
    assert queue.crowded
    still.turn(0)


def test_a_crowded_loop_takes_on_what_its_budget_allows_and_one_call_at_least(still: Still, queue: LoopQueue) -> None:
    crowd(still, queue)
    each = LEAST / 4
    assert still.turn(each * 100, 100) in (4, 5)  # the first, and those within the budget after it
    assert still.turn(LEAST * 50, 50) in (1, 2)
    assert still.turn(10.0, 1) == 1


def test_a_crowded_loop_that_is_never_idle_stays_crowded(still: Still, queue: LoopQueue) -> None:
    crowd(still, queue)
    end = still.now + 5
    while still.now < end:
        still.turn(0.002, 20)
    assert queue.crowded
    assert queue.budget == LEAST


def test_a_crowded_loop_with_a_little_room_takes_on_more_but_goes_back(still: Still, queue: LoopQueue) -> None:
    crowd(still, queue)
    end = still.now + 0.25
    while still.now < end:
        still.turn(0.002, 5)
        still.turn(0.001)
    assert queue.budget in (2 * LEAST, 4 * LEAST)
    end = still.now + 0.6
    while still.now < end:
        still.turn(0.002, 5)
    assert queue.budget == LEAST


def test_a_loop_with_room_is_crowded_no_more(still: Still, queue: LoopQueue) -> None:
    crowd(still, queue)
    begun = still.now
    while queue.crowded:
        still.turn(0.001, 2)
        still.turn(0.001)
        assert still.now - begun < 1.0
    crowd(still, queue)  # and it is watched again


def test_idle_time_is_for_calls_that_wait(still: Still, queue: LoopQueue) -> None:
    crowd(still, queue)
    begun: list[float] = []

    def call() -> None:
        begun.append(still.now)
        still.now += 0.005

    still.turn(0.001, 4)
    still.parked = [call] * 3
    still.turn(0.001, 4)
    still.turn(0.001, 4)
    assert not begun  # there was no idle time
    still.turn(0.001)
    still.turn(0.001)
    assert len(begun) == 1
    assert not queue.admits()  # it was the first of its turn, and has used up the budget
    for _ in range(20):
        still.turn(0.001)
    assert len(begun) == 3


def test_an_alarm_from_outside_takes_effect_in_the_middle_of_a_turn(still: Still, queue: LoopQueue) -> None:
    turns(still, 0.001, 1, during=0.2)
    assert queue.late == 0.0
    still.now += 0.3
    assert queue.late > 0.2
    queue.alarm(0.001)
    assert queue.crowded
    assert queue.late == 0.0
    assert still.turn(LEAST * 40, 40) in (1, 2)
    end = still.now + 3
    while still.now < end:
        still.turn(0.002, 20)
    assert queue.crowded
    turns(still, 0.001, 0, during=1.0)
    assert not queue.crowded
    queue.stop()
    queue.alarm(0.001)
    assert not queue.crowded


def looks(late: Sequence[float], count: Sequence[int]) -> int:
    """Let a watch look, and return how often it sounded the alarm."""
    alarms: list[float] = []
    at = [0]
    watch = Watch(
        late=lambda: late[at[0]],
        count=lambda: count[at[0]],
        is_long=lambda seconds, cost: cost > 0.0001,
        alarm=alarms.append,
        requests=FEW,
    )
    for place in range(len(late)):
        at[0] = place
        watch.look()
    return len(alarms)


LATE = [0.025 * number for number in range(1, 10)]


def test_a_loop_that_is_late_by_many_requests_sets_off_the_alarm() -> None:
    assert looks(LATE[:4], [0, 30, 60, 90]) == 1
    assert looks(LATE, [0, 30, 60, 90, 120, 150, 180, 210, 240]) == 2
    assert looks(LATE[:3], [0, 300, 600]) == 0  # not for long enough
    assert looks(LATE[:4], [0, 3000, 6000, 9000]) == 0  # they cost next to nothing


def test_a_loop_that_is_late_by_one_slow_call_or_by_few_sets_off_none() -> None:
    assert looks(LATE[:6], [0, 90, 90, 90, 90, 90]) == 0
    assert looks(LATE[:6], [0, 1, 2, 3, 4, 5]) == 0
    assert looks([0.1, 0.1, 0.0, 0.1, 0.1, 0.1], [0, 50, 100, 150, 200, 250]) == 0


def test_a_watch_ends(still: Still) -> None:
    watch = Watch(late=lambda: 0.0, count=int, is_long=lambda *_: False, alarm=lambda _: None, requests=FEW)
    others = set(threading.enumerate())
    watch.start()
    (thread,) = set(threading.enumerate()) - others
    watch.stop()
    thread.join(2)
    assert not thread.is_alive()


def test_a_watch_ends_with_its_loop(still: Still) -> None:
    gone: list[bool] = []
    watch = Watch(
        late=lambda: 0.0,
        count=int,
        is_long=lambda *_: False,
        alarm=lambda _: None,
        requests=FEW,
        gone=lambda: bool(gone),
    )
    others = set(threading.enumerate())
    watch.start()
    (thread,) = set(threading.enumerate()) - others
    gone.append(True)
    thread.join(2)
    assert not thread.is_alive()


def test_a_stopped_queue_does_nothing(still: Still, queue: LoopQueue) -> None:
    crowd(still, queue)
    queue.stop()
    assert not queue.crowded
    turns(still, 0.3, 5 * FEW, during=2)
    assert not queue.crowded


@pytest.fixture
def delay() -> list[float]:
    return [0.0]


@pytest.fixture
def held() -> list[int]:
    return [0]


@pytest.fixture
def store(still: Still, delay: list[float], held: list[int]) -> StoreQueue:
    made = StoreQueue(
        still,  # type: ignore[arg-type]
        TARGET,
        delay=lambda: delay[0],
        held=lambda: held[0],
        changed=lambda: None,
    )
    made.start(still)  # type: ignore[arg-type]
    return made


def test_few_calls_that_wait_long_are_no_queue(still: Still, store: StoreQueue, delay: list[float]) -> None:
    store.calls, delay[0] = FEW, 1.0
    turns(still, 0.01, 0, during=1)
    assert not store.narrow


def test_many_calls_that_are_not_passed_over_are_no_queue(still: Still, store: StoreQueue, delay: list[float]) -> None:
    store.calls, delay[0] = 10 * FEW, TARGET
    turns(still, 0.01, 0, during=1)
    assert not store.narrow


def test_a_wait_for_the_store_that_stands_narrows_it(still: Still, store: StoreQueue, delay: list[float]) -> None:
    store.calls, delay[0] = 10 * FEW, 2 * TARGET
    turns(still, 0.01, 0, during=0.1)
    delay[0] = 0.0  # it was a burst
    turns(still, 0.01, 0, during=0.1)
    assert not store.narrow
    delay[0] = 2 * TARGET
    turns(still, 0.01, 0, during=0.3)
    assert store.narrow
    turns(still, 0.01, 0, during=1)
    assert store.limit == LEAST_CALLS


def test_a_very_long_queue_is_seen_before_the_next_look(still: Still, store: StoreQueue, delay: list[float]) -> None:
    store.calls, delay[0] = 10 * FEW, TARGET
    store.glance()
    assert not store.narrow  # all are taken in turn
    store.calls, delay[0] = LEAST_CALLS, 2 * TARGET
    store.glance()
    assert not store.narrow
    store.calls = FEW + 1
    store.glance()
    assert store.narrow
    assert store.limit == FEW // 2


def test_the_limit_grows_where_it_is_used_up_and_ends_where_it_is_not(
    still: Still, store: StoreQueue, delay: list[float]
) -> None:
    store.calls = 10 * FEW
    store.tighten()
    before = store.limit
    turns(still, 0.01, 0, during=0.5)
    assert store.limit > 2 * before
    store.calls = 3
    turns(still, 0.01, 0, during=0.7)
    assert not store.narrow


def test_a_few_clients_that_ask_again_and_again_end_it(still: Still, store: StoreQueue, held: list[int]) -> None:
    store.tighten()
    store.calls, held[0] = LEAST_CALLS, FEW  # as many as ask at a time: more than few
    turns(still, 0.01, 0, during=2)
    assert store.narrow
    held[0] = 24
    turns(still, 0.01, 0, during=0.2)
    assert not store.narrow


def test_many_that_wait_for_something_else_end_it(still: Still, store: StoreQueue) -> None:
    store.tighten()
    store.calls = 10 * FEW  # none is passed over, so that the limit grows beyond them
    turns(still, 0.01, 0, during=1.5)
    assert not store.narrow


def test_a_crowded_loop_keeps_the_limit(still: Still, store: StoreQueue) -> None:
    store.tighten()
    store.keep = True
    turns(still, 0.01, 0, during=3)
    assert store.narrow
    store.keep = False
    turns(still, 0.01, 0, during=1)
    assert not store.narrow
