"""A seat: the place of one worker, filled again when its process dies."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import msgspec

STEADY_SECONDS = 10.0
"""A worker that lived as long is no part of a row of failures."""

MAX_DELAY = 30.0
FAILING = 5
"""As many failures in a row, and the host is not ready any more."""

REFUSED = 78
"""The exit code of a worker that will not start as things are (EX_CONFIG of sysexits.h). It has said why."""


class Spec(msgspec.Struct, frozen=True):
    """What a worker is told on its standard input, in one line of JSON. No secret is in it."""

    index: int
    workers: int
    run: str
    listening: int  # the descriptor to accept connections from
    admin: int | None
    status: int  # the descriptor to say "ready" on
    directory: str
    profile: str
    flags: dict[str, str | int | float | bool]
    module: str | None = None
    fresh: bool = False


class Seat:
    """One worker's place: its sockets stay while processes come and go."""

    def __init__(
        self,
        index: int,
        listening: socket.socket,
        admin: socket.socket | None,
        *,
        command: Sequence[str] = (sys.executable, "-P", "-m", "mainstay.app.worker"),
    ) -> None:
        self.index = index
        self._command = tuple(command)
        self.listening = listening
        self.admin = admin
        self.process: subprocess.Popen[bytes] | None = None
        self.status: IO[bytes] | None = None
        self.ready: bool = False
        self.failures: int = 0
        self.restart_at: float | None = None
        self._begun = 0.0

    def start(self, make: Callable[[Seat, int], Spec], now: float) -> None:
        """Start a process for this seat. Its standard input stays open: when it ends, its supervisor has died."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        spec = make(self, writing)
        passed = [self.listening.fileno(), writing, *([self.admin.fileno()] if self.admin is not None else [])]
        self.process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
            self._command,
            stdin=subprocess.PIPE,
            pass_fds=passed,
            process_group=0,  # what the terminal sends to all comes from the supervisor alone
        )
        os.close(writing)
        self.status = os.fdopen(reading, "rb", buffering=0)
        self.restart_at = None
        self.ready = False
        self._begun = now
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(msgspec.json.encode(spec) + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return  # it died at once: the reaper sees it

    def signal(self, number: int) -> None:
        """Send a signal to the process, if there is one.

        One that still imports is ended by SIGTERM: an interrupt would print where in an import it came.
        """
        if number == signal.SIGINT and not self.ready:
            number = signal.SIGTERM
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def close(self) -> None:
        """Let go of the sockets. A worker that has them goes on to listen."""
        self.listening.close()
        if self.admin is not None:
            self.admin.close()

    def reap(self) -> int | None:
        """Return the exit code of a process that has ended, once; below 0 it is the signal that killed it."""
        if self.process is None or (code := self.process.poll()) is None:
            return None
        for pipe in (self.process.stdin, self.status):
            if pipe is not None:
                pipe.close()
        self.process = self.status = None
        self.ready = False
        return code

    @property
    def steady_at(self) -> float | None:
        """When a worker that runs again after failures will count as steady, or None."""
        return self._begun + STEADY_SECONDS if self.ready and self.failures else None

    def failed(self, now: float, chance: float) -> float:
        """Count a death, and return the seconds until the next start: growing, and not those of the neighbours."""
        steady = now - self._begun >= STEADY_SECONDS
        self.failures = 1 if steady else self.failures + 1
        delay = 0.0 if steady else min(0.25 * 2.0 ** (self.failures - 1), MAX_DELAY) * (0.5 + 0.5 * chance)
        self.restart_at = now + delay
        return delay


def describe_end(code: int) -> str:
    """Say how a process ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


STATUS_FILE = "status.json"


class Status(msgspec.Struct, frozen=True):
    """What the supervisor tells its workers of their neighbours."""

    workers: int
    ready: int
    failing: list[int] = []


def write_status(run: Path, status: Status) -> None:
    """Replace the status file whole."""
    draft = run / f".{STATUS_FILE}"
    draft.write_bytes(msgspec.json.encode(status))
    draft.replace(run / STATUS_FILE)


def read_status(run: Path) -> Status | None:
    """Return the supervisor's view, or None where there is none."""
    try:
        return msgspec.json.decode((run / STATUS_FILE).read_bytes(), type=Status)
    except (OSError, msgspec.DecodeError):
        return None
