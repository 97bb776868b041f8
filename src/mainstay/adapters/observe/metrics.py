"""Metrics: plain counters while serving, the Prometheus text format when scraped, one answer for all workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import add
from types import MappingProxyType
from typing import Any

import msgspec

from mainstay.adapters.observe.prometheus import Family, Labels, counter, gauge, histogram, text_of
from mainstay.model.problem import Kind
from mainstay.ports.observer import CallEnded, Notice, Observation, Observer, OutgoingEnded

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the latency histogram, in seconds."""

_TURNED_AWAY = "503"
MAX_ORIGINS = 64
"""How many places that are called are told apart; callers may name them, and so there could be any number."""
_OTHERS = "others"
_MERGES: Mapping[str, Callable[[float, float], float]] = MappingProxyType({"sum": add, "max": max, "min": min})


class Latency(msgspec.Struct, array_like=True):
    """A histogram: how many calls fell into each bucket, the last being the rest, and the sum of their seconds."""

    counts: list[int]
    total: float = 0.0


class Gauge(msgspec.Struct, array_like=True, frozen=True):
    """A figure read at scrape time. ``merge`` says how workers' figures become one: "sum", "max" or "min"."""

    name: str
    help: str
    value: float
    merge: str = "sum"
    kind: str = "gauge"  # or "counter"
    label: tuple[str, str] | None = None  # its name and value, where there are several figures of one name


class Snapshot(msgspec.Struct, array_like=True):
    """The figures of one worker."""

    calls: dict[str, dict[str, int]]  # operation -> status -> calls
    latencies: dict[str, Latency]
    running: dict[str, int]
    notices: dict[str, int]  # level -> notices
    gauges: list[Gauge]
    turned_away: dict[str, int] = {}  # operation -> calls that were not begun
    workers: int = 1
    outgoing: dict[str, dict[str, int]] = {}  # origin -> status or problem -> calls to it
    outgoing_latencies: dict[str, Latency] = {}


class _Figures:
    """The counters of one operation, or of one place that is called."""

    __slots__ = ("counts", "statuses", "total")

    def __init__(self) -> None:
        self.statuses: dict[int | str, int] = {}
        self.counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def count(self, status: int | str, seconds: float) -> None:
        """Count one call."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def told(self) -> dict[str, int]:
        """Return how many calls had each status."""
        return {str(status): count for status, count in self.statuses.items()}

    def latency(self) -> Latency:
        """Return how long they took."""
        return Latency(list(self.counts), self.total)


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
        self._outgoing: dict[str, _Figures] = {}
        self._notices: dict[str, int] = {}

    def observe(self, observation: Observation) -> None:
        """Count one observation."""
        if type(observation) is not CallEnded:
            self._other(observation)  # type: ignore[arg-type]  # the union has three members
            return
        figures = self._operations.get(observation.operation)
        if figures is None:
            figures = self._operations[observation.operation] = _Figures()
        kind = observation.kind
        status = observation.status if kind is None else self._statuses[kind]
        figures.statuses[status] = figures.statuses.get(status, 0) + 1
        figures.counts[bisect_left(BUCKETS, observation.seconds)] += 1
        figures.total += observation.seconds

    def _other(self, observation: OutgoingEnded | Notice) -> None:
        if isinstance(observation, Notice):
            self._notices[observation.level] = self._notices.get(observation.level, 0) + 1
            return
        origin = observation.origin
        if origin not in self._outgoing and len(self._outgoing) >= MAX_ORIGINS:
            origin = _OTHERS
        figures = self._outgoing.setdefault(origin, _Figures())
        figures.count(observation.status or observation.code or "failed", observation.seconds)

    def count(self) -> int:
        """Return how many calls have ended. It may be asked from another thread."""
        return sum(sum(one.statuses.values()) for one in tuple(self._operations.values()))

    def snapshot(self) -> bytes:
        """Return this worker's figures, for ``exposition``."""
        figures = self._operations
        turned_away = dict(self._turned_away())
        calls = {name: f.told() for name, f in figures.items()}
        for name, count in turned_away.items():
            _add(calls.setdefault(name, {}), {_TURNED_AWAY: count})
        return msgspec.msgpack.encode(
            Snapshot(
                calls,
                {name: f.latency() for name, f in figures.items()},
                dict(self._running()),
                dict(self._notices),
                list(self._gauges()),
                turned_away,
                outgoing={origin: f.told() for origin, f in self._outgoing.items()},
                outgoing_latencies={origin: f.latency() for origin, f in self._outgoing.items()},
            )
        )


