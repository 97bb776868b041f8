"""Where requests queue in a process of one event loop, and when a queue stands: ready sockets, and the store's turn.

A queue that empties now and then is a burst, and does its work: it keeps the processor busy. One that does not empty
for a whole interval only adds its length to every answer; that one is cut (controlled delay, RFC 8289).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mainstay.ports.clock import Clock

LOOK = 0.05  # seconds between two looks at the loop, and at the store
INTERVAL = 0.1  # seconds that a queue must stand before it is cut
FEW = 64  # so many waiting requests are no queue, however slow: 64 clients that wait for each other are not too many
LEAST_CALLS = 12  # that may wait for the store, however long it takes
_COSTLY = 0.00015  # seconds a request: one that costs less is served for little more than it takes to turn it away
_PATIENCE = 12.5  # times the target that such requests may queue for: to turn them away would leave no time to serve
_WINDOW = 0.1  # seconds after which the budget of a crowded loop is judged anew
_SHARE = 64  # of the target: the least budget of a turn. An answer waits for two turns, a command in flight for several
_SLACK = 0.05  # of a window: a loop that was idle for so long has room for more


class LoopQueue:
    """How long what is ready waits for the event loop, and what one turn of a crowded loop may take on.

    A socket that is ready waits for all that were ready before it: for as long as one turn of the loop takes. While
    the loop is not crowded a turn is measured now and then, and a request costs nothing. While it is, each turn is: it
    takes on new calls until its ``budget`` of seconds is used up. The budget doubles while the loop has idle time and
    is halved while it has none; ``crowded`` ends when it has grown to ``target``. Requests that cost next to nothing
    may queue for longer: who turns those away has no time left for the others.

    ``count`` returns how many requests were answered so far; ``changed`` is told when ``crowded`` has changed;
    ``resume`` is asked in idle time to begin a call that waits, and returns whether there was one.
    """

    __slots__ = (
        "_changed",
        "_clock",
        "_count",
        "_counted",
        "_due",
        "_first",
        "_handle",
        "_idle",
        "_long",
        "_loop",
        "_most",
        "_opened",
        "_resume",
        "_standing",
        "_turning",
        "_window",
        "budget",
        "crowded",
        "last",
        "target",
        "turned",
    )

    def __init__(
        self,
        clock: Clock,
        target: float,
        *,
        count: Callable[[], int],
        changed: Callable[[], None],
        resume: Callable[[], bool],
    ) -> None:
        self._clock = clock.monotonic
        self._count = count
        self._changed = changed
        self._resume = resume
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._due = self._window = self._idle = 0.0
        self.turned = 0.0  # when the present turn of a crowded loop began
        self._opened = 0.0  # when the present turn took on its first call
        self._first = True
        self._counted = 0
        self._standing: float | None = None  # since when each turn was too long
        self._long = 0  # how many of them were measured
        self._turning = False  # ``_turn`` is called in each turn
        self.target = target
        self._most = target  # of a turn: the budget of a loop that is not crowded any more
        self.budget = target
        self.crowded = False
        self.last = 0.0  # seconds, as last measured

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look at a loop."""
        self._loop = loop
        self._counted = self._count()
        self._wait()

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
        self._handle = self._loop = None
        self.crowded = self._turning = False

    def admits(self) -> bool:
        """Whether the present turn of a crowded loop may take on one more call. The first of a turn always may."""
        now = self._clock()
        if self._first:
            self._first = False
            self._opened = now
            return True
        return now - self._opened <= self.budget

    def _wait(self) -> None:
        if self._loop is not None:
            self._due = self._clock() + LOOK
            self._handle = self._loop.call_later(LOOK, self._look)

    def _look(self) -> None:
        """See how late this look is, then measure one turn of the loop."""
        if self._loop is None or self._turning:
            return
        now, counted = self._clock(), self._count()
        late = max(0.0, now - self._due)
        requests = (counted - self._counted) * late / (LOOK + late)  # of the turn that made it late
        self._counted = counted
        cost = late / requests if requests else 0.0
        if requests > FEW and self.is_long(late, cost) and self._stands(now, requests, self._due):
            self._crowd(cost)
        else:
            self._loop.call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        if self._loop is not None and not self._turning:
            self.turned, self._counted = self._clock(), self._count()
            self._loop.call_soon(self._end_turn)

    def _end_turn(self) -> None:
        """Judge the turn."""
        if self._loop is None or self._turning:
            return
        now, counted = self._clock(), self._count()
        requests, self._counted = counted - self._counted, counted
        self.last = now - self.turned
        cost = self.last / requests if requests else 0.0
        if requests <= FEW or not self.is_long(self.last, cost):
            self._standing, self._long = None, 0
            self._wait()
        elif self._stands(now, requests, self.turned):
            self._crowd(cost)
        else:
            self._wait()

    def _stands(self, now: float, requests: float, since: float) -> bool:
        """Whether the queue stands, by a turn that was too long: each was, for an interval.

        One long turn may be one slow call, with others waiting behind it; a very long queue needs no second look.
        """
        self._long += 1
        if self._standing is None:
            self._standing = since
        return now - self._standing >= INTERVAL and (self._long > 1 or requests > 4 * FEW)

    @property
    def late(self) -> float:
        """For how many seconds a look at the loop has been due; 0 while it is crowded, or not looked at."""
        return 0.0 if self._loop is None or self.crowded else max(0.0, self._clock() - self._due)

    def is_long(self, seconds: float, cost: float) -> bool:
        """Whether a turn was too long, for requests that cost so many seconds each."""
        return seconds > (self.target if cost >= _COSTLY else self.target * _PATIENCE)

    def alarm(self, cost: float) -> None:
        """Take the loop for crowded, in the middle of a turn: called from another thread."""
        loop = self._loop
        if loop is not None and not self.crowded:
            self.budget = self.target / _SHARE
            self._first = self.crowded = True
            loop.call_soon_threadsafe(self._crowd, cost)

    def _crowd(self, cost: float) -> None:
        if self._loop is None or self._turning:
            return
        self._turning = True
        now = self._clock()
        self._standing, self._long = None, 0
        self._most = self.target if cost >= _COSTLY else self.target * _PATIENCE
        self.budget = self._most / _SHARE
        self.turned = self._window = now
        self._idle = 0.0
        self._first = True
        self.crowded = True
        self._changed()
        self._turn()

    def _turn(self) -> None:
        """Once in each turn of a crowded loop, which never sleeps: a turn without a call to judge is idle time."""
        loop = self._loop
        if loop is None:
            return
        now = self._clock()
        took, self.turned = now - self.turned, now
        if not self._first:
            self._first = True
            self.last = took
        elif self._resume():
            self._first, self._opened = False, now
        else:
            self._idle += took
        if now - self._window >= _WINDOW and self._review(now):
            return
        loop.call_soon(self._turn)

    def _review(self, now: float) -> bool:
        """At the end of a window: more where there was room for more. Returns whether the loop is crowded no more."""
        least = self._most / _SHARE
        roomy = self._idle > _SLACK * (now - self._window)
        self._window, self._idle = now, 0.0
        self.budget = self.budget * 2 if roomy else max(least, self.budget / 2)
        if self.budget < self._most:
            return False
        self.crowded = self._turning = False
        self.last = 0.0
        self._counted = self._count()
        self._changed()
        self._wait()
        return True


