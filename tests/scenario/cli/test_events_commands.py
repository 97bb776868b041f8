"""``mainstay events`` and ``mainstay worker`` on a project: what waits is seen, mended and worked on apart."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mainstay.cli import entry

SERVICE = '''"""The team's service: notes, and a copy of each that another module makes."""
from pathlib import Path
from mainstay import Dto, Entity, Event, Events, Module, Repository, Service, anyone, field

notes, copies = Module("notes"), Module("copies")


class Noted(Event):
    text: str


class Copy(Entity):
    text: str


class AddNote(Dto):
    text: str = field(max_length=100)


@notes.command("POST /notes", status=204, allow=anyone)
async def add_note(wanted: AddNote, events: Events) -> None:
    events.emit(Noted(text=wanted.text), key=wanted.text[:1])


@copies.on(Noted, attempts=1)
async def copy_note(noted: Noted, rows: Repository[Copy]) -> None:
    if noted.text.endswith("bad") and not Path("mended").exists():
        raise ValueError(noted.text)
    await rows.add(Copy(text=noted.text))


@copies.query("GET /copies", allow=anyone)
async def list_copies(rows: Repository[Copy]) -> list[str]:
    return [row.text async for row in rows.stream(sort="id")]


team = Service("team", modules=[notes, copies])
'''
TOML = """service = "copied_notes:team"
[database]
url = "sqlite:///team.db"
create = true
[http]
port = 0
[admin]
port = 0
[worker]
inside = false
"""
PATIENCE = 60.0  # seconds; the machine may be busy


class Worked:
    """``mainstay worker`` in a process."""

    def __init__(self, folder: Path) -> None:
        self._log = (folder / "worker.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mainstay", "worker", "--format", "json"],
            cwd=folder,
            env={**os.environ, "MAINSTAY_PROFILE": "development"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )

    def facts(self) -> Any:
        """Return what it has said of itself when it was ready."""
        assert self.process.stdout is not None
        lines = []
        while not lines or lines[-1] != b"}\n":
            line = self.process.stdout.readline()
            assert line, "it ended"
            lines.extend([line] if lines or line == b"{\n" else [])
        return json.loads(b"".join(lines))

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()
        return code


@pytest.fixture
def team(tmp_path: Path) -> Path:
    (tmp_path / "copied_notes.py").write_text(SERVICE)
    (tmp_path / "mainstay.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def worker(team: Path) -> Iterator[Callable[[], Worked]]:
    """Start workers; they end with the test."""
    started: list[Worked] = []

    def start() -> Worked:
        started.append(Worked(team))
        return started[-1]

    yield start
    for one in started:
        one.end()


@pytest.fixture
def events(team: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run ``mainstay events``: return its facts, or what it complains of."""

    def run(*words: str, code: int = 0) -> Any:
        sys.modules.pop("copied_notes", None)
        found = entry.run(["events", *words, "-C", str(team), "--profile", "development", "--format", "json"])
        told = capsys.readouterr()
        assert found == code, told.err
        return told.err if code else json.loads(told.out)

    return run


def told(ask: Callable[[], Any], wanted: Any) -> None:
    """Wait until an answer is what is wanted."""
    deadline = time.monotonic() + PATIENCE
    found = ask()
    while found != wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
        found = ask()


def test_a_worker_works_on_what_the_api_leaves(
    team: Path, start: Callable[..., Any], worker: Callable[[], Worked], events: Callable[..., Any]
) -> None:
    served = start(team)
    for text in ("a 1", "a 2", "b 1"):
        assert served.request("/notes", "POST", {"text": text})[0] == 204
    assert events("status")["outbox"] == 3
    assert served.request("/copies") == (200, [])
    first = worker()
    admin = first.facts()["admin"]
    told(lambda: sorted(served.request("/copies")[1]), ["a 1", "a 2", "b 1"])
    assert served.request("/health", base=admin)[0] == 200
    figures = served.request("/metrics", base=admin)[1]
    counted = [line for line in figures.splitlines() if line.startswith("mainstay_events_done")]
    assert counted == ['mainstay_events_done_total{consumer="copy_note"} 3.0']
    assert first.end() == 0
    served.request("/notes", "POST", {"text": "c 1"})
    second = worker()
    second.facts()
    second.process.kill()
    third = worker()
    third.facts()
    told(lambda: sorted(served.request("/copies")[1]), ["a 1", "a 2", "b 1", "c 1"])
    assert third.end(signal.SIGINT) == 0


def test_a_dead_letter_is_seen_mended_and_set_going_again(
    team: Path, start: Callable[..., Any], worker: Callable[[], Worked], events: Callable[..., Any]
) -> None:
    served = start(team)
    for text in ("k 1 bad", "k 2", "l 1"):
        served.request("/notes", "POST", {"text": text})
    worker().facts()
    told(lambda: served.request("/copies")[1], ["l 1"])
    told(lambda: [one["state"] for one in events("list", "--state", "dead")], ["dead"])
    (dead,) = events("list", "--state", "dead", "--consumer", "copy_note")
    assert (dead["event"], dead["key"], dead["attempts"]) == ("notes.Noted", "k", 1)
    assert dead["cause"]
    assert "payload" not in dead
    (whole,) = events("show", dead["id"])
    assert json.loads(whole["payload"]) == {"text": "k 1 bad"}
    assert [one["key"] for one in events("list", "--state", "pending") if one.get("parked")] == ["k"]
    (counted,) = events("status")["consumers"]
    assert (counted["done"], counted["dead"], counted["parked"]) == (1, 1, 1)
    (team / "mended").touch()
    assert events("redrive", dead["id"])["messages"] == 1
    told(lambda: served.request("/copies")[1], ["l 1", "k 1 bad", "k 2"])


def test_a_paused_consumer_begins_nothing_and_what_is_done_can_be_done_again(
    team: Path, start: Callable[..., Any], worker: Callable[[], Worked], events: Callable[..., Any]
) -> None:
    served = start(team)
    events("pause", "copy_note")
    served.request("/notes", "POST", {"text": "a 1"})
    worker().facts()
    told(lambda: events("status")["consumers"][0]["pending"], 1)
    assert events("status")["consumers"][0]["paused"]
    events("resume", "copy_note")
    told(lambda: served.request("/copies")[1], ["a 1"])
    assert events("replay", "copy_note", "--since", "2100-01-01T00:00:00Z")["messages"] == 0
    assert events("replay", "copy_note", "--since", "2020-01-01T00:00:00Z")["messages"] == 1
    told(lambda: served.request("/copies")[1], ["a 1", "a 1"])


@pytest.mark.parametrize(
    ("words", "code", "complaint"),
    [
        (["show", "7"], 2, "7 is no id"),
        (["show", "018f0000-0000-7000-8000-000000000000"], 1, "there is no message"),
        (["pause", "nobody"], 1, "there is no consumer nobody"),
        (["replay", "nobody", "--since", "2020-01-01T00:00:00Z"], 1, "there is no consumer nobody"),
        (["replay", "copy_note", "--since", "yesterday"], 2, "expected a time with its zone"),
        (["replay", "copy_note", "--since", "2020-01-01T00:00:00"], 2, "expected a time with its zone"),
        (["redrive"], 2, "give ids"),
        (["redrive", "--all", "--event", "notes.Noted"], 2, "give ids"),
        (["list", "--limit", "0"], 2, "expected 1 to 10000"),
    ],
    ids=lambda given: given if isinstance(given, str) else None,
)
def test_what_cannot_be_done_is_said(events: Callable[..., Any], words: list[str], code: int, complaint: str) -> None:
    assert complaint in events(*words, code=code)


def test_the_text_for_people(team: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["status"], ["list"], ["redrive", "--all"]):
        assert entry.run(["events", *words, "-C", str(team), "--profile", "development"]) == 0
    told_ = capsys.readouterr().out
    assert "outbox: 0" in told_
    assert "copy_note" in told_
    assert "0 set going again" in told_
