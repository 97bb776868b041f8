"""What an application takes on at a time: the settings of overload, and what they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from mainstay.adapters.observe.metrics import Gauge, Metrics
from mainstay.inbound.http.admission import Admission, Bounds

if TYPE_CHECKING:
    from mainstay.app.assembly import Application


def make_admission(application: Application, metrics: Metrics) -> Admission:
    """Return what stands before the door of an application."""
    http, ports = application.settings.http, application.ports
    return Admission(
        Bounds(calls=http.max_concurrency, queue=http.queue_target_ms / 1000),
        clock=ports.clock,
        observer=ports.observer,
        entropy=ports.entropy,
        delay=partial(ports.store.delay, write=True),
        read_delay=partial(ports.store.delay, write=False),
        count=metrics.count,
    )


def admission_gauges(admission: Admission, bound: int) -> Iterator[Gauge]:
    """Give the figures of admission. ``bound`` is that of calls in flight."""
    found = admission.figures()
    yield Gauge("mainstay_overloaded", "Workers that turn calls away now.", float(found.overloaded))
    yield Gauge("mainstay_calls_waiting", "Calls in flight that wait for something.", float(found.in_flight))
    yield Gauge("mainstay_calls_waiting_limit", "How many calls may wait.", float(bound))
    yield Gauge("mainstay_queue_seconds", "How long what is ready waits for the event loop.", found.queue, "max")
    yield Gauge(
        "mainstay_store_queue_seconds", "How long a call was passed over by the store.", found.store_queue, "max"
    )
