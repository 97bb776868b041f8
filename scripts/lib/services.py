"""Start, stop and look after the outside programs of scripts/services.toml, on loopback and free ports.

scripts/services up        start what is not running; prints the names of those that it started
scripts/services down      stop what runs
scripts/services status    say what is there
scripts/services env       print the variables that the tests read, for `eval`
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

READY_SECONDS = 30.0
STOP_SECONDS = 10.0


class ServiceError(Exception):
    """A service cannot be started or stopped; the message says what to do."""


@dataclass(frozen=True)
class Service:
    """One program, and where its state is kept between two calls of this script."""

    name: str
    command: tuple[str, ...]
    ready: tuple[str, ...]
    env: dict[str, str]
    state: Path

    def running(self) -> dict[str, str] | None:
        """Its port, process id and start time, or None where that very process is gone."""
        try:
            record: dict[str, str] = json.loads((self.state / "process.json").read_bytes())
        except (OSError, ValueError):
            return None
        return record if record["started"] and _started(int(record["pid"])) == record["started"] else None

    def start(self) -> None:
        """Start it and wait until it answers."""
        program = shutil.which(self.command[0])
        if program is None:
            raise ServiceError(f"{self.name} needs the program {self.command[0]}: install it")
        shutil.rmtree(self.state, ignore_errors=True)
        (self.state / "data").mkdir(parents=True)
        port = _free_port()
        pid = self._spawn(program, port)
        record = {"pid": str(pid), "started": _started(pid), "port": str(port)}
        (self.state / "process.json").write_text(json.dumps(record))
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run(self._filled(self.ready, port), capture_output=True, check=False).returncode:
            if not _started(pid) or time.monotonic() > deadline:
                self.stop()
                raise ServiceError(f"{self.name} did not come up; see {self.state / 'log'}")
            time.sleep(0.1)

    def _spawn(self, program: str, port: int) -> int:
        """Start it in a session of its own, which outlives this script."""
        log = str(self.state / "log")
        streams: list[tuple[int, ...] | tuple[int, int, str, int, int]] = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        arguments = self._filled(self.command, port)
        return os.posix_spawn(program, arguments, os.environ, file_actions=streams, setsid=True)

    def stop(self) -> bool:
        """Stop it, gently at first; False when it was not running."""
        record = self.running()
        if record is None:
            return False
        pid = int(record["pid"])
        for wish in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, wish)
            deadline = time.monotonic() + STOP_SECONDS
            while time.monotonic() < deadline:
                if self.running() is None:
                    (self.state / "process.json").unlink()
                    return True
                time.sleep(0.05)
        raise ServiceError(f"{self.name} (process {pid}) does not stop")

    def variables(self) -> dict[str, str]:
        """What the tests read, or nothing while it does not run."""
        record = self.running()
        if record is None:
            return {}
        return dict(zip(self.env, self._filled(tuple(self.env.values()), record["port"]), strict=True))

    def _filled(self, words: tuple[str, ...], port: object) -> list[str]:
        return [word.replace("{port}", str(port)).replace("{data}", str(self.state / "data")) for word in words]


def _started(pid: int) -> str:
    """The start time of a live process; with it a number that was given again is not mistaken for the old process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def load(table: Path, state: Path) -> list[Service]:
    """The services of a table file."""
    entries = tomllib.loads(table.read_text(encoding="utf-8"))
    return [
        Service(name, tuple(entry["command"]), tuple(entry["ready"]), entry.get("env", {}), state / name)
        for name, entry in entries.items()
    ]


def main(arguments: Sequence[str], table: Path, state: Path) -> int:
    """Do what the one argument says."""
    services = load(table, state)
    actions = {"up": up, "down": down, "status": status, "env": env}
    if len(arguments) != 1 or arguments[0] not in actions:
        print(__doc__, file=sys.stderr)
        return 2
    try:
        actions[arguments[0]](services)
    except ServiceError as fault:
        print(fault, file=sys.stderr)
        return 1
    return 0


def up(services: Sequence[Service]) -> None:
    """Start what is not running."""
    for service in services:
        if service.running() is None:
            service.start()
            print(service.name)


def down(services: Sequence[Service]) -> None:
    """Stop what runs, the last started first."""
    for service in reversed(services):
        if service.stop():
            print(f"stopped {service.name}")


def status(services: Sequence[Service]) -> None:
    """One line a service."""
    for service in services:
        record = service.running()
        print(f"{service.name}: " + (f"port {record['port']}, process {record['pid']}" if record else "not running"))
    if not services:
        print("no outside service is needed: the tests run on SQLite and on memory")


def env(services: Sequence[Service]) -> None:
    """Shell lines that export what the tests read."""
    for service in services:
        for name, value in service.variables().items():
            print(f"export {name}={shlex.quote(value)}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Path("scripts/services.toml"), Path(".mainstay/services").absolute()))
