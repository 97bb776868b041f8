"""Calls that are turned away: what they are told, when, and how whoever runs the service hears of it.

Turning a call away must cost next to nothing, or a service that is asked for ten times what it can do would do nothing
else. So the answer is made beforehand but for the request's id, and calls are counted, and told in one line a second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Protocol

from mainstay.inbound.http.encode import Answers
from mainstay.inbound.http.exchange import Answer, Exchange
from mainstay.inbound.http.wire import length_line, status_line
from mainstay.kernel.bound import BoundOperation
from mainstay.model.problem import Unavailable
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Entropy
from mainstay.ports.observer import Notice, Observer

HOLD = 0.015  # seconds that an answer is held back at most, where many are given
_FRESH = 0.005  # seconds after which a call that waits in the room is not begun any more
_TICK = 0.005  # seconds
_NEAR = 16  # of the calls that wait, so many are looked at
_AT_ONCE = 60  # answers a tick that are given at once: about a tenth of the time
_RETRY = 3  # seconds: the longest that a client is told to stay away, where all are turned away; the least is 1
_SPREAD = 16
_REPORT = 1.0  # seconds
_STATUS = status_line(503)


Passed = Answer | asyncio.Future[Answer]


class Overloaded(Unavailable, hint="Nothing was done: it is safe to send the request again, after Retry-After."):
    """More is asked for than can be done now."""


class Parked(Protocol):
    """A call that waits: it is begun when there is idle time soon enough, or rejected."""

    @property
    def bound(self) -> BoundOperation:
        """Its operation."""

    def admit(self) -> bool:
        """Begin it. Returns False where its client has left."""

    def reject(self) -> None:
        """Turn it away."""


class Rejections:
    """Turns calls away.

    A client that asks again at once, and is answered at once, costs more the less it gets. Where many are turned away
    the answers are held back for ``HOLD`` seconds, so that each such client costs at most so many answers a second.
    ``counts`` has the calls turned away, by operation.
    """

    def __init__(self, answers: Answers, *, clock: Clock, entropy: Entropy | None, observer: Observer) -> None:
        self._made = _made(answers, entropy)
        self._clock = clock.monotonic
        self._observer = observer
        self._held: deque[tuple[float, Callable[[Any], None], Any]] = deque()
        self._room: deque[tuple[float, Parked]] = deque()
        self._ticking = False
        self._left = _AT_ONCE
        self._lines = b""
        self._ends: list[bytes] = []
        self._next = 0
        self._told = 0
        self._since = 0.0
        self._report_at = 0.0
        self.total = 0
        self.counts: dict[str, int] = {}
        self.facts: Callable[[], Mapping[str, float]] = dict

    def park(self, one: Parked, now: float) -> None:
        """Let a call wait for idle time, or for its rejection. ``now`` is when the present turn of the loop began."""
        if not self._ticking:
            self._begin(asyncio.get_running_loop())
        self._room.append((now + HOLD, one))

    def resume(self, may: Callable[[BoundOperation], bool]) -> bool:
        """Begin the call that came last, if it has not waited for long. Returns whether there was one.

        The last one has the most of its time left; those before it have waited, and would be late in any case. One that
        ``may`` not be begun now waits on.
        """
        room, oldest = self._room, self._clock() + HOLD - _FRESH
        at = 1
        while at <= min(len(room), _NEAR) and room[-at][0] >= oldest:
            one = room[-at][1]
            if not may(one.bound):
                at += 1
                continue
            del room[-at]
            if one.admit():
                return True
        return False

    def turn_away(self, exchange: Exchange, operation: str) -> Answer:
        """Count a call that is turned away, and return what it is told."""
        self.total += 1
        self.counts[operation] = self.counts.get(operation, 0) + 1
        self._next = number = (self._next + 1) % _SPREAD
        head, body = self._made[number]
        return Answer(503, b"%b%b\r\n%b" % (head, exchange.request_id.encode(), exchange.common), body)

    def whole(self, operation: str, request_id: bytes, lines: bytes) -> bytes:
        """Count a call that is turned away, and return what it is told as it goes over the wire of HTTP/1.1."""
        self.total += 1
        self.counts[operation] = self.counts.get(operation, 0) + 1
        self._next = number = (self._next + 1) % _SPREAD
        if lines is not self._lines:  # they are the same for a second
            self._lines = lines
            self._ends = [b"\r\n%b%b\r\n%b" % (lines, length_line(len(body)), body) for _, body in self._made]
        return b"".join((_STATUS, self._made[number][0], request_id, self._ends[number]))

    @property
    def held(self) -> int:
        """How many clients wait for their answer."""
        return len(self._held) + len(self._room)

    def pass_on(self, answer: Answer, loop: asyncio.AbstractEventLoop, *, every: bool) -> Passed:
        """Return an answer where it may go at once, else what will have it. ``every`` one is to be held back, or many.

        What is held back shows how many ask: one that asks again at once would look like many that ask once.
        """
        if self._at_once(loop, every=every):
            return answer
        waiting: asyncio.Future[Answer] = loop.create_future()
        self._held.append((self._clock() + HOLD, partial(_settle, waiting), answer))
        return waiting

    def hold(self, release: Callable[[bytes], None], answer: bytes, *, every: bool) -> bool:
        """Return whether an answer is held back, until ``release`` is called with it; False where it may go at once."""
        if self._at_once(None, every=every):
            return False
        self._held.append((self._clock() + HOLD, release, answer))
        return True

    def _at_once(self, loop: asyncio.AbstractEventLoop | None, *, every: bool) -> bool:
        """Whether one more answer may go at once. What is held back is let go by a tick."""
        if not self._ticking:
            self._begin(loop or asyncio.get_running_loop())
        if every or self._left <= 0:
            return False
        self._left -= 1
        return True

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._ticking = True
        self._left = _AT_ONCE
        now = self._clock()
        if now >= self._report_at:
            self._since, self._report_at = now, now + _REPORT
        loop.call_later(_TICK, self._tick, loop)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """Turn away the calls, and let go the answers, whose time has come."""
        now, held = self._clock(), self._held
        room = self._room
        while room and room[0][0] <= now:
            room.popleft()[1].reject()
        self._left = _AT_ONCE
        while held and held[0][0] <= now:
            _, release, answer = held.popleft()
            release(answer)
            self._left -= 1
        if now >= self._report_at and self.total > self._told:
            self._report(now)
        if held or room or self.total > self._told:
            loop.call_later(_TICK, self._tick, loop)
        else:
            self._ticking = False

    def _report(self, now: float) -> None:
        turned, self._told = self.total - self._told, self.total
        facts = {"calls": turned, "seconds": round(now - self._since, 1), **self.facts()}
        text = f"more is asked for than can be done: {turned} calls were turned away"
        self._observer.observe(Notice("warning", "overloaded", text, facts))
        self._since, self._report_at = now, now + _REPORT


def _settle(waiting: asyncio.Future[Answer], answer: Answer) -> None:
    if not waiting.done():  # else the client has left
        waiting.set_result(answer)


def _made(answers: Answers, entropy: Entropy | None) -> tuple[tuple[bytes, bytes], ...]:
    """Return the answers but for the request's id: they differ in Retry-After, so that not all come back together."""
    made = []
    for number in range(_SPREAD):
        chance = number * 7 % _SPREAD / _SPREAD if entropy is None else entropy.uniform()
        problem = Overloaded(retry_after=1 + int(chance * _RETRY))
        blank = Exchange(b"GET", {}, "", "", b"")
        answer = answers.problem(blank, problem)
        head, mark, _ = answer.head.partition(b"X-Request-ID: ")
        made.append((head + mark, answer.body))
    return tuple(made)
