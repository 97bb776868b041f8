"""One service by each of the servers: the same answers, one log, one limit, the same end; HTTP/2 where it is spoken."""

from __future__ import annotations

import http.client
import json
import signal
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from certificates import make_pair

SERVERS = ("native", "granian", "uvicorn")


def log_lines(service: Any) -> list[str]:
    """What was written beside the announcement, which is over several lines."""
    said: str = service.said()
    start = said.index('{\n  "admin"')
    end = said.index("\n}\n", start) + 3
    return [line for line in (said[:start] + said[end:]).splitlines() if line]


@pytest.mark.parametrize("server", SERVERS)
def test_each_server_keeps_every_promise_of_run(run: Any, waiting: Callable[..., Any], server: str) -> None:
    service = run("--workers", "2", "--server", server, MAINSTAY_HTTP_QUEUE_TARGET_MS="0")
    url = service.facts()["url"]
    assert service.request("/notes", "POST", {"text": "kept"}, base=url)[0] == 201
    status, problem = service.request("/notes", "POST", {"text": "kept"}, base=url)
    assert (status, problem["code"]) == (409, "unique_conflict")
    statuses = [service.request("/rare", base=url)[0] for _ in range(9)]
    assert (statuses.count(200), statuses.count(429)) == (5, 4)
    assert len({service.request("/pid", base=url)[1] for _ in range(40)}) == 2
    text = service.request("/metrics", base=url)[1]
    assert 'mainstay_calls_total{operation="get_pid",status="200"} 40' in text
    assert "mainstay_workers 2" in text
    assert service.request("/ready", base=url)[1]["checks"][2] == {"name": "workers", "state": "ok"}
    answers: list[Any] = []
    caller = threading.Thread(target=lambda: answers.append(service.request("/slow", base=url)))
    caller.start()
    waiting(lambda: 'in_flight{operation="get_slowly"} 1' in service.request("/metrics", base=url)[1])
    service.process.send_signal(signal.SIGTERM)
    caller.join(20)
    assert answers == [(200, "done")]
    assert service.wait() == 0
    assert {json.loads(line)["event"] for line in log_lines(service)} == {"call"}


@pytest.mark.parametrize("server", SERVERS)
def test_no_answer_names_the_server(run: Any, server: str) -> None:
    host = run("--server", server).facts()["url"].removeprefix("http://")
    for path in ("/version", "/nothing", "/notes"):
        connection = http.client.HTTPConnection(host, timeout=20)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert not answer.getheader("Server")
        assert len(answer.headers.get_all("Date", [])) == 1
        connection.close()


@pytest.mark.parametrize("server", SERVERS)
def test_a_rolling_restart_brings_new_code_and_drops_no_connection(
    run: Any, project: Path, waiting: Callable[..., Any], server: str
) -> None:
    code = project / "team_service.py"
    service = run("--workers", "2", "--server", server, MAINSTAY_HTTP_DRAIN_SECONDS="16")
    url = service.facts()["url"]
    before = set(service.workers())
    kept = [http.client.HTTPConnection(url.removeprefix("http://"), timeout=20) for _ in range(4)]
    assert [ask(one, "/version") for one in kept] == [(200, None, b"1")] * 4
    slow = threading.Thread(target=lambda: answers.append(service.request("/slow", base=url)))
    answers: list[Any] = []
    slow.start()
    waiting(lambda: 'in_flight{operation="get_slowly"} 1' in service.request("/metrics", base=url)[1])
    code.write_text(code.read_text().replace("return 1", "return 2"))
    service.process.send_signal(signal.SIGHUP)
    waiting(lambda: '"restarted"' in service.said())
    assert [service.request("/version", base=url) for _ in range(9)] == [(200, 2)] * 9
    assert [ask(one, "/version") for one in kept] == [(200, "close", b"1")] * 4
    slow.join(20)
    assert answers == [(200, "done")]
    waiting(lambda: len(service.workers()) == 2 and not before & set(service.workers()))
    assert (
        'operation="get_version",status="200"} 17' in service.request("/metrics", base=url)[1]
    )  # nothing is forgotten
    for one in kept:
        one.close()