def exposition(snapshots: Iterable[bytes]) -> bytes:
    """Return the figures of all workers as one Prometheus text, series in a stable order."""
    return text_of(_families(_merge([msgspec.msgpack.decode(data, type=Snapshot) for data in snapshots])))


def departed(snapshots: Iterable[bytes]) -> bytes:
    """Return the snapshots of workers that have left as one: what they counted, and nothing of the moment."""
    merged = _merge([msgspec.msgpack.decode(data, type=Snapshot) for data in snapshots])
    merged.running, merged.workers = {}, 0
    merged.gauges = [one for one in merged.gauges if one.kind == "counter"]
    return msgspec.msgpack.encode(merged)


def _merge(snapshots: list[Snapshot]) -> Snapshot:
    merged = Snapshot({}, {}, {}, {}, [], {})
    gauges: dict[Any, Gauge] = {}
    for snapshot in snapshots:
        _add_calls(merged.calls, snapshot.calls)
        _add_calls(merged.outgoing, snapshot.outgoing)
        _add_latencies(merged.latencies, snapshot.latencies)
        _add_latencies(merged.outgoing_latencies, snapshot.outgoing_latencies)
        _add(merged.running, snapshot.running)
        _add(merged.notices, snapshot.notices)
        _add(merged.turned_away, snapshot.turned_away)
        for one in snapshot.gauges:
            other = gauges.get((one.name, one.label))
            value = one.value if other is None else _MERGES[one.merge](one.value, other.value)
            gauges[one.name, one.label] = msgspec.structs.replace(one, value=value)
    workers = Gauge("mainstay_workers", "Workers that answered this scrape.", sum(one.workers for one in snapshots))
    merged.gauges = [*gauges.values(), workers]
    return merged


def _add(into: dict[str, int], figures: Mapping[str, int]) -> None:
    for name, value in figures.items():
        into[name] = into.get(name, 0) + value


def _add_calls(into: dict[str, dict[str, int]], calls: Mapping[str, Mapping[str, int]]) -> None:
    for name, statuses in calls.items():
        _add(into.setdefault(name, {}), statuses)


def _add_latencies(into: dict[str, Latency], latencies: Mapping[str, Latency]) -> None:
    for name, latency in latencies.items():
        held = into.setdefault(name, Latency([0] * len(latency.counts)))
        held.counts = [a + b for a, b in zip(held.counts, latency.counts, strict=True)]
        held.total += latency.total


def _families(figures: Snapshot) -> Iterator[Family]:
    calls = _by_status("operation", "status", figures.calls)
    yield counter("mainstay_calls", "Calls by operation and status.", calls)
    yield histogram("mainstay_call_seconds", "Seconds a call took.", _timed("operation", figures.latencies))
    outgoing = _by_status("origin", "outcome", figures.outgoing)
    yield counter("mainstay_outgoing_calls", "Calls to other services, by status or problem.", outgoing)
    seconds = _timed("origin", figures.outgoing_latencies)
    yield histogram("mainstay_outgoing_call_seconds", "Seconds a call to another service took.", seconds)
    yield gauge("mainstay_calls_in_flight", "Calls under way.", _labelled("operation", figures.running))
    yield counter(
        "mainstay_calls_turned_away", "Calls not begun: overload.", _labelled("operation", figures.turned_away)
    )
    yield counter("mainstay_notices", "Notices logged, by level.", _labelled("level", figures.notices))
    for _, group in groupby(sorted(figures.gauges, key=_place), key=lambda each: each.name):
        same = list(group)
        samples = [(() if one.label is None else (one.label,), one.value) for one in same]
        yield (counter if same[0].kind == "counter" else gauge)(same[0].name, same[0].help, samples)


def _place(one: Gauge) -> tuple[str, tuple[str, str]]:
    return one.name, one.label or ("", "")


def _by_status(label: str, outcome: str, figures: Mapping[str, Mapping[str, int]]) -> Iterator[tuple[Labels, float]]:
    for name, statuses in sorted(figures.items()):
        for status, count in sorted(statuses.items()):
            yield ((label, name), (outcome, status)), count


def _timed(label: str, latencies: Mapping[str, Latency]) -> Iterator[tuple[Labels, Sequence[tuple[str, float]], float]]:
    for name, latency in sorted(latencies.items()):
        yield ((label, name),), _cumulative(latency), latency.total


def _labelled(label: str, figures: Mapping[str, int]) -> Iterator[tuple[Labels, float]]:
    return ((((label, name),), count) for name, count in sorted(figures.items()))


def _cumulative(latency: Latency) -> list[tuple[str, float]]:
    total = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip((*map(str, BUCKETS), "+Inf"), latency.counts, strict=True):
        total += count
        buckets.append((bound, float(total)))
    return buckets
