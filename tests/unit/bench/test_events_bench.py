"""The bench of events: what is judged, what is told, and what stops it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from bench import __main__ as whole
from bench import postgres
from bench.checks import Unequal
from bench.events import brokers, command, contenders, flow, table
from bench.events.contenders import CONTENDERS, NAMES, OURS, Place
from bench.events.flow import Burst, Steady, fault_of
from bench.events.running import Running
from bench.events.table import Measured
from bench.install import Absent

ONE, TWO = UUID(int=1), UUID(int=2)
ABOUT = {
    "when": "2026-11-30 12:00 UTC",
    "processor": "a processor, 2 cores",
    "system": "Linux",
    "python": "3.11",
    "commit": "abc",
    "rounds": 2,
    "events": 3000,
    "rate": 100,
    "contenders": [{"name": one.name, "title": one.title, "version": "1.0"} for one in CONTENDERS],
    "absent": {"celery on redis": "it did not come up:\nat all"},
}


def measured(rates: tuple[float, ...], cpu: float, p50: float = 5.0, p99: float = 20.0) -> Measured:
    return Measured([Burst(rate, cpu, 0.2, 0.1, 0) for rate in rates], [Steady(p50, p99)])


def test_each_order_has_one_effect() -> None:
    orders = {ONE: 1.0, TWO: 2.0}
    assert fault_of(orders, [ONE, TWO]) == ""
    assert fault_of(orders, [ONE]) == "1 orders have no effect"
    assert fault_of(orders, [ONE, ONE, TWO]) == "1 have more than one"
    assert fault_of({ONE: 1.0}, [TWO]) == "1 orders have no effect, 1 effects have no order"


def test_ours_must_be_ahead_of_all_that_keep_as_much_by_each_figure() -> None:
    found = {
        OURS: measured((1000, 900), 0.5),
        "faststream": measured((500, 600), 1.0, p99=10.0),
        "faststream-plain": measured((2000, 2000), 0.1),
    }
    told = table.gates({"nats": found})
    assert [passed for passed, _ in told] == [True, True, False, False]
    assert told[1][1] == "NATS JetStream: ahead of FastStream by events a second: 1.75 times"
    assert table.gates({"nats": {"faststream": found["faststream"]}}) == []


def test_the_table_tells_ratios_round_by_round_and_what_was_absent() -> None:
    results = {"nats": {OURS: measured((1000, 900), 0.5), "faststream": measured((500, 600), 1.0)}}
    text = table.table(results, ABOUT)
    assert (
        "| FastStream 1.0 | 550 | 1.75 (1.50 to 2.00) | 1.00 | 2.00 (2.00 to 2.00) | 0.20 | 0.10 | 5.0 | 20.0 |" in text
    )
    assert "- celery on redis: absent: it did not come up:\n" in text
    assert table.read(table.document(results, ABOUT)) == (results, ABOUT)


@pytest.mark.parametrize("one", CONTENDERS, ids=NAMES)
def test_a_contender_has_a_process_for_each_side(one: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders.subprocess, "run", lambda *_, **__: None)
    monkeypatch.setattr(contenders.install, "python", lambda name, work: work / name / "bin" / "python")
    data: Any = SimpleNamespace(told="postgresql://shop", url="postgresql://shop")
    for name in one.brokers:
        place = Place(tmp_path, brokers.Broker(name, f"{name}://here"), data, data, 4711)
        parts = one.make(place)
        assert [bool(part.ready) for part in parts] == [False, True]  # who serves, and who has the effects
    assert one.version() not in ("", "?")


def test_without_a_broker_one_service_has_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contenders.subprocess, "run", lambda *_, **__: None)
    data: Any = SimpleNamespace(url="postgresql://both")
    api, worker = CONTENDERS[0].make(Place(tmp_path, brokers.Broker(brokers.NONE, ""), data, data, 4711))
    assert api.environment == worker.environment
    assert api.environment["MAINSTAY_SERVICE"] == "both:service"
    assert (tmp_path / "events-both" / "mainstay.toml").is_file()


class Shop(BaseHTTPRequestHandler):
    """Refuses the first call, and takes all others."""

    seen: list[bytes] = []
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.seen.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503 if len(self.seen) == 1 else 201)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: Any) -> None: ...


def test_a_call_that_is_refused_is_sent_again() -> None:
    class Own(Shop):
        seen: list[bytes] = []

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        words = [sys.executable, "-m", "bench.events.load", str(server.server_port), "5", "500"]
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=flow.ROOT)
        server.shutdown()
        thread.join()
    assert json.loads(done.stdout) == {"refused": 1, "lost": 0}
    assert len({json.loads(body)["sku"] for body in Own.seen}) == 6


def stub(orders: dict[UUID, float], done: list[tuple[UUID, float]]) -> Any:
    """A contender whose orders and effects are known."""
    known = [{}, orders]
    cpu = iter([1.0, 3.0])
    idle = SimpleNamespace(cpu=lambda: 0.0)
    return SimpleNamespace(
        contender=SimpleNamespace(name="one"),
        place=SimpleNamespace(shop=idle, broker=idle, port=1),
        orders=lambda: known.pop(0),
        done=lambda: done,
        effects=lambda: len(done),
        cpu=lambda: next(cpu),
        settle=lambda: None,
        said=lambda: "what it said",
    )


def test_a_round_is_from_the_first_commit_to_the_last_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "_load", lambda *_: 3)
    found = flow.burst(stub({ONE: 10.0, TWO: 11.0}, [(ONE, 10.5), (TWO, 14.0)]), 2)
    assert found == Burst(0.5, 1000.0, 0.0, 0.0, 3)
    assert flow.steady(stub({ONE: 10.0, TWO: 11.0}, [(ONE, 10.5), (TWO, 11.0)]), 2, 100) == Steady(500.0, 500.0)


@pytest.mark.parametrize(
    ("done", "words"),
    [
        ([(ONE, 1.0), (ONE, 1.0)], "1 orders have no effect, 1 have more than one\nwhat it said"),
        ([(ONE, 1.0)], "1 of 2 effects, and no more come"),
    ],
)
def test_a_round_that_is_not_right_stops_the_bench(
    done: list[tuple[UUID, float]], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_load", lambda *_: 0)
    monkeypatch.setattr(flow, "_STALLED", 0.0)
    with pytest.raises(Unequal, match=words):
        flow.burst(stub({ONE: 1.0, TWO: 1.0}, done), 2)


def test_a_process_that_does_not_come_up_is_told_with_its_log(tmp_path: Path) -> None:
    part = contenders.Part("shop", [sys.executable, "-c", "print('no such table')"], tmp_path, {})
    place: Any = SimpleNamespace(work=tmp_path, port=1)
    running = Running(CONTENDERS[0], [part], place)
    with pytest.raises(RuntimeError, match="mainstay does not come up:\n--- shop\nno such table"):
        running.start()
    running.settle()
    running.stop()
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_peer_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        whole.main(["--events", "--peers", "nameko"])
    assert "nameko is not known" in capsys.readouterr().err


def test_a_peer_that_cannot_be_set_up_is_absent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(_: Any) -> Any:
        raise Absent("no such package")

    monkeypatch.setattr(command, "_place", lambda *_: SimpleNamespace(work=tmp_path, port=1))
    absent: dict[str, str] = {}
    peer = SimpleNamespace(name="celery", make=missing)
    server: Any = None
    with command._started([peer], brokers.Broker("redis", ""), server, absent) as running:  # type: ignore[list-item]  # doubles
        assert running == []
    assert absent == {"celery on redis": "no such package"}
    ours = SimpleNamespace(name=OURS, make=missing)
    with pytest.raises(Absent), command._started([ours], brokers.Broker("redis", ""), server, absent):  # type: ignore[list-item]  # doubles
        pass


def test_a_server_with_settings_is_one_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(postgres.NAMED, "postgresql://bench@127.0.0.1:1/postgres")

    def missing() -> Path:
        raise postgres.Missing("none is installed")

    monkeypatch.setattr(postgres, "binaries", missing)
    with pytest.raises(postgres.Missing, match="none is installed"), postgres.cluster(track_commit_timestamp="on"):
        pass


@pytest.mark.parametrize(("rate", "code"), [(1000.0, 0), (1.0, 1)])
def test_the_bench_ends_as_its_gates_do(
    rate: float, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = {"nats": {OURS: measured((rate,), 0.5, 1.0, 1.0), "faststream": measured((500,), 1.0)}}
    monkeypatch.setattr(command, "_run", lambda *_: (results, ABOUT))
    monkeypatch.setattr(command, "WORK", tmp_path)
    assert whole.main(["--events", "--quick", "--broker", "nats"]) == code
    assert (tmp_path / "results" / "events.md").read_text() in capsys.readouterr().out
    assert table.read((tmp_path / "results" / "events.json").read_text())[0] == results


@pytest.mark.parametrize("fault", [Unequal("one lost 3"), RuntimeError("no server")])
def test_a_bench_that_cannot_run_says_why(
    fault: Exception, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any) -> Any:
        raise fault

    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr(command, "WORK", tmp_path)
    assert whole.main(["--events", "--quick"]) == 2
    assert str(fault) in capsys.readouterr().err
