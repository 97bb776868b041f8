"""Admission: which calls are begun, where more is asked for than can be done.

Bounds, each where a queue can be: calls in flight (a hard one), commands that wait for the store, queries that do, and
calls that are ready while the loop is busy. Pages (health, readiness, metrics) are never turned away. While nothing is
over its bound a call that does not wait is not looked at at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from mainstay.inbound.http.encode import Answers
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.queueing import FEW, LoopQueue, StoreQueue
from mainstay.inbound.http.rejections import Parked, Passed, Rejections
from mainstay.inbound.http.watch import Watch
from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call
from mainstay.model.operation import OperationKind
from mainstay.model.signature import Source
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Entropy
from mainstay.ports.observer import Observer

_OWN = 8  # calls in flight that an operation may have though the others have used up the bound
_LATEST = 1 / 16  # the weight of one call among the last ones
_SLOW = 1 / 4  # of the last calls of a query
_OFF = float("inf")


def _none() -> float:
    return 0.0


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How much is taken on. ``calls`` in flight at a time; ``queue`` in seconds, 0 for no bound."""

    calls: int = 1000
    queue: float = 0.02


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """What admission tells of itself. Times are in seconds; ``limit`` is the present bound of calls that wait for the
    store, None where none is in force."""

    overloaded: bool
    in_flight: int
    queue: float
    store_queue: float
    limit: int | None
    turned_away: Mapping[str, int]  # by operation


