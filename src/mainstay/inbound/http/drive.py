"""Driving a call: straight through where it never waits, in a Task from where it first does.

A Task costs more than most calls need. A coroutine that ends without waiting is run by one ``send``; one that waits
gives the future that it waits for, and a Task takes over from there.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar, cast

from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import Outcome

T = TypeVar("T")

Dispatch = Callable[[Call], Coroutine[Any, Any, Outcome]]

_MARGIN = 0.002  # a loop's timers are of whole milliseconds: the deadline must have passed when the timer fires


@coroutine
def _resume(running: Coroutine[Any, Any, T], waiting: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that yielded ``waiting``, for a Task: what the Task sends or throws is passed on."""
    try:
        while True:
            try:
                sent = yield waiting
            except GeneratorExit:
                running.close()
                raise
            except BaseException as error:
                waiting = running.throw(error)
            else:
                waiting = running.send(sent)
    except StopIteration as stop:
        return cast("T", stop.value)


async def _going_on(running: Coroutine[Any, Any, T], waiting: Any) -> T:
    return await _resume(running, waiting)


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
    dispatch: Dispatch, call: Call, now: float, loop: asyncio.AbstractEventLoop
) -> Outcome | asyncio.Task[Outcome]:
    """Begin a call under its deadline, ``now`` being monotonic. Returns its outcome, or the Task that will have it.

    The deadline cancels the Task, which the pipeline turns into ``DeadlineExceeded``; a call whose commit has begun is
    left to end.
    """
    bound: BoundOperation = call.operation
    call.deadline = now + bound.deadline
    running = dispatch(call)
    if bound.inline:
        try:
            waiting = running.send(None)
        except StopIteration as stop:
            return cast("Outcome", stop.value)
        task = loop.create_task(_going_on(running, waiting))
    else:
        begun = run_task(running, loop)
        if not isinstance(begun, asyncio.Task):
            return begun
        task = begun
    timer = loop.call_later(bound.deadline + _MARGIN, _expire, task, call)
    task.add_done_callback(lambda _: timer.cancel())
    return task


def _expire(task: asyncio.Task[Outcome], call: Call) -> None:
    if not call.committing:
        task.cancel()
