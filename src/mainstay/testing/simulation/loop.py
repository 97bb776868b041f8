"""An event loop whose time is virtual, and in which a seed decides which of several processes takes its next step.

The steps of one process run in the order in which they fall due, as an event loop of its own would run them. Which
process is next is chance. Time stands while anything is left to do, and then goes on to the next timer. There is no
input or output, no thread and no clock in it: the same seed gives the same run, step for step.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any, NoReturn, TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

MOST_STEPS = 1_000_000
MOST_AT_ONCE = 20_000
"""Steps at one moment: beyond them somebody tries again and again, and waits for nothing."""
_CLOSINGS = 32  # how often a coroutine may wait while it is being closed
_MARK = (1 << 61) - 1


class ProcessEnded(BaseException):
    """The process that asked was killed: nothing comes of what it does any more."""


class SimulationStuck(Exception):
    """The run cannot end: nobody has anything left to do, or there is no end of it."""


class Process:
    """Something that runs by itself, is killed as a whole, and may stand still for a while."""

    __slots__ = ("alive", "name", "number", "ready", "stalled", "tasks")

    def __init__(self, name: str, number: int) -> None:
        self.name = name
        self.number = number
        self.alive = True
        self.stalled = False
        self.ready: deque[_Step] = deque()
        self.tasks: list[tuple[asyncio.Task[Any], Coroutine[Any, Any, Any], Context]] = []

    def __repr__(self) -> str:
        return f"Process({self.name!r})"

    def keep(self, task: asyncio.Task[Any], coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
        """Note a task that runs in this process."""
        if len(self.tasks) >= 64 and len(self.tasks) & (len(self.tasks) - 1) == 0:
            self.tasks = [one for one in self.tasks if not one[0].done()]
        self.tasks.append((task, coroutine, context))


_CURRENT: ContextVar[Process | None] = ContextVar("mainstay_simulated_process", default=None)


def process_of(context: Context) -> Process | None:
    """Return the process that a context is of."""
    return context.get(_CURRENT, None)


class _Step(asyncio.TimerHandle):
    """Something to be called, at a moment, by a process."""

    __slots__ = ("given", "inside", "process", "work")

    def __init__(
        self, when: float, work: Callable[..., Any], given: Any, loop: SimulatedLoop, context: Context | None
    ) -> None:
        self.inside = copy_context() if context is None else context
        super().__init__(when, work, given, loop, self.inside)
        self.work = work
        self.given = given
        self.process = process_of(self.inside) or loop.outside


class SimulatedLoop(asyncio.AbstractEventLoop):
    """The loop. ``digest`` is a number for the order of all steps so far: of equal runs it is equal.

    What an event loop can do beyond tasks, futures and timers raises ``NotImplementedError``. Made by
    ``simulated_loop``.
    """

    def __init__(self, seed: int | str) -> None:
        self.steps = 0
        self.digest = 0
        self.complaints: list[str] = []
        self.outside = Process("outside", 0)
        self._chance = Random(f"{seed} steps")  # noqa: S311 - it is to be foretold
        self._now = 0.0
        self._timers: list[tuple[float, int, _Step]] = []
        self._runnable: list[Process] = []
        self._ended: list[Process] = []
        self._processes = [self.outside]
        self._made = 0
        self._moment = 0  # the steps that were taken before this moment
        self._running = False
        self._closed = False

    def process(self, name: str) -> Process:
        """Return a new process, which runs what is spawned in it."""
        made = Process(name, len(self._processes))
        self._processes.append(made)
        return made

    def spawn(self, process: Process, coroutine: Coroutine[Any, Any, T], *, name: str | None = None) -> asyncio.Task[T]:
        """Run a coroutine in a process, and with it all that it begins."""
        context = copy_context()
        context.run(_CURRENT.set, process)
        return self.create_task(coroutine, name=name, context=context)

    def current(self) -> Process:
        """Return the process that asks."""
        return _CURRENT.get() or self.outside

    def kill(self, process: Process) -> None:
        """End a process here and now, wherever its tasks stand. None of its blocks ``finally`` has an effect."""
        if process.alive:
            process.alive = False
            process.ready.clear()
            if process in self._runnable:
                self._runnable.remove(process)
            self._ended.append(process)

    def stall(self, process: Process, seconds: float) -> None:
        """Have a process stand still: it takes no step, while its timers run out."""
        if process.alive and not process.stalled:
            process.stalled = True
            if process in self._runnable:
                self._runnable.remove(process)
            self.call_later(seconds, self.resume, process, context=Context())

    def outside_of(self, work: Callable[..., None], *given: Any) -> None:
        """Do something at once, in the name of no process: what it begins outlives the one that asks."""
        Context().run(work, *given)

    def resume(self, process: Process) -> None:
        """Have a process go on that stands still."""
        if process.alive and process.stalled:
            process.stalled = False
            if process.ready:
                self._runnable.append(process)

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end, then end all processes, and return what it returned.

        Raises what it raised, ``SimulationStuck``, and ``RuntimeError`` within another loop. Python's collector of
        cycles stands meanwhile: the moment at which it closes what was left open would be another one in each run.
        """
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("an event loop runs already in this thread: a simulation needs one of its own")
        collecting = gc.isenabled()
        gc.disable()
        asyncio._set_running_loop(self)
        self._running = True
        try:
            task = self.spawn(self.outside, main)
            while not task.done():
                self._step()
            return task.result()
        finally:
            for process in self._processes:
                self.kill(process)
            self._reap()
            self._running = False
            asyncio._set_running_loop(None)
            if collecting:
                gc.enable()

    def _step(self) -> None:
        while not self._runnable:
            self._go_on()
        at = int(self._chance.random() * len(self._runnable))
        process = self._runnable[at]
        step = process.ready.popleft()
        if not process.ready:
            self._runnable[at] = self._runnable[-1]
            self._runnable.pop()
        if not step.cancelled():
            self.steps += 1
            self.digest = (self.digest * 31 + process.number + 1) & _MARK
            if self.steps > MOST_STEPS or self.steps - self._moment > MOST_AT_ONCE:
                raise SimulationStuck(f"no end after {self.steps} steps, {self._now:.3f} s")
            step.inside.run(step.work, *step.given)
        if self._ended:
            self._reap()

    def _go_on(self) -> None:
        """Let time pass until the next timer runs out, with all that run out at that moment."""
        timers = self._timers
        while timers and timers[0][2].cancelled():
            heapq.heappop(timers)
        if not timers:
            raise SimulationStuck(f"nobody has anything left to do, at {self._now:.3f} s")
        self._now, self._moment = timers[0][0], self.steps
        while timers and timers[0][0] <= self._now:
            self._put(heapq.heappop(timers)[2])

    def _put(self, step: _Step) -> None:
        process = step.process
        if not process.alive or step.cancelled():
            return
        if not process.ready and not process.stalled:
            self._runnable.append(process)
        process.ready.append(step)

    def _reap(self) -> None:
        """Close what the killed processes had under way, in the order in which it was begun."""
        while self._ended:
            process = self._ended.pop()
            tasks, process.tasks = process.tasks, []
            for task, coroutine, context in tasks:
                if not task.done():
                    _close(coroutine, context)

    # What asyncio asks of a loop.

    def time(self) -> float:
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        step = _Step(self._now, callback, args, self, context)
        self._put(step)
        return step

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        step = _Step(max(when, self._now), callback, args, self, context)
        self._made += 1
        heapq.heappush(self._timers, (step.when(), self._made, step))
        return step

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Have nothing to do: cancelled timers are passed over."""

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self,
        coro: Generator[Any, None, T] | Coroutine[Any, Any, T],
        *,
        name: str | None = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        inside = copy_context() if context is None else context
        task = asyncio.Task(coro, loop=self, name=name or "simulated", context=inside)
        (process_of(inside) or self.outside).keep(task, coro, inside)  # type: ignore[arg-type]
        return task

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return self._running

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what nobody caught. That killed processes left things undone is no fault."""
        error = context.get("exception")
        if error is not None and not isinstance(error, ProcessEnded):
            self.complaints.append(f"{context.get('message')}: {error!r}")

    def call_soon_threadsafe(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> NoReturn:
        raise NotImplementedError("a simulation has one thread")


def _close(coroutine: Coroutine[Any, Any, Any], context: Context) -> None:
    """End a coroutine of a killed process. What it still asks of others raises ``ProcessEnded`` too."""
    for _ in range(_CLOSINGS):
        if inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED:
            return
        with suppress(Exception, ProcessEnded, asyncio.CancelledError):  # it waits once more, or raises what it met
            context.run(coroutine.throw, ProcessEnded())
    raise SimulationStuck(f"{coroutine!r} waits on and on while it is ended")


def simulated_loop(seed: int | str) -> SimulatedLoop:
    """Return a loop whose order of steps is that of the seed."""
    return SimulatedLoop(seed)  # type: ignore[abstract]  # the rest of AbstractEventLoop says itself that it is not there
