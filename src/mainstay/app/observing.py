"""Who listens to what happens in a process: the log and the figures, put together in one place."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from mainstay.adapters.local.clock import SystemClock
from mainstay.adapters.observe.fanout import Fanout
from mainstay.adapters.observe.log import LEVELS, LogObserver
from mainstay.adapters.observe.metrics import Gauge, Metrics, exposition
from mainstay.adapters.observe.process import LoopLag, process_gauges
from mainstay.adapters.observe.python_log import PythonLog, is_set_up
from mainstay.adapters.observe.sink import Sink
from mainstay.app.admitting import admission_gauges
from mainstay.app.flowing import flow_gauges
from mainstay.app.logs import make_log
from mainstay.app.settings import Settings
from mainstay.inbound.http.problems import STATUS
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

if TYPE_CHECKING:
    from mainstay.app.assembly import Application
    from mainstay.app.certificates import Certificates
    from mainstay.inbound.http.admission import Admission

_GAUGES = frozenset({"rows", "writer_queue", "reader_queue", "wal_pages", "memory_bytes", "redis_away"})
_LARGEST = frozenset({"rows", "wal_pages"})  # each worker sees the same file: adding them up would be wrong


class Observing:
    """The listeners of one process. ``watch`` tells the figures what to ask at scrape time."""

    def __init__(self, log: LogObserver, sink: Sink) -> None:
        self.metrics: Metrics = Metrics(STATUS, self._gauges, self._running, self._turned_away)
        self.observer: Observer = Fanout((log, self.metrics))
        self._sink = sink
        self._lag = LoopLag()
        self._python: PythonLog | None = None
        self._application: Application | None = None
        self.admission: Admission | None = None
        self.certificates: Certificates | None = None

    def watch(self, application: Application) -> None:
        """Read figures of an application from now on; call it on the running loop."""
        self._application = application
        self._lag.start()
        if self.admission is not None:
            self.admission.start()

    def listen(self, settings: Settings) -> None:
        """Tell from now on what is written by Python's ``logging``, unless the team has set that up by itself.

        Of the service's own package from the level of the log on, of others warnings and errors. Call it on the
        running loop.
        """
        if not is_set_up():
            own = settings.service.partition(":")[0].partition(".")[0]
            levels = {own: settings.log.level, "": "warning", **settings.log.loggers}
            self._python = PythonLog(self.observer, "log", {name: LEVELS[level] for name, level in levels.items()})

    def close(self) -> None:
        """Read no more, and let the log's descriptor go."""
        if self._python is not None:
            self._python.close()
        self._lag.stop()
        if self.admission is not None:
            self.admission.stop()
        self._sink.close()

    def render(self, snapshots: Iterable[bytes]) -> bytes:
        """Return the figures of several processes as one text for Prometheus."""
        return exposition(snapshots)

    def _running(self) -> Mapping[str, int]:
        application = self._application
        if application is None:
            return {}
        mounted = (mount.bound for mount in application.mounts)
        return {one.name: one.running for one in (*application.bound.operations, *mounted)}

    def _turned_away(self) -> Mapping[str, int]:
        return {} if self.admission is None else self.admission.figures().turned_away

    def _gauges(self) -> Iterator[Gauge]:
        yield from process_gauges()
        yield from self._lag.gauges()
        yield Gauge(
            "mainstay_log_lines_dropped",
            "Log lines that the reader was too slow for.",
            self._sink.dropped,
            kind="counter",
        )
        if self.certificates is not None:
            yield self.certificates.gauge()
        if self._application is not None:
            yield from _store_gauges(self._application)
            if self._application.worker is not None:
                yield from flow_gauges(self._application.worker.counters)
            yield from _shared_gauges(self._application)
            if self.admission is not None:
                bound = self._application.settings.http.max_concurrency
                yield from admission_gauges(self.admission, bound)


def _store_gauges(application: Application) -> Iterator[Gauge]:
    for name, value in application.ports.store.statistics().items():
        kind = "gauge" if name in _GAUGES else "counter"
        words = f"Of the store: {name.replace('_', ' ')}."
        yield Gauge(f"mainstay_store_{name}", words, float(value), "max" if name in _LARGEST else "sum", kind)


def _shared_gauges(application: Application) -> Iterator[Gauge]:
    for part, counted in application.shared.counted.items():
        for name, value in counted.statistics().items():
            kind = "gauge" if name in _GAUGES else "counter"
            words = f"Of the {part}: {name.replace('_', ' ')}."
            yield Gauge(f"mainstay_{part}_{name}", words, float(value), "sum", kind)


def make_observing(settings: Settings, clock: Clock | None = None) -> Observing:
    """Return the listeners that the settings ask for."""
    return Observing(*make_log(settings, clock or SystemClock()))
