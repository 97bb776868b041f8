"""A small project of a team, and the means to run it as a user would: processes, signals, requests."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 30.0  # seconds; the machine may be busy

SERVICE = '''"""The team's service."""
import asyncio
import os
from mainstay import Conflict, Dto, Entity, Event, Events, Module, Repository, Service, anyone, field, limit

notes = Module("notes")


class Note(Entity):
    text: str = field(max_length=100, unique=True)


class Noted(Event):
    text: str


class AddNote(Dto):
    text: str = field(max_length=100)


@notes.command("POST /notes", status=201, allow=anyone)
async def add_note(wanted: AddNote, rows: Repository[Note], events: Events) -> Note:
    events.emit(Noted(text=wanted.text))
    return await rows.add(Note(text=wanted.text))


@notes.query("GET /pid", allow=anyone)
async def get_pid() -> int:
    return os.getpid()


@notes.query("GET /slow", allow=anyone)
async def get_slowly() -> str:
    await asyncio.sleep(1.5)
    return "done"


@notes.query("GET /rare", allow=anyone, limits=[limit("5/minute", by="operation")])
async def get_rarely() -> str:
    return "rare"


@notes.query("GET /version", allow=anyone)
async def get_version() -> int:
    return 1


async def first_note(rows: Repository[Note]) -> None:
    if not await rows.count(text="first"):
        await rows.add(Note(text="first"))


team = Service("team", modules=[notes])
team.seed(first_note)
'''
TOML = """service = "team_service:team"
[database]
url = "sqlite:///team.db"
[auth]
issuer = "team"
audience = "team"
[http]
port = 0
[profile.development.database]
create = true
"""
SECRET = "Zx8-q3fTn0_7Lk2VbRmYc5Wd9HsJpAeU"


class Running:
    """``mainstay run`` in a process, and what it says."""

    def __init__(self, folder: Path, *arguments: str, **environ: str) -> None:
        self.log = folder / "run.log"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAINSTAY_H")}
        self._output = self.log.open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mainstay", "run", "--format", "json", *arguments],
            cwd=folder,
            env={**inherited, "MAINSTAY_PROFILE": "development", "PYTHONUNBUFFERED": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._output.close()

    def said(self) -> str:
        return self.log.read_text()

    def facts(self) -> dict[str, Any]:
        """What was announced; waits for it."""
        return until(self._facts, lambda: f"nothing announced:\n{self.said()}")

    def _facts(self) -> dict[str, Any] | None:
        assert self.process.poll() is None or self.process.returncode == 0, self.said()
        text = self.said()
        start = text.find('{\n  "admin"')
        if start < 0 or "\n}\n" not in text[start:]:
            return None
        found: dict[str, Any] = json.loads(text[start : text.index("\n}\n", start) + 2])
        return found

    def request(self, path: str, method: str = "GET", body: Any = None, base: str | None = None) -> tuple[int, Any]:
        """Status and body (decoded where it is JSON) over a new connection."""
        return request(base or self.facts()["url"], path, method, body)

    def workers(self) -> list[int]:
        return children(self.process.pid)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


def request(base: str, path: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(base.removeprefix("http://"), timeout=PATIENCE)
    try:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if "json" in (answer.getheader("Content-Type") or "") else text.decode()
    finally:
        connection.close()


def until(ask: Callable[[], Any], complaint: Callable[[], str] = lambda: "it did not come to pass") -> Any:
    """Ask until there is an answer, for a bounded time."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = ask()
        if answer:
            return answer
        select.select([], [], [], 0.02)
    raise AssertionError(complaint())


def children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "team_service.py").write_text(SERVICE)
    (tmp_path / "mainstay.toml").write_text(TOML)
    return tmp_path


@pytest.fixture
def run(project: Path) -> Iterator[Callable[..., Running]]:
    """Start ``mainstay run`` with arguments and variables; ends with the test."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **environ: stack.enter_context(Running(project, *arguments, **environ))


@pytest.fixture
def start() -> Iterator[Callable[..., Running]]:
    """Start ``mainstay run`` in any folder."""
    with contextlib.ExitStack() as stack:
        yield lambda folder, *arguments, **environ: stack.enter_context(Running(folder, *arguments, **environ))


@pytest.fixture
def waiting() -> Callable[..., Any]:
    return until


@pytest.fixture
def children_of() -> Callable[[int], list[int]]:
    return children


@pytest.fixture
def mainstay(project: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command to its end in the project.

    Nobody measures what of the core it runs: to begin with that takes longer than most commands, and the core has tests
    of its own.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("COV")}

    def command(*arguments: str, cwd: Path = project, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "mainstay", *arguments],
            cwd=cwd,
            env={**inherited, "MAINSTAY_PROFILE": "development", **environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
            check=False,
        )

    return command
