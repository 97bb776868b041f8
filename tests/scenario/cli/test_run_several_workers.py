"""``mainstay run --workers``: one service, whatever happens to one of its processes."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mainstay.app.rundir import RunDirectory


def pids(service: Any, url: str, calls: int = 40) -> set[int]:
    return {service.request("/pid", base=url)[1] for _ in range(calls)}


def test_a_killed_worker_is_followed_by_another_and_no_call_fails(run: Any, waiting: Callable[..., Any]) -> None:
    service = run("--workers", "2")
    url = service.facts()["url"]
    before = pids(service, url)
    assert before == set(service.workers())
    assert len(before) == 2
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    waiting(lambda: victim not in service.workers() and len(service.workers()) == 2)
    after = waiting(lambda: len(found := pids(service, url)) == 2 and found)
    assert victim not in after
    assert "was killed by SIGKILL" in service.said()
    assert waiting(lambda: service.request("/ready", base=url)[1]["checks"][2] == {"name": "workers", "state": "ok"})


def test_one_limit_covers_all_workers(run: Any) -> None:
    service = run("--workers", "2")
    url = service.facts()["url"]
    statuses = [service.request("/rare", base=url)[0] for _ in range(16)]
    assert statuses.count(200) == 5
    assert statuses.count(429) == 11


def test_one_scrape_counts_all_workers(run: Any) -> None:
    service = run("--workers", "2")
    url = service.facts()["url"]
    assert len(pids(service, url, 40)) == 2
    for _ in range(3):
        text = service.request("/metrics", base=url)[1]
        assert 'mainstay_calls_total{operation="get_pid",status="200"} 40.0' in text
        assert "mainstay_workers 2.0" in text


def test_a_supervisor_that_is_killed_takes_its_workers_along(run: Any, waiting: Callable[..., Any]) -> None:
    service = run("--workers", "2")
    service.facts()
    workers = service.workers()
    assert len(workers) == 2
    service.process.kill()
    service.process.wait()
    waiting(lambda: not any(alive(pid) for pid in workers))
    RunDirectory().close()  # the next start removes what the dead left behind


def test_it_ends_by_ctrl_c_at_the_terminal(run: Any) -> None:
    """The terminal signals the whole group: the workers leave it to their supervisor."""
    service = run("--workers", "2")
    service.facts()
    workers = service.workers()
    os.killpg(service.process.pid, signal.SIGINT)
    assert service.wait() == 0
    assert not any(alive(pid) for pid in workers)
    assert "KeyboardInterrupt" not in service.said()


def test_a_worker_that_is_stuck_is_killed_in_the_end(run: Any) -> None:
    service = run("--workers", "2", MAINSTAY_HTTP_DRAIN_SECONDS="0.5")
    service.facts()
    victim = service.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    service.process.send_signal(signal.SIGTERM)
    assert service.wait() == 0
    assert not alive(victim)
    assert "did not end in time" in service.said()


def test_reloading_shows_an_error_and_waits_until_it_is_mended(
    run: Any, project: Path, waiting: Callable[..., Any]
) -> None:
    code = project / "team_service.py"
    service = run("--reload")
    url = service.facts()["url"]
    assert service.request("/version", base=url) == (200, 1)
    code.write_text(code.read_text().replace("return 1", "return 2"))
    waiting(lambda: answer(service, url) == (200, 2))
    good = code.read_text()
    code.write_text(good.replace("return 2", "return (2"))
    waiting(lambda: "team_service.py:" in service.said() and "waiting for the code to be mended" in service.said())
    code.write_text(good.replace("return 2", "return 3"))
    waiting(lambda: answer(service, url) == (200, 3))
    service.process.send_signal(signal.SIGINT)
    assert service.wait() == 0


def answer(service: Any, url: str) -> Any:
    with contextlib.suppress(OSError):
        return service.request("/version", base=url)
    return None


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
