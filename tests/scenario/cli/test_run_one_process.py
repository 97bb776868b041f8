"""``mainstay run`` with one process: it announces itself, serves, drains, ends, and begins again at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_and_ends_cleanly_and_the_next_one_keeps_port_and_data(run: Any, number: int) -> None:
    first = run()
    url = first.facts()["url"]
    assert first.request("/notes", "POST", {"text": "kept"})[0] == 201
    assert first.request("/health") == (200, {"status": "alive"})
    first.process.send_signal(number)
    assert first.wait() == 0
    port = url.rpartition(":")[2]
    second = run("--port", port)
    assert second.facts()["url"] == url
    status, problem = second.request("/notes", "POST", {"text": "kept"})
    assert (status, problem["code"]) == (409, "unique_conflict")
    assert "Traceback" not in second.said()


def test_a_call_in_flight_is_answered_before_the_end(run: Any, waiting: Callable[..., Any]) -> None:
    service = run()
    url = service.facts()["url"]
    answers: list[tuple[int, Any]] = []
    caller = threading.Thread(target=lambda: answers.append(service.request("/slow", base=url)))
    caller.start()
    waiting(lambda: 'in_flight{operation="get_slowly"} 1.0' in service.request("/metrics", base=url)[1])
    service.process.send_signal(signal.SIGTERM)
    caller.join(20)
    assert answers == [(200, "done")]
    assert service.wait() == 0


def test_readiness_is_refused_while_calls_are_still_taken(run: Any, waiting: Callable[..., Any]) -> None:
    service = run(MAINSTAY_HTTP_DRAIN_DELAY="2")
    url = service.facts()["url"]
    assert service.request("/ready", base=url)[0] == 200
    service.process.send_signal(signal.SIGTERM)
    waiting(lambda: service.request("/ready", base=url)[0] == 503)
    assert service.request("/version", base=url) == (200, 1)
    assert service.wait() == 0


def test_a_second_server_is_refused_in_plain_words(run: Any, mainstay: Callable[..., Any]) -> None:
    port = run().facts()["url"].rpartition(":")[2]
    for workers in ("1", "2"):
        second = mainstay("run", "--port", port, "--workers", workers)
        assert second.returncode == 1
        assert f"another server listens on 127.0.0.1:{port} already" in second.stderr
        assert "--port" in second.stderr
        assert "Traceback" not in second.stderr


def test_metrics_documents_and_reasons_are_public_in_development(run: Any) -> None:
    service = run()
    assert "mainstay_calls_total" in service.request("/metrics")[1]
    assert service.request("/openapi.json")[1]["openapi"].startswith("3.1")
    assert service.request("/ready")[1]["checks"]


def test_production_shows_them_on_the_admin_address_only(run: Any, mainstay: Callable[..., Any]) -> None:
    environ = {
        "MAINSTAY_PROFILE": "production",
        "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
        "MAINSTAY_ADMIN_PORT": "0",
        "MAINSTAY_HTTP_DRAIN_DELAY": "0",
    }
    migrated = mainstay("db", "plan", MAINSTAY_DATABASE_CREATE="false")
    assert migrated.returncode == 0, migrated.stderr
    assert mainstay("db", "migrate", **environ).returncode == 0
    service = run(**environ)
    facts = service.facts()
    for path in ("/metrics", "/docs", "/openapi.json", "/asyncapi.json"):
        assert service.request(path)[0] == 404
        assert service.request(path, base=facts["admin"])[0] == 200
    assert service.request("/ready") == (200, {"status": "ready"})
    assert service.request("/ready", base=facts["admin"])[1]["checks"]
    assert service.request("/notes", "POST", {"text": "x"}, base=facts["admin"])[0] == 404


def test_settings_that_are_wrong_are_all_told_at_once(mainstay: Callable[..., Any]) -> None:
    ended = mainstay("run", MAINSTAY_HTTP_HOST="0.0.0.0", MAINSTAY_HTTP_PROT="1", MAINSTAY_LOG_LEVEL="loud")
    assert ended.returncode == 1
    assert "3 settings are wrong in the development profile" in ended.stderr
    for key in ("http.host (MAINSTAY_HTTP_HOST)", "MAINSTAY_HTTP_PROT", "log.level (MAINSTAY_LOG_LEVEL)"):
        assert key in ended.stderr
    assert "Traceback" not in ended.stderr


def test_faults_of_the_declarations_are_all_told_with_their_lines(project: Path, mainstay: Callable[..., Any]) -> None:
    service = project / "team_service.py"
    broken = service.read_text().replace('GET /pid", allow=anyone', 'GET /pid"').replace('GET /slow"', 'GET /version"')
    service.write_text(broken)
    for workers in ("1", "2"):
        ended = mainstay("run", "--workers", workers)
        assert ended.returncode == 1
        assert ended.stderr.count("2 things are to be mended") == 1
        assert ended.stderr.count("team_service.py:") >= 2
        assert "get_pid" in ended.stderr
        assert "Traceback" not in ended.stderr