class StoreQueue:
    """How many calls may wait for the store at a time, by how long they wait there.

    ``delay`` returns for how many seconds the call that has waited longest has been passed over; ``calls`` counts those
    in flight, ``held`` returns how many clients are kept waiting for the answer that there is no room. While the queue
    is ``narrow``, ``limit`` follows the delay: a fifth less while it is over half the target, a tenth more
    while the limit is used up. It is no more when both together have been few for an interval: whoever asks again as
    soon as it is answered must not keep up what it suffers from. ``keep`` keeps it narrow all the same.
    """

    __slots__ = (
        "_changed",
        "_clock",
        "_delay",
        "_few_since",
        "_handle",
        "_held",
        "_standing",
        "calls",
        "keep",
        "last",
        "limit",
        "narrow",
        "target",
    )

    def __init__(
        self,
        clock: Clock,
        target: float,
        *,
        delay: Callable[[], float],
        held: Callable[[], int],
        changed: Callable[[], None],
    ) -> None:
        self._clock = clock.monotonic
        self._delay = delay
        self._held = held
        self._changed = changed
        self._handle: asyncio.TimerHandle | None = None
        self._standing: float | None = None
        self._few_since = 0.0
        self.target = target
        self.calls = 0
        self.limit = FEW
        self.narrow = False
        self.keep = False
        self.last = 0.0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to look, by the timers of a loop."""
        self._handle = loop.call_later(LOOK, self._look, loop)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self.narrow = False

    def glance(self) -> None:
        """Look between two looks, while much is in flight: the queue is cut before all of that is in it."""
        if not self.narrow and self.calls > LEAST_CALLS:
            self.last = self._delay()
            if self.last > self.target:
                self.tighten()

    def has_room(self) -> bool:
        """Whether one more call may wait."""
        return not self.narrow or self.calls < self.limit

    def tighten(self) -> None:
        """Begin to keep to the limit."""
        if not self.narrow:
            self.narrow = True
            self.limit = max(LEAST_CALLS, min(FEW, self.calls) // 2)
            self._few_since = self._clock()
            self._changed()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.last = self._delay()
        if self.narrow:
            self._adjust()
        elif self.last > self.target and self.calls > FEW:
            if self._standing is None:
                self._standing = self._clock()
            elif self._clock() - self._standing >= INTERVAL:
                self._standing = None
                self.tighten()
        else:
            self._standing = None
        pause = LOOK / 5 if self.narrow or self._standing is not None else LOOK
        self._handle = loop.call_later(pause, self._look, loop)

    def _adjust(self) -> None:
        """Move the limit, and give it up when there have been few for a while."""
        now, held = self._clock(), self._held()
        if self.calls + held > FEW and (held or self.calls >= self.limit):
            self._few_since = now
        if self.last > self.target / 2:
            self.limit = max(LEAST_CALLS, self.limit * 4 // 5)
        elif self.calls >= self.limit:
            self.limit += 1 + self.limit // 10
        if now - self._few_since >= INTERVAL and not self.keep:
            self.narrow = False
            self._changed()