class Admission:
    """Decides which calls are begun. One stands before a door. ``most`` may be in flight.

    ``delay`` returns for how long the command that waits longest has waited for the store, ``read_delay`` the query;
    ``count`` how many calls have ended so far. ``start`` begins to watch the loop and the store: without it only calls
    in flight are bounded.
    """

    def __init__(
        self,
        bounds: Bounds,
        *,
        clock: Clock,
        observer: Observer,
        entropy: Entropy | None = None,
        delay: Callable[[], float] = _none,
        read_delay: Callable[[], float] = _none,
        count: Callable[[], int] | None = None,
    ) -> None:
        self._bounds = bounds
        self.most = bounds.calls
        self._parts = (clock, entropy, observer)
        self._own = min(_OWN, bounds.calls // 8)
        self._counting = count is not None and bounds.queue > 0
        self._ended: Callable[[], int] = count or int
        target = bounds.queue or _OFF
        self._loop_queue = LoopQueue(clock, target, count=self._count, changed=self._change, resume=self._resume)
        held, changed = self._held_back, self._change
        self._store_queue = StoreQueue(clock, target, delay=delay, held=held, changed=changed)
        # Of its own: what a query waits for may be another service, and that must keep no command out.
        self._read_queue = StoreQueue(clock, target, delay=read_delay, held=held, changed=changed)
        self._waiting_for_store: frozenset[int] = frozenset()
        self._waits: dict[int, float] = {}  # of queries that need not wait: the part of the last ones that did
        self._with_body: frozenset[int] = frozenset()
        self._guard: Callable[[bool], None] = _ignore
        self._followers: list[Callable[[bool], None]] = []
        self._standing = False  # a queue, as the followers were told
        self._passed = False
        self._rejections: Rejections | None = None
        self._watch: Watch | None = None
        self._in_flight = 0
        self._early = 0  # calls in flight that began before their body was there
        self.guarding = False

    def stand_before(
        self, operations: Sequence[BoundOperation], answers: Answers, guard: Callable[[bool], None]
    ) -> None:
        """Stand before a door. ``guard`` is told when its calls must be asked about, and when no more."""
        clock, entropy, observer = self._parts
        self._rejections = Rejections(answers, clock=clock, entropy=entropy, observer=observer)
        self._rejections.facts = self._facts
        self._waiting_for_store = frozenset(
            one.index for one in operations if one.operation.kind is OperationKind.COMMAND or not one.inline
        )
        self._with_body = frozenset(
            one.index for one in operations if one.signature.body is not None or one.signature.of(Source.MEMBER)
        )
        self._guard = guard

    def follow(self, crowded: Callable[[bool], None]) -> None:
        """Tell somebody when the loop's queue or the store's stands, and when no more: less often than the door."""
        self._followers.append(crowded)
        crowded(self._standing)

    def start(self) -> None:
        """Watch the running loop, and the store."""
        if self._counting:
            loop = asyncio.get_running_loop()
            self._loop_queue.start(loop)
            self._store_queue.start(loop)
            self._read_queue.start(loop)
            self._watch = Watch(
                late=self._late,
                count=self._count,
                is_long=self._loop_queue.is_long,
                alarm=self._alarm,
                requests=FEW,
                gone=loop.is_closed,
            )
            self._watch.start()

    def stop(self) -> None:
        """Watch no more."""
        if self._watch is not None:
            self._watch.stop()
        self._loop_queue.stop()
        self._store_queue.stop()
        self._read_queue.stop()
        self._change()
        if not self.guarding:
            self._guard(False)  # an alarm may have come that nothing has followed

    def admits(self, bound: BoundOperation) -> bool:
        """Whether a call of an operation may begin now. It is asked only while there is something to guard."""
        if self._passed:
            self._passed = False
            return True
        calls = self._bounds.calls
        if self._in_flight >= calls and bound.running >= self._own:
            return False
        if self._early >= calls and bound.index in self._with_body:
            return False
        if not self._store_admits(bound):
            return False
        return not self._loop_queue.crowded or self._loop_queue.admits()

    def _store_admits(self, bound: BoundOperation) -> bool:
        """Whether the store has room for a call. Queries are asked about where they wait for it now and then."""
        if bound.index in self._waiting_for_store:
            return self._store_queue.has_room()
        queue = self._read_queue
        if not queue.narrow:
            return True
        waits = self._waits.get(bound.index, 0.0)
        if waits > _SLOW and not queue.has_room():
            return False
        if waits:
            self._waits[bound.index] = waits * (1 - _LATEST)
        return True

    def passes(self, bound: BoundOperation) -> bool:
        """Whether a call may begin now, asked before its head is parsed: it will not be asked about again."""
        self._passed = False
        self._passed = self.admits(bound)
        return self._passed

    def refuse(self, bound: BoundOperation, request_id: bytes, lines: bytes) -> bytes:
        """Count a call that is turned away, and return the bytes of its answer."""
        assert self._rejections is not None  # it stands before a door
        return self._rejections.whole(bound.name, request_id, lines)

    def park(self, one: Parked) -> bool:
        """Let a call wait for idle time. Returns False where there is none to be waited for."""
        if self._rejections is None or not self._loop_queue.crowded:
            return False
        self._rejections.park(one, self._loop_queue.turned)
        return True

    def let_pass(self) -> None:
        """Let the next call begin without being asked about."""
        self._passed = True

    def _held_back(self) -> int:
        return 0 if self._rejections is None else self._rejections.held

    def _resume(self) -> bool:
        return self._rejections is not None and self._rejections.resume(self._store_admits)

    def hold(self, release: Callable[[bytes], None], answer: bytes) -> bool:
        """Return whether an answer is held back, until ``release`` is called with it."""
        assert self._rejections is not None  # it stands before a door
        return self._rejections.hold(release, answer, every=self._is_narrow())

    def turn_away(self, exchange: Exchange, bound: BoundOperation) -> Held:
        """Count a call that is turned away, and return the target that has its answer."""
        rejections = self._rejections
        assert rejections is not None  # it stands before a door
        answer = rejections.turn_away(exchange, bound.name)
        return Held(answer, partial(rejections.pass_on, every=self._is_narrow()))

    def began(self, call: Call, task: asyncio.Task[Any], timer: asyncio.TimerHandle) -> None:
        """A call is in flight: it waits for something. ``timer`` is its deadline, which ends with it.

        One whose body is still on its way is counted apart, so that slow clients take no place of others.
        """
        index = call.operation.index
        queue = self._store_queue if index in self._waiting_for_store else self._read_queue
        early = call.read is not None and call.body is None
        calls = self._bounds.calls
        if early:
            self._early += 1
        else:
            self._in_flight += 1
            queue.calls += 1
            if queue is self._read_queue:
                self._waits[index] = min(1.0, self._waits.get(index, 0.0) + _LATEST)
            if self._in_flight > FEW:
                self._store_queue.glance()
                self._read_queue.glance()
        if self._in_flight >= calls or self._early >= calls:
            self._change()

        def ended(_: object) -> None:
            timer.cancel()
            if early:
                self._early -= 1
            else:
                queue.calls -= 1
                self._in_flight -= 1
            if self.guarding:
                self._change()

        task.add_done_callback(ended)

    def figures(self) -> Figures:
        """Return the figures of now."""
        queues = (self._store_queue, self._read_queue)
        return Figures(
            overloaded=self.guarding,
            in_flight=self._in_flight + self._early,
            queue=self._loop_queue.last,
            store_queue=max(queue.last for queue in queues),
            limit=min((queue.limit for queue in queues if queue.narrow), default=None),
            turned_away={} if self._rejections is None else dict(self._rejections.counts),
        )

    def _is_narrow(self) -> bool:
        return self._store_queue.narrow or self._read_queue.narrow

    def _late(self) -> float:
        return self._loop_queue.late

    def _alarm(self, cost: float) -> None:
        """Guard the door at once, from the thread that watches: all else follows when the loop comes to it."""
        self._loop_queue.alarm(cost)
        if self._loop_queue.crowded:
            self._guard(True)

    def _count(self) -> int:
        return self._ended() + (0 if self._rejections is None else self._rejections.total)

    def _facts(self) -> dict[str, float]:
        return {"in_flight": self._in_flight, "queue_ms": round(1000 * self._loop_queue.last, 1)}

    def _change(self) -> None:
        """Guard the door while anything is over its bound."""
        crowded = self._loop_queue.crowded
        for queue in (self._store_queue, self._read_queue):
            queue.keep = crowded
            if crowded:
                queue.tighten()
        standing = crowded or self._is_narrow()
        guarding = standing or self._in_flight >= self._bounds.calls or self._early >= self._bounds.calls
        if guarding is not self.guarding:
            self.guarding = guarding
            self._guard(guarding)
        if standing is not self._standing:
            self._standing = standing
            for follower in self._followers:
                follower(standing)


class Held:
    """The target of a call that was turned away: its answer, at once or a little later."""

    __slots__ = ("_answer", "_pass_on")
    bound = None
    strict = query = False

    def __init__(self, answer: Answer, pass_on: Callable[[Answer, asyncio.AbstractEventLoop], Passed]) -> None:
        self._answer = answer
        self._pass_on = pass_on

    def begin(self, loop: asyncio.AbstractEventLoop) -> Passed:
        """Return the answer, or what will have it."""
        return self._pass_on(self._answer, loop)


def _ignore(_: bool) -> None: ...
