"""Figures of this process: memory, processor time, descriptors, and how late its event loop is."""

from __future__ import annotations

import asyncio
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

from mainstay.adapters.observe.metrics import Gauge

LAG_INTERVAL = 0.5  # seconds between two looks at the loop


def process_gauges() -> Iterator[Gauge]:
    """Give the process's figures under the names that Prometheus client libraries use."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    page = resource.getpagesize()
    try:
        resident = int(Path("/proc/self/statm").read_bytes().split()[1]) * page
        descriptors = len(os.listdir("/proc/self/fd"))
    except OSError:  # no /proc: the peak is what there is
        resident, descriptors = usage.ru_maxrss * 1024, 0
    yield Gauge("process_resident_memory_bytes", "Resident memory.", resident)
    yield Gauge(
        "process_cpu_seconds", "Processor time, user and system.", usage.ru_utime + usage.ru_stime, "sum", "counter"
    )
    yield Gauge("process_open_fds", "Open file descriptors.", descriptors)
    yield Gauge("process_threads", "Threads of Python.", threading.active_count())


class LoopLag:
    """Measures how much later than asked for the event loop calls back; the worst of the last minute is kept."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._due = 0.0
        self._recent: list[float] = []

    def start(self) -> None:
        """Begin to look."""
        self._loop = loop = asyncio.get_running_loop()
        self._due = loop.time() + LAG_INTERVAL
        self._handle = loop.call_at(self._due, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._recent = [*self._recent[-119:], max(0.0, loop.time() - self._due)]
        self._due = loop.time() + LAG_INTERVAL
        self._handle = loop.call_at(self._due, self._look, loop)

    def stop(self) -> None:
        """Look no more."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = self._loop = None

    def gauges(self) -> Iterator[Gauge]:
        """Give the last and the worst lag, in seconds, and how many tasks the loop has."""
        tasks = 0 if self._loop is None else len(asyncio.all_tasks(self._loop))
        yield Gauge("mainstay_loop_tasks", "Tasks of the event loop that have not ended.", tasks)
        last = self._recent[-1] if self._recent else 0.0
        yield Gauge("mainstay_loop_lag_seconds", "How late the event loop was at the last look.", last, "max")
        worst = max(self._recent, default=0.0)
        yield Gauge("mainstay_loop_lag_worst_seconds", "How late it was at worst in the last minute.", worst, "max")
