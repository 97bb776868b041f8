"""The figures of events: what was done with them by this process, and what waits."""

from __future__ import annotations

from collections.abc import Iterator

from mainstay.adapters.observe.metrics import Gauge
from mainstay.kernel.flow.counters import FlowCounters


def flow_gauges(counted: FlowCounters) -> Iterator[Gauge]:
    """Give the figures of events. What waits is counted by one process, and is the same for all."""
    yield Gauge("mainstay_outbox_pending", "Events in the outbox, as they were last counted.", counted.outbox, "max")
    yield Gauge("mainstay_outbox_lag_seconds", "How long the oldest of them has waited.", counted.outbox_lag, "max")
    yield Gauge("mainstay_event_partitions", "Partitions of events that are worked on now.", counted.partitions)
    away = float(counted.broker_away)
    yield Gauge("mainstay_broker_away", "Workers that do not reach the broker now.", away)
    for name, text, value in (
        ("events_relayed", "Events handed on from the outbox.", counted.relayed),
        ("events_taken", "Messages taken from the broker.", counted.taken),
        ("events_refused", "Messages that could not be read, or that the broker does not take.", counted.refused),
        ("events_conflicts", "Steps with events that met another replica, and were done again.", counted.conflicts),
    ):
        yield Gauge(f"mainstay_{name}", text, value, kind="counter")
    for consumer, own in sorted(counted.consumers.items()):
        label = ("consumer", consumer)
        for name, text, value in (
            ("done", "Messages that a consumer has done.", own.done),
            ("failed", "Attempts of a consumer that failed.", own.failed),
            ("dead", "Messages that were given up.", own.dead),
            ("dropped", "Messages that were passed over.", own.dropped),
        ):
            yield Gauge(f"mainstay_events_{name}", text, value, "sum", "counter", label)
        pending = "Messages in the inbox, as they were last counted."
        yield Gauge("mainstay_events_pending", pending, own.pending, "max", "gauge", label)
        yield Gauge("mainstay_events_lag_seconds", "Age of the oldest of them.", own.lag, "max", "gauge", label)
        yield Gauge("mainstay_events_running", "Messages that run now.", own.running, "sum", "gauge", label)
        paused = float(own.paused)
        yield Gauge("mainstay_consumer_paused", "Whether a consumer is paused.", paused, "max", "gauge", label)
