"""Metrics: counted by plain integers, merged over workers, told in the Prometheus text format."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from mainstay import Principal
from mainstay.adapters.observe.fanout import Fanout
from mainstay.adapters.observe.metrics import Gauge, Metrics, exposition
from mainstay.adapters.observe.process import LoopLag, process_gauges
from mainstay.model.problem import Kind
from mainstay.ports.observer import CallEnded, Notice

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


def test_the_text_is_the_same_for_the_same_figures() -> None:
    worker = metrics()
    worker.observe(call("b", 0.1))
    worker.observe(call("a", 0.1))
    assert exposition([worker.snapshot()]) == exposition([worker.snapshot()])


def test_every_listener_hears_each_observation() -> None:
    workers = metrics(), metrics()
    Fanout(workers).observe(call("a", 1.0))
    assert samples(workers[0]) == samples(workers[1])


def test_the_process_tells_of_itself() -> None:
    found = {g.name: g.value for g in process_gauges()}
    assert found["process_resident_memory_bytes"] > 1e6
    assert found["process_cpu_seconds"] > 0
    assert found["process_open_fds"] > 2


async def test_the_lag_of_the_loop_is_measured() -> None:
    lag = LoopLag()
    assert [g.value for g in lag.gauges()] == [0.0, 0.0]
    lag.start()
    loop = asyncio.get_running_loop()
    lag._due = loop.time() - 0.3
    lag._look(loop)
    lag.stop()
    lag.stop()
    assert all(g.value >= 0.3 for g in lag.gauges())
