"""Driving a call: straight through where it never waits, in a Task from where it first does.

A Task costs more than most calls need. A coroutine that ends without waiting is run by one ``send``; one that waits
gives the future that it waits for, and a Task takes over from there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import Outcome

T = TypeVar("T")

Dispatch = Callable[[Call], Coroutine[Any, Any, Outcome]]
Began = Callable[[Call, asyncio.Task[Outcome], asyncio.TimerHandle], None]

_MARGIN = 0.002  # a loop's timers are of whole milliseconds: the deadline must have passed when the timer fires


class _GoingOn(Coroutine[Any, Any, T]):
    """A coroutine that has been run to its first wait, for a Task to go on with.

    It is no coroutine function, because one that is cancelled before its first step never runs: the cancellation must
    reach what has begun.
    """

    __slots__ = ("_running", "_waiting")

    def __init__(self, running: Coroutine[Any, Any, T], waiting: Any) -> None:
        self._running = running
        self._waiting: Any = (waiting,)

    def send(self, value: Any) -> Any:
        """Give the Task what is waited for first; then go on."""
        if self._waiting is not None:
            (waiting,), self._waiting = self._waiting, None
            return waiting
        return self._running.send(value)

    def throw(self, *error: Any) -> Any:
        """Pass on what the Task throws."""
        self._waiting = None
        return self._running.throw(*error)

    def close(self) -> None:
        """End what has begun."""
        self._running.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return (yield from self._running.__await__())


if sys.version_info >= (3, 12):

    def run_task(running: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T | asyncio.Task[T]:
        """Run a coroutine in a Task, begun at once. Returns its result where it has one already."""
        task = asyncio.Task(running, loop=loop, eager_start=True)
        return task.result() if task.done() else task

else:

    def run_task(running: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T | asyncio.Task[T]:
        """Run a coroutine in a Task."""
        return loop.create_task(running)


def drive(
    dispatch: Dispatch, call: Call, now: float, loop: asyncio.AbstractEventLoop, began: Began
) -> Outcome | asyncio.Task[Outcome]:
    """Begin a call under its deadline, ``now`` being monotonic. Returns its outcome, or the Task that will have it.

    ``began`` is told of a call that waits, with the timer of its deadline, which it cancels at the call's end. The
    deadline cancels the Task, which the pipeline turns into ``DeadlineExceeded``; a call whose commit has begun is
    left to end.
    """
    bound: BoundOperation = call.operation
    call.deadline = now + bound.deadline
    running = dispatch(call)
    if bound.inline:
        try:
            waiting = running.send(None)
        except StopIteration as stop:
            outcome: Outcome = stop.value
            return outcome
        task = loop.create_task(_GoingOn(running, waiting))
    else:
        begun = run_task(running, loop)
        if not isinstance(begun, asyncio.Task):
            return begun
        task = begun
    timer = loop.call_later(bound.deadline + _MARGIN, _expire, task, call)
    began(call, task, timer)
    return task


def _expire(task: asyncio.Task[Outcome], call: Call) -> None:
    if not call.committing:
        task.cancel()
