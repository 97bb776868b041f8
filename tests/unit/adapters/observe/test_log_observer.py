"""The structured log: one JSON line an observation, never a secret, never a wait."""

from __future__ import annotations

import json
import os
from asyncio import CancelledError
from pathlib import Path
from uuid import UUID

import pytest

from mainstay import Principal, Secret
from mainstay.adapters.observe.log import LogObserver
from mainstay.adapters.observe.sink import Sink
from mainstay.model.problem import Kind
from mainstay.ports.log import Log
from mainstay.ports.observer import CallEnded, Notice, OutgoingEnded
from mainstay.testing.fixed import FixedClock

STATUSES = dict.fromkeys(Kind, 500) | {Kind.NOT_FOUND: 404, Kind.LEFT: 499}
WHO = Principal(id=UUID(int=7), subject="ann")


def call(kind: Kind | None = None, error: BaseException | None = None, target: str = "/orders") -> CallEnded:
    code = kind.value if kind is not None else None
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return CallEnded(
        "list_orders", "rest", "GET", target, 200, kind, code, 0.00123, WHO, "127.0.0.1", "r-1", trace, False, 1, error
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def observe(path: Path, *observations: object, level: str = "info", pretty: bool = False) -> list[str]:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    sink = Sink(fd)
    observer = LogObserver(sink, FixedClock(), STATUSES, level=level, pretty=pretty)
    for observation in observations:
        observer.observe(observation)  # type: ignore[arg-type]  # of the union
    sink.close()
    os.close(fd)
    return path.read_text().splitlines()


def test_a_call_is_one_json_line(path: Path) -> None:
    (line,) = map(json.loads, observe(path, call()))
    assert line["status"] == 200
    assert line["operation"] == "list_orders"
    assert line["principal"] == "ann"
    assert line["duration_ms"] == 1.23
    assert line["request_id"] == "r-1"
    assert line["trace_id"] == "0af7651916cd43dd8448eb211c80319c"
    assert line["time"].endswith("Z")
    assert "traceback" not in line


def outgoing(status: int | None = 200, code: str | None = None, reason: str = "") -> OutgoingEnded:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    return OutgoingEnded("POST", "https://pay.example:443", status, code, reason, 0.25, 10, 20, "r-1", trace)


def test_a_call_to_another_service_is_one_line(path: Path) -> None:
    failed = outgoing(None, "address_refused", "a private address")
    done, refused = map(json.loads, observe(path, outgoing(), failed))
    assert done == {
        "time": done["time"],
        "level": "info",
        "event": "outgoing",
        "method": "POST",
        "origin": "https://pay.example:443",
        "duration_ms": 250.0,
        "status": 200,
        "sent": 10,
        "received": 20,
        "request_id": "r-1",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
    }
    assert (refused["level"], refused["code"], refused["reason"]) == ("warning", "address_refused", "a private address")


def test_a_call_to_another_service_for_people(path: Path) -> None:
    failed = outgoing(None, "address_refused", "a\x1bb")
    (line,) = observe(path, outgoing(), failed, pretty=True, level="warning")
    assert "address_refused POST https://pay.example:443" in line
    assert "a\\x1bb" in line


def test_a_problem_has_the_doors_status_and_its_code(path: Path) -> None:
    (line,) = map(json.loads, observe(path, call(Kind.NOT_FOUND)))
    assert (line["status"], line["code"], line["level"]) == (404, "not_found", "info")


def test_an_error_of_ours_carries_its_traceback(path: Path) -> None:
    (line,) = map(json.loads, observe(path, call(Kind.INTERNAL, ValueError("inside"))))
    assert line["level"] == "error"
    assert line["error"] == "ValueError"
    assert "inside" in line["traceback"]


def test_what_cannot_be_served_is_a_warning_with_its_cause(path: Path) -> None:
    line = json.loads(observe(path, call(Kind.UNAVAILABLE, OSError("disk full")), level="warning")[0])
    assert (line["level"], line["error"]) == ("warning", "OSError")
    assert "disk full" in line["traceback"]


def test_a_caller_that_left_is_no_error(path: Path) -> None:
    line = json.loads(observe(path, call(Kind.LEFT, CancelledError()))[0])
    assert (line["level"], line["status"]) == ("info", 499)
    assert "traceback" not in line


def test_calls_are_left_out_below_their_level_but_errors_are_not(path: Path) -> None:
    lines = observe(path, call(), call(Kind.INTERNAL, ValueError("x")), level="warning")
    assert [json.loads(line)["level"] for line in lines] == ["error"]


def test_a_secret_never_stands_in_a_line(path: Path) -> None:
    sink_lines = observe(path, Notice("info", "made", "made", {"key": Secret("hunter2"), "other": object()}))
    assert "hunter2" not in sink_lines[0]
    assert json.loads(sink_lines[0])["facts"]["key"] == "<Secret>"


def test_the_log_of_a_use_case_is_correlated(path: Path) -> None:
    seen: list[Notice] = []

    class Listener:
        def observe(self, observation: Notice) -> None:
            seen.append(observation)

    log = Log(Listener(), {"request_id": "r-1"})  # type: ignore[arg-type]  # it observes
    log.debug("a")
    log.info("b", "text", sku="x")  # noqa: PLE1205 - not the logging module's
    log.warning("c")
    log.error("d")
    assert [n.level for n in seen] == ["debug", "info", "warning", "error"]
    assert seen[1].facts == {"request_id": "r-1", "sku": "x"}
    assert len(observe(path, *seen)) == 3


def test_a_path_cannot_steer_the_terminal(path: Path) -> None:
    lines = observe(path, call(target="/a\x1b[2J\nb"), pretty=True)
    assert len(lines) == 1
    assert "\x1b[2J" not in lines[0]


def test_pretty_notices_show_facts_and_tracebacks(path: Path) -> None:
    lines = observe(path, Notice("error", "bad", "it broke", {"a": 1}, ValueError("why")), pretty=True)
    assert "it broke" in lines[0]
    assert "a=1" in lines[0]
    assert any("ValueError: why" in line for line in lines)


def test_a_full_pipe_loses_lines_and_counts_them_but_never_waits() -> None:
    reader, writer = os.pipe()
    sink = Sink(writer)
    line = b"x" * 1000 + b"\n"
    for _ in range(200):
        sink.write(line)
    assert sink.dropped > 0
    assert os.get_blocking(writer)  # who shares the descriptor is not touched
    kept = 200 - sink.dropped
    received = b""
    while len(received) < kept * len(line) - len(line):
        received += os.read(reader, 65536)
    sink.write(b"end\n")
    received += os.read(reader, 65536)
    assert received.endswith(b"end\n")
    assert set(received.splitlines()) == {b"x" * 1000, b"end"}
    sink.close()
    os.close(writer)
    os.close(reader)


def test_a_reader_that_has_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    sink = Sink(writer)
    os.close(reader)
    sink.write(b"x\n")
    assert sink.dropped == 1
    sink.close()
    os.close(writer)
