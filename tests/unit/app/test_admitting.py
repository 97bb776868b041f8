"""What an application takes on at a time, and what it tells of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mainstay.adapters.observe.metrics import Metrics
from mainstay.app.admitting import admission_gauges, make_admission
from mainstay.app.settings import load


def application(folder: Path, **flags: Any) -> Any:
    ports = SimpleNamespace(
        clock=SimpleNamespace(monotonic=lambda: 0.0),
        observer=None,
        entropy=None,
        store=SimpleNamespace(delay=lambda: 0.0),
    )
    return SimpleNamespace(settings=load(folder, environ={}, flags=flags, profile="test"), ports=ports)


def test_the_figures_of_an_application_at_rest(tmp_path: Path) -> None:
    made = make_admission(application(tmp_path, **{"http.max_concurrency": 7}), Metrics({}, tuple, dict))
    found = {one.name: one for one in admission_gauges(made, 7)}
    assert {name: one.value for name, one in found.items()} == {
        "mainstay_overloaded": 0.0,
        "mainstay_calls_waiting": 0.0,
        "mainstay_calls_waiting_limit": 7.0,
        "mainstay_queue_seconds": 0.0,
        "mainstay_store_queue_seconds": 0.0,
    }
    assert {name for name, one in found.items() if one.merge == "max"} == {
        "mainstay_queue_seconds",
        "mainstay_store_queue_seconds",
    }


def test_settings_reach_the_admission(tmp_path: Path) -> None:
    flags = {"http.max_concurrency": 7, "http.queue_target_ms": 50.0}
    bounds = make_admission(application(tmp_path, **flags), Metrics({}, tuple, dict))._bounds
    assert (bounds.calls, bounds.queue) == (7, 0.05)
