"""A drill that is told to end, by SIGTERM or SIGINT, ends what it has started before it goes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any


class ToldToEnd(Exception):
    """A signal told the drill to end, and what it had started has ended."""

    def __init__(self, number: int) -> None:
        super().__init__(f"told to end by {signal.Signals(number).name}")
        self.code = 128 + number


def until_told(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """Run a drill, and return its exit code. Raises ``ToldToEnd`` where a signal has cancelled it.

    It is cancelled where it waits and nowhere else, so that no process is started that it does not know. Further
    signals change nothing: ``timeout`` sends its own to the drill and to the group that it is in.
    """
    told: list[int] = []
    try:
        return asyncio.run(_listening(work, told))
    except asyncio.CancelledError:
        raise ToldToEnd(told[0]) from None


async def _listening(work: Callable[[], Coroutine[Any, Any, int]], told: list[int]) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def end(number: int) -> None:
        if not told:
            task.cancel()
        told.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    return await work()
