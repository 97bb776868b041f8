"""Metrics: plain counters while serving, the Prometheus text format when scraped, one answer for all workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from mainstay.model.problem import Kind
from mainstay.ports.observer import CallEnded, Observation, Observer

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""

_TURNED_AWAY = "503"

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Latency(msgspec.Struct, array_like=True):
    """A histogram: how many calls fell into each bucket, the last being the rest, and the sum of their seconds."""

    counts: list[int]
    total: float = 0.0


class Gauge(msgspec.Struct, array_like=True, frozen=True):
    """A figure read at scrape time. ``merge`` says how workers' figures become one: "sum" or "max"."""

    name: str
    help: str
    value: float
    merge: str = "sum"
    kind: str = "gauge"  # or "counter"


class Snapshot(msgspec.Struct, array_like=True):
    """The figures of one worker."""

    calls: dict[str, dict[str, int]]  # operation -> status -> calls
    latencies: dict[str, Latency]
    running: dict[str, int]
    notices: dict[str, int]  # level -> notices
    gauges: list[Gauge]
    turned_away: dict[str, int] = {}  # operation -> calls that were not begun


class _Figures:
    """The counters of one operation."""

    __slots__ = ("counts", "statuses", "total")

    def __init__(self) -> None:
        self.statuses: dict[int, int] = {}
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0


class Metrics(Observer):
    """Counts calls by operation and status, with their latency, and notices by level.

    ``gauges``, ``running`` and ``turned_away`` are asked at scrape time. Calls that were turned away are told by
    operation, and among the calls as those of status 503; they took no time, and are in no latency. Operations are
    those of the service: a caller cannot make another, so that the number of series is bounded.
    """

    def __init__(
        self,
        statuses: Mapping[Kind, int],
        gauges: Callable[[], Iterable[Gauge]],
        running: Callable[[], Mapping[str, int]],
        turned_away: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._statuses = statuses
        self._gauges = gauges
        self._running = running
        self._turned_away = turned_away
        self._operations: dict[str, _Figures] = {}
        self._notices: dict[str, int] = {}

    def observe(self, observation: Observation) -> None:
        """Count one observation."""
        if type(observation) is not CallEnded:
            level = observation.level  # type: ignore[union-attr]  # the union has two members
            self._notices[level] = self._notices.get(level, 0) + 1
            return
        figures = self._operations.get(observation.operation)
        if figures is None:
            figures = self._operations[observation.operation] = _Figures()
        kind = observation.kind
        status = observation.status if kind is None else self._statuses[kind]
        figures.statuses[status] = figures.statuses.get(status, 0) + 1
        figures.counts[bisect_left(BUCKETS, observation.seconds)] += 1
        figures.total += observation.seconds

    def count(self) -> int:
        """Return how many calls have ended."""
        return sum(sum(one.statuses.values()) for one in self._operations.values())

    def snapshot(self) -> bytes:
        """Return this worker's figures, for ``exposition``."""
        figures = self._operations
        turned_away = dict(self._turned_away())
        calls = {name: {str(s): n for s, n in f.statuses.items()} for name, f in figures.items()}
        for name, count in turned_away.items():
            _add(calls.setdefault(name, {}), {_TURNED_AWAY: count})
        return msgspec.msgpack.encode(
            Snapshot(
                calls,
                {name: Latency(list(f.counts), f.total) for name, f in figures.items()},
                dict(self._running()),
                dict(self._notices),
                list(self._gauges()),
                turned_away,
            )
        )


def exposition(snapshots: Iterable[bytes]) -> bytes:
    """Return the figures of all workers as one Prometheus text, series in a stable order."""
    from prometheus_client import CollectorRegistry, generate_latest

    merged = _merge([msgspec.msgpack.decode(data, type=Snapshot) for data in snapshots])
    registry = CollectorRegistry()
    registry.register(_Collector(merged))
    return generate_latest(registry)


def _merge(snapshots: list[Snapshot]) -> Snapshot:
    merged = Snapshot({}, {}, {}, {}, [], {})
    gauges: dict[str, Gauge] = {}
    for snapshot in snapshots:
        for operation, statuses in snapshot.calls.items():
            _add(merged.calls.setdefault(operation, {}), statuses)
        for operation, latency in snapshot.latencies.items():
            held = merged.latencies.setdefault(operation, Latency([0] * len(latency.counts)))
            held.counts = [a + b for a, b in zip(held.counts, latency.counts, strict=True)]
            held.total += latency.total
        _add(merged.running, snapshot.running)
        _add(merged.notices, snapshot.notices)
        _add(merged.turned_away, snapshot.turned_away)
        for gauge in snapshot.gauges:
            other = gauges.get(gauge.name)
            if other is None:
                gauges[gauge.name] = gauge
                continue
            value = max(gauge.value, other.value) if gauge.merge == "max" else gauge.value + other.value
            gauges[gauge.name] = Gauge(gauge.name, gauge.help, value, gauge.merge, gauge.kind)
    workers = Gauge("mainstay_workers", "Workers that answered this scrape.", len(snapshots))
    merged.gauges = [*gauges.values(), workers]
    return merged


def _add(into: dict[str, int], figures: Mapping[str, int]) -> None:
    for name, value in figures.items():
        into[name] = into.get(name, 0) + value


class _Collector:
    """Gives the figures to prometheus-client's registry."""

    def __init__(self, figures: Snapshot) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Any]:
        """Give one family after another."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        calls = CounterMetricFamily("mainstay_calls", "Calls by operation and status.", labels=["operation", "status"])
        for operation, statuses in sorted(self._figures.calls.items()):
            for status, count in sorted(statuses.items()):
                calls.add_metric([operation, status], count)
        yield calls
        seconds = HistogramMetricFamily("mainstay_call_seconds", "Seconds a call took.", labels=["operation"])
        for operation, latency in sorted(self._figures.latencies.items()):
            seconds.add_metric([operation], _cumulative(latency), latency.total)
        yield seconds
        running = GaugeMetricFamily("mainstay_calls_in_flight", "Calls under way.", labels=["operation"])
        for operation, count in sorted(self._figures.running.items()):
            running.add_metric([operation], count)
        yield running
        away = CounterMetricFamily("mainstay_calls_turned_away", "Calls not begun: overload.", labels=["operation"])
        for operation, count in sorted(self._figures.turned_away.items()):
            away.add_metric([operation], count)
        yield away
        notices = CounterMetricFamily("mainstay_notices", "Notices logged, by level.", labels=["level"])
        for level, count in sorted(self._figures.notices.items()):
            notices.add_metric([level], count)
        yield notices
        for gauge in sorted(self._figures.gauges, key=lambda g: g.name):
            family = CounterMetricFamily if gauge.kind == "counter" else GaugeMetricFamily
            yield family(gauge.name, gauge.help, value=gauge.value)


def _cumulative(latency: Latency) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), latency.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
