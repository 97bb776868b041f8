"""Watching, in development, for a transaction that is held open while a use case waits on the outside world.

A command that has touched a repository keeps others from writing until it ends. Work that waits belongs before the
first touch of a repository, or after the commit, in a consumer.
"""

from __future__ import annotations

import types
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any

from mainstay.model.operation import Operation
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Notice, Observer
from mainstay.ports.unit_of_work import UnitOfWork

_OURS = __file__.removesuffix("kernel/held.py")

Run = Callable[[UnitOfWork, Mapping[str, Any]], Awaitable[Any]]


def runner(operation: Operation, clock: Clock, observer: Observer, seconds: float | None) -> Run:
    """Return what runs the use case of an operation; ``seconds`` is None where nothing is watched."""
    if seconds is None:
        return _plain(operation.function)
    return _watched(operation, clock, observer, seconds)


def _plain(function: Callable[..., Any]) -> Run:
    """Return what runs a use case, and watches nothing."""

    def run(unit: UnitOfWork, arguments: Mapping[str, Any]) -> Awaitable[Any]:  # noqa: ARG001 - one form for both
        made: Awaitable[Any] = function(**arguments)
        return made

    return run


def _watched(operation: Operation, clock: Clock, observer: Observer, seconds: float) -> Run:
    """Return what runs a use case, and notes each wait of more than ``seconds`` with an open transaction."""
    function = operation.function

    def run(unit: UnitOfWork, arguments: Mapping[str, Any]) -> Awaitable[Any]:
        return _Watched(function(**arguments), unit, operation, clock, observer, seconds)

    return run


class _Watched:
    """Steps a use case as ``await`` does, and looks at the time that it waits."""

    def __init__(
        self, running: Any, unit: UnitOfWork, operation: Operation, clock: Clock, observer: Observer, seconds: float
    ) -> None:
        self._running = running
        self._unit = unit
        self._operation = operation
        self._clock = clock
        self._observer = observer
        self._seconds = seconds

    def __await__(self) -> Generator[Any, Any, Any]:
        running, value, error = self._running, None, None
        while True:
            try:
                waiting = running.send(value) if error is None else running.throw(error)
            except StopIteration as stop:
                return stop.value
            line = _waits_at(running) if self._unit.begun else None
            since = self._clock.monotonic()
            value, error = None, None
            try:
                value = yield waiting
            except BaseException as thrown:  # passed on below
                error = thrown
            held = self._clock.monotonic() - since
            if line is not None and held > self._seconds:
                self._note(line, held)

    def _note(self, line: str, held: float) -> None:
        name = self._operation.name
        text = f"{name} kept its transaction open for {held:.2f} s while it waited at {line}"
        facts = {"operation": name, "line": line, "hint": "wait before the first repository, or after the commit"}
        self._observer.observe(Notice("warning", "transaction_held", text, facts))


def _waits_at(running: Any) -> str | None:
    """Return the line of the use case that waits, or None where it is our own code that does, or is waited for."""
    inner = running
    while isinstance(inner, types.CoroutineType):
        if inner.cr_code.co_filename.startswith(_OURS):
            return None
        inner = inner.cr_await
    return f"{running.cr_frame.f_code.co_filename}:{running.cr_frame.f_lineno}"
