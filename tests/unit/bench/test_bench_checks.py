"""A contender that does less, or something else, is found before it is measured."""

from __future__ import annotations

import json
import re
import shutil
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from bench import __main__ as command
from bench import checks, install, peers, report
from bench.checks import Unequal, normal
from bench.stores import SQLITE, SqliteFile, Store
from bench.workloads import WORKLOADS, Workload, lua, raw, tokens

STORE = Store(SQLITE, lambda name: SqliteFile(Path(f"{name}.sqlite3")))
ROW = {
    "id": str(uuid.UUID(int=1)),
    "sku": "S",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00+00:00",
    "price": "1.00",
}


def test_what_differs_by_nature_is_left_out() -> None:
    other = {**ROW, "id": str(uuid.UUID(int=2)), "sku": "T", "created_at": "2026-02-01T00:00:00+01:00"}
    assert normal({"items": [ROW]}) == normal({"items": [other]})
    assert normal(ROW) != normal({**ROW, "price": "2.00"})


@pytest.mark.parametrize("wrong", [{"created_at": "2026-01-01T00:00:00"}, {"id": "1"}])
def test_what_is_left_out_must_still_have_its_form(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        normal({**ROW, **wrong})


class Fake:
    """A contender whose answers a test decides."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.silent = True


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Every check of W1 is answered right; a test changes what it likes."""
    said: dict[str, Any] = {"/hello": (200, {"message": "hello"}, "{}"), "/nothing": (404, None, "")}
    monkeypatch.setattr(
        checks, "ask", lambda server, method, path, *_, **__: said.get(f"{server.name} {path}") or said[path]
    )
    monkeypatch.setattr(checks, "WORKLOADS", WORKLOADS[:1])
    monkeypatch.setattr(checks, "pages", lambda _: None)
    monkeypatch.setattr(checks, "durable", lambda _: "seen")
    return said


def compare(*names: str) -> dict[str, str]:
    servers: Any = [Fake(name) for name in names]
    return checks.compare(servers, {}, dict.fromkeys(names, "1"))


def test_equal_answers_pass(answering: dict[str, Any]) -> None:
    assert compare("one", "two") == {"one": "seen", "two": "seen"}


def test_another_status_is_found(answering: dict[str, Any]) -> None:
    answering["two /nothing"] = (200, {}, "{}")
    with pytest.raises(Unequal, match=r"two: GET /nothing .*: 200, expected \(404,\)"):
        compare("one", "two")


def test_another_body_is_found(answering: dict[str, Any]) -> None:
    answering["two /hello"] = (200, {"message": "hullo"}, "{}")
    with pytest.raises(Unequal, match=r"two W1: .*hullo.* is not .*hello"):
        compare("one", "two")


def test_a_refusal_that_names_one_fault_of_several_is_found(
    answering: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "WORKLOADS", WORKLOADS[1:2])
    answering["/forms"] = (422, None, '"age": too great')
    with pytest.raises(Unequal, match="does not name"):
        for check in WORKLOADS[1].checks[1:]:
            checks._answer(Fake("one"), check, {}, "")  # type: ignore[arg-type] - a double


def test_a_page_that_is_missing_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    page = {"items": [ROW], "next": None}
    monkeypatch.setattr(checks, "ask", lambda *_, **__: (200, page, ""))
    with pytest.raises(Unequal, match="do not hold what was stored"):
        checks.pages(Fake("one"))  # type: ignore[arg-type] - a double


def test_writes_that_do_not_reach_the_disk_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = tmp_path / "trace"
    trace.write_text("1 fdatasync(7) = 0\n" * 3)
    counts = iter([(0, 0), (10, 10)])
    monkeypatch.setattr(checks, "_counts", lambda _: next(counts))
    monkeypatch.setattr(checks, "_traced", lambda _: checks.contextlib.nullcontext(trace))
    monkeypatch.setattr(checks, "ask", lambda *_, **__: (201, {}, ""))
    with pytest.raises(Unequal, match="10 answers after 3 flushes"):
        checks.durable(SimpleNamespace(name="one", table="items"))  # type: ignore[arg-type] - a double


def test_a_broken_token_is_not_the_whole_one() -> None:
    held = tokens()
    assert held["broken"] != held["manager"]
    assert held["broken"].rpartition(".")[0] == held["manager"].rpartition(".")[0]


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda one: one.name)
def test_both_loads_send_the_same_request(workload: Any) -> None:
    sent = raw(workload, workload.path, "t", sku_length=5)
    head, _, body = sent.partition(b"\r\n\r\n")
    assert head.startswith(f"{workload.method} {workload.path} HTTP/1.1\r\n".encode())
    length = re.search(rb"Content-Length: (\d+)", head)
    assert (int(length[1]) if length else 0) == len(body)
    script = lua(workload, workload.path, "t")
    assert f'wrk.method = "{workload.method}"' in script
    if workload.body is not None:
        assert json.dumps(workload.body).partition("{sku}")[0] in script


