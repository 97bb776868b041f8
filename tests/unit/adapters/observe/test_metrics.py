"""Metrics: counted by plain integers, merged over workers, told in the Prometheus text format."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from mainstay import Principal
from mainstay.adapters.observe.fanout import Fanout
from mainstay.adapters.observe.metrics import MAX_ORIGINS, Gauge, Metrics, exposition
from mainstay.adapters.observe.process import LoopLag, process_gauges
from mainstay.adapters.observe.prometheus import counter, gauge, histogram, text_of
from mainstay.model.problem import Kind
from mainstay.ports.observer import CallEnded, Notice, OutgoingEnded

STATUSES = dict.fromkeys(Kind, 500) | {Kind.NOT_FOUND: 404}


def call(operation: str, seconds: float, kind: Kind | None = None) -> CallEnded:
    return CallEnded(
        operation, "rest", "GET", "/", 201, kind, None, seconds, Principal.anonymous, "", "", None, False, 1, None
    )


def metrics(lag: float = 0.0) -> Metrics:
    gauges = [Gauge("mainstay_queue", "Waiting.", 2.0), Gauge("mainstay_lag", "Late.", lag, "max")]
    return Metrics(STATUSES, lambda: gauges, lambda: {"a": 1})


def samples(*workers: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = exposition(worker.snapshot() for worker in workers).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_one_scrape_counts_all_workers() -> None:
    first, second = metrics(0.5), metrics(0.25)
    first.observe(call("a", 0.002))
    first.observe(call("a", 7.0, Kind.NOT_FOUND))
    second.observe(call("a", 0.002))
    second.observe(Notice("warning", "x", "x"))
    found = samples(first, second)
    assert found["mainstay_calls_total", (("operation", "a"), ("status", "201"))] == 2
    assert found["mainstay_calls_total", (("operation", "a"), ("status", "404"))] == 1
    assert found["mainstay_call_seconds_count", (("operation", "a"),)] == 3
    assert found["mainstay_call_seconds_bucket", (("le", "0.0025"), ("operation", "a"))] == 2
    assert found["mainstay_call_seconds_bucket", (("le", "5.0"), ("operation", "a"))] == 2
    assert found["mainstay_call_seconds_bucket", (("le", "+Inf"), ("operation", "a"))] == 3
    assert found["mainstay_calls_in_flight", (("operation", "a"),)] == 2
    assert found["mainstay_notices_total", (("level", "warning"),)] == 1
    assert found["mainstay_queue", ()] == 4
    assert found["mainstay_lag", ()] == 0.5
    assert found["mainstay_workers", ()] == 2


def outgoing(origin: str, status: int | None = 200, code: str | None = None) -> OutgoingEnded:
    return OutgoingEnded("GET", origin, status, code, "", 0.02, 0, 0)


def test_calls_to_others_are_counted_by_place_and_outcome() -> None:
    first, second = metrics(), metrics()
    for _ in range(2):
        first.observe(outgoing("https://a.example:443"))
    second.observe(outgoing("https://a.example:443"))
    second.observe(outgoing("https://a.example:443", None, "http_failed"))
    second.observe(outgoing("https://a.example:443", None, None))
    found = samples(first, second)
    place = ("origin", "https://a.example:443")
    assert found["mainstay_outgoing_calls_total", (place, ("outcome", "200"))] == 3
    assert found["mainstay_outgoing_calls_total", (place, ("outcome", "http_failed"))] == 1
    assert found["mainstay_outgoing_calls_total", (place, ("outcome", "failed"))] == 1
    assert found["mainstay_outgoing_call_seconds_count", (place,)] == 5


def test_places_that_are_called_make_no_series_without_bound() -> None:
    worker = metrics()
    for n in range(MAX_ORIGINS + 10):
        worker.observe(outgoing(f"https://{n}.example:443"))
    worker.observe(outgoing("https://0.example:443"))
    found = samples(worker)
    counts = {labels: n for (name, labels), n in found.items() if name == "mainstay_outgoing_calls_total"}
    assert len(counts) == MAX_ORIGINS + 1
    assert counts[("origin", "others"), ("outcome", "200")] == 10
    assert counts[("origin", "https://0.example:443"), ("outcome", "200")] == 2


def test_the_text_is_the_same_for_the_same_figures() -> None:
    worker = metrics()
    worker.observe(call("b", 0.1))
    worker.observe(call("a", 0.1))
    assert exposition([worker.snapshot()]) == exposition([worker.snapshot()])


def test_the_text_is_that_of_the_prometheus_client() -> None:
    registry = CollectorRegistry()
    registry.register(Given())
    series = [((("operation", "a"),), [("1.0", 2.0), ("+Inf", 3.0)], 4.5)]
    assert text_of(
        [
            counter("calls", "Back\\slash, and\na line.", [((("name", 'a"b\\c\nd'), ("status", "200")), 3)]),
            gauge("lag", "Late.", [((), 0.25)]),
            gauge(
                "odd",
                "Odd.",
                [((("n", "1"),), float("inf")), ((("n", "2"),), float("-inf")), ((("n", "3"),), float("nan"))],
            ),
            gauge("none", "Nothing yet.", []),
            histogram("seconds", "Took.", series),
        ]
    ) == generate_latest(registry)


class Given(Collector):
    """The same figures as the library is told them."""

    def collect(self) -> Iterator[Metric]:
        calls = CounterMetricFamily("calls", "Back\\slash, and\na line.", labels=["name", "status"])
        calls.add_metric(['a"b\\c\nd', "200"], 3)
        yield calls
        yield GaugeMetricFamily("lag", "Late.", value=0.25)
        odd = GaugeMetricFamily("odd", "Odd.", labels=["n"])
        for number, value in enumerate((float("inf"), float("-inf"), float("nan")), start=1):
            odd.add_metric([str(number)], value)
        yield odd
        yield GaugeMetricFamily("none", "Nothing yet.", labels=["n"])
        seconds = HistogramMetricFamily("seconds", "Took.", labels=["operation"])
        seconds.add_metric(["a"], [("1.0", 2.0), ("+Inf", 3.0)], 4.5)
        yield seconds


def test_every_listener_hears_each_observation() -> None:
    workers = metrics(), metrics()
    Fanout(workers).observe(call("a", 1.0))
    assert samples(workers[0]) == samples(workers[1])


def test_the_process_tells_of_itself() -> None:
    found = {g.name: g.value for g in process_gauges()}
    assert found["process_resident_memory_bytes"] > 1e6
    assert found["process_cpu_seconds"] > 0
    assert found["process_open_fds"] > 2
    assert found["process_threads"] >= 1


async def test_the_lag_of_the_loop_is_measured() -> None:
    lag = LoopLag()
    assert [g.value for g in lag.gauges()] == [0.0, 0.0, 0.0]
    lag.start()
    loop = asyncio.get_running_loop()
    lag._due = loop.time() - 0.3
    lag._look(loop)
    found = {g.name: g.value for g in lag.gauges()}
    lag.stop()
    lag.stop()
    assert found.pop("mainstay_loop_tasks") == len(asyncio.all_tasks())
    assert all(value >= 0.3 for value in found.values())


def test_calls_that_were_turned_away_are_counted_apart_and_among_all() -> None:
    first = Metrics(STATUSES, tuple, dict, lambda: {"a": 7})
    second = Metrics(STATUSES, tuple, dict, lambda: {"a": 1, "b": 2})
    first.observe(call("a", 0.002))
    first.observe(call("a", 0.002, Kind.UNAVAILABLE))
    assert first.count() == 2
    found = samples(first, second)
    assert found["mainstay_calls_turned_away_total", (("operation", "a"),)] == 8
    assert found["mainstay_calls_turned_away_total", (("operation", "b"),)] == 2
    assert found["mainstay_calls_total", (("operation", "a"), ("status", "201"))] == 1
    assert found["mainstay_calls_total", (("operation", "a"), ("status", "503"))] == 8
    assert found["mainstay_calls_total", (("operation", "b"), ("status", "503"))] == 2
    assert found["mainstay_call_seconds_count", (("operation", "a"),)] == 2