def ask(connection: http.client.HTTPConnection, path: str) -> tuple[int, str | None, bytes]:
    connection.request("GET", path)
    answer = connection.getresponse()
    return answer.status, answer.getheader("Connection"), answer.read()


def test_code_that_cannot_start_leaves_the_service_as_it_is(
    run: Any, project: Path, waiting: Callable[..., Any]
) -> None:
    code = project / "team_service.py"
    service = run("--workers", "2")
    url = service.facts()["url"]
    before = set(service.workers())
    good = code.read_text()
    for number, bad in enumerate(
        (good.replace("return 1", "return (1"), good.replace(", allow=anyone)\nasync def get_v", ")\nasync def get_v")),
        1,
    ):
        code.write_text(bad)
        service.process.send_signal(signal.SIGHUP)
        waiting(lambda number=number: service.said().count('"restart_failed"') == number)
        assert set(service.workers()) == before
        assert service.request("/version", base=url) == (200, 1)
        assert service.request("/ready", base=url)[0] == 200
    assert "team_service.py:" in service.said()
    code.write_text(good.replace("return 1", "return 3"))
    service.process.send_signal(signal.SIGHUP)
    waiting(lambda: '"restarted"' in service.said())
    assert service.request("/version", base=url) == (200, 3)


def test_one_worker_of_production_is_followed_as_well(
    run: Any, mainstay: Callable[..., Any], waiting: Callable[..., Any]
) -> None:
    environ = {
        "MAINSTAY_PROFILE": "production",
        "MAINSTAY_SEALING_SECRET": "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU",
        "MAINSTAY_ADMIN_PORT": "0",
        "MAINSTAY_HTTP_DRAIN_DELAY": "0",
    }
    assert mainstay("db", "plan", MAINSTAY_DATABASE_CREATE="false").returncode == 0
    assert mainstay("db", "migrate", **environ).returncode == 0
    service = run(**environ)
    url = service.facts()["url"]
    (first,) = service.workers()
    assert service.request("/pid", base=url) == (200, first)
    service.process.send_signal(signal.SIGHUP)
    waiting(lambda: '"restarted"' in service.said())
    status, second = service.request("/pid", base=url)
    assert status == 200
    assert second != first
    assert service.request("/metrics", base=service.facts()["admin"])[0] == 200
    waiting(lambda: service.workers() == [second])
    service.process.send_signal(signal.SIGTERM)
    assert service.wait() == 0


@pytest.mark.parametrize("secure", [False, True])
def test_granian_speaks_http_2(run: Any, project: Path, secure: bool) -> None:
    environ: dict[str, str] = {}
    options: dict[str, Any] = {"http1": False, "http2": True}
    if secure:
        pair = make_pair(project)
        environ = {"MAINSTAY_HTTP_TLS_CERTIFICATE": str(pair.certificate), "MAINSTAY_HTTP_TLS_KEY": str(pair.key)}
        options = {"http2": True, "verify": ssl.create_default_context(cafile=pair.certificate)}
    service = run("--server", "granian", **environ)
    url = service.facts()["url"]
    assert url.startswith("https:" if secure else "http:")
    with httpx2.Client(base_url=url, timeout=20, **options) as client:
        made = client.post("/notes", json={"text": "over two"})
        assert (made.http_version, made.status_code) == ("HTTP/2", 201)
        again = client.post("/notes", json={"text": "over two"})
        assert (again.status_code, again.json()["code"]) == (409, "unique_conflict")
        streamed = client.post(
            "/notes", content=iter([b'{"text":', b'"in parts"}']), headers={"Content-Type": "application/json"}
        )
        assert (streamed.http_version, streamed.status_code) == ("HTTP/2", 201)
        assert [client.get("/version").json() for _ in range(20)] == [1] * 20
        service.process.send_signal(signal.SIGTERM)
        assert service.wait() == 0
