"""A service with accounts in processes of its own, and a connection to each of its workers."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

PATIENCE = 60.0  # seconds; the machine may be busy
TOML = """service = "{service}"
[database]
url = "{url}"
create = true
schema = "{schema}"
[http]
port = {port}
[admin]
port = 0
"""


class Heard(NamedTuple):
    """An answer, and the moment at which it was there."""

    status: int
    body: Any
    cookie: str
    at: float


class Wired:
    """A connection to one worker, kept for as long as the test lasts; ``source`` is the address it comes from."""

    def __init__(self, port: int, source: str = "127.0.0.1") -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE, source_address=(source, 0))
        heard = self.ask("GET", "/pid")
        self.pid: int = heard.body
        if heard.status != 200:
            raise ConnectionError(heard.body)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Heard:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            fields["content-type"] = "application/json"
        self._connection.request(method, path, None if body is None else json.dumps(body), fields)
        answer = self._connection.getresponse()
        raw = answer.read()
        told = json.loads(raw) if raw else None
        cookie = (answer.getheader("set-cookie") or "").partition(";")[0]
        return Heard(answer.status, told, cookie, time.monotonic())

    def close(self) -> None:
        self._connection.close()


class Processes:
    """``mainstay run`` with several workers, on a database of the test."""

    def __init__(
        self,
        folder: Path,
        *,
        url: str = "sqlite:///notes.sqlite",
        schema: str = "",
        workers: int = 2,
        service: str = "logged_in:notebook",
        more: str = "",
    ) -> None:
        self.folder = folder
        self.port = _free_port()
        shutil.copy(Path(__file__).with_name(f"{service.partition(':')[0]}.py"), folder)
        toml = TOML.format(service=service, url=url, schema=schema, port=self.port)
        (folder / "mainstay.toml").write_text(toml + more)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAINSTAY_", "COV"))}
        self.environ = kept | {"MAINSTAY_PROFILE": "development", "XDG_RUNTIME_DIR": str(folder)}
        self._log = (folder / "run.log").open("wb")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mainstay", "run", "--workers", str(workers)],
            cwd=folder,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._wires: list[Wired] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        for wire in self._wires:
            wire.close()
        self._process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(PATIENCE)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def said(self) -> str:
        return (self.folder / "run.log").read_text()

    def workers(self, count: int, source: str = "127.0.0.1") -> list[Wired]:
        """Return a connection to each of ``count`` workers. Refused credentials are counted by ``source``."""
        found: dict[int, Wired] = {}
        deadline = time.monotonic() + PATIENCE
        while len(found) < count:
            assert time.monotonic() < deadline, self.said()
            try:
                wire = Wired(self.port, source)
            except OSError:
                time.sleep(0.05)
                continue
            self._wires.append(wire)
            found.setdefault(wire.pid, wire)
        return list(found.values())

    def mainstay(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command in the project's folder."""
        return subprocess.run(
            [sys.executable, "-m", "mainstay", *arguments],
            cwd=self.folder,
            env=self.environ,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )


def address_of(name: str) -> str:
    """Return a loopback address of a test's own: who is refused too often at one is refused at that one only."""
    return "127." + ".".join(str(1 + part % 250) for part in blake2b(name.encode(), digest_size=3).digest())


def seconds_until(ask: Callable[[], Heard], status: int, since: float) -> float:
    """Ask until an answer has a status; return how long after ``since`` that was."""
    deadline = since + PATIENCE
    while True:
        heard = ask()
        if heard.status == status:
            return heard.at - since
        assert heard.at < deadline, heard
        time.sleep(0.01)


def bearing(token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}"}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