def test_a_missing_tool_is_told_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(install.Absent, match=r"go is missing: apt-get install golang-go"):
        install.need("go")


def test_a_contender_that_is_absent_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> Any:
        raise install.Absent("go is missing")

    there = peers.Contender("one", "One", lambda *_: "server", lambda: "1")  # type: ignore[arg-type,return-value] - a double
    gone = peers.Contender("two", "Two", missing, lambda: "1")
    assert command._set_up([gone, there], STORE) == (["server"], {"two": "go is missing"})


def test_the_bench_says_what_it_lacks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(shutil, "which", lambda tool: None if tool == "wrk" else "/bin/" + tool)
    assert command.main(["--quick"]) == 2
    assert "apt-get install wrk" in capsys.readouterr().err


def test_what_was_measured_is_kept_when_the_bench_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    def measured(workload: Workload, *_: object) -> dict[str, report.Measured]:
        if workload is WORKLOADS[2]:
            raise KeyboardInterrupt
        return {"mainstay": report.Measured()}

    kept: list[list[str]] = []
    monkeypatch.setattr(command, "_set_up", lambda *_: ([], {}))
    monkeypatch.setattr(checks, "compare", lambda *_: {})
    monkeypatch.setattr(command, "_measure", measured)
    with pytest.raises(KeyboardInterrupt):
        command.run(STORE, [], list(WORKLOADS), command.QUICK, lambda results, _: kept.append(list(results)))
    assert kept == [["W1"], ["W1", "W2"]]


def test_an_unknown_contender_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["--peers", "mainstay,nobody"])
    assert "nobody is not known" in capsys.readouterr().err


@pytest.mark.parametrize("folder", ["fastapi", "fastapi_tuned", "litestar", "blacksheep"])
def test_python_peers_are_locked_with_hashes(folder: str) -> None:
    lock = (install.APPS / folder / "requirements.txt").read_text()
    wanted = re.findall(
        r"^([\w-]+)(?:\[.*\])?(?:==.*)?$", (install.APPS / folder / "requirements.in").read_text(), re.M
    )
    for package in wanted:
        assert re.search(rf"^{package}==\S+.*\\\n    --hash=sha256:", lock, re.M), package


@pytest.mark.parametrize("folder", ["fastify", "express"])
def test_node_peers_are_locked_without_a_registry(folder: str) -> None:
    lock = json.loads((install.APPS / folder / "package-lock.json").read_text())
    packages = [one for path, one in lock["packages"].items() if path]
    assert packages
    assert all("integrity" in one and "resolved" not in one for one in packages)


def test_an_environment_is_made_again_only_when_its_sources_changed(tmp_path: Path) -> None:
    source, place, made = tmp_path / "lock", tmp_path / "place", []
    place.mkdir()

    def once(text: str) -> None:
        source.write_text(text)
        install._once(place, [source], lambda: made.append(text))

    for text in ("one", "one", "two", "two"):
        once(text)
    assert made == ["one", "two"]


def test_an_environment_that_failed_is_made_again(tmp_path: Path) -> None:
    def fail() -> None:
        raise install.Absent("no network")

    source = tmp_path / "lock"
    source.write_text("one")
    for _ in range(2):
        with pytest.raises(install.Absent):
            install._once(tmp_path, [source], fail)


@pytest.mark.parametrize(("name", "expected"), [("go", ["mainstay"]), ("mainstay", None)])
def test_a_peer_that_does_not_come_up_is_told_as_absent_and_ours_is_a_fault(
    name: str, expected: list[str] | None
) -> None:
    class Down(Fake):
        stopped = False

        def start(self) -> None:
            raise RuntimeError("it does not answer")

        def stop(self) -> None:
            self.stopped = True

    down, absent = Down(name), dict[str, str]()
    servers: list[Any] = [Fake("mainstay"), down]
    if expected is None:
        with pytest.raises(RuntimeError, match="does not answer"):
            command._started(down, servers, absent)  # type: ignore[arg-type] - a double
    else:
        assert not command._started(down, servers, absent)  # type: ignore[arg-type] - a double
        assert [one.name for one in servers] == expected
        assert absent == {name: "it does not answer"}
    assert down.stopped
