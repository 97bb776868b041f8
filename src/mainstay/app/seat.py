"""A seat: the place of one worker, filled again when its process dies."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import msgspec

from mainstay.app.sockets import take_again

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
    kept: bool = False  # somebody else keeps the listening socket open


HAND_OVER = b"h"
"""What a worker is told on its standard input when its successor takes calls: to leave, and nothing is refused."""

MAKE_ROOM = b"m"
"""What it is told when its successor is started only after it: to leave soon, and its queue to who follows."""


class Worker:
    """One process of a seat. Its standard input stays open: when that ends, its supervisor has died."""

    def __init__(self, process: subprocess.Popen[bytes], status: IO[bytes], begun: float) -> None:
        self.process = process
        self.status = status
        self.begun = begun
        self.ready: bool = False
        self.kill_at: float | None = None

    def tell(self, word: bytes) -> None:
        """Say something to the process. One that has just died hears nothing, and the reaper sees it."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(word)
            self.process.stdin.flush()

    def signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended.

        One that still imports is ended by SIGTERM: an interrupt would print where in an import it came.
        """
        if number == signal.SIGINT and not self.ready:
            number = signal.SIGTERM
        if self.process.poll() is None:
            self.process.send_signal(number)

    def reap(self) -> int | None:
        """Return the exit code of a process that has ended; below 0 it is the signal that killed it."""
        code = self.process.poll()
        if code is not None:
            for pipe in (self.process.stdin, self.status):
                if pipe is not None:
                    pipe.close()
            self.ready = False
        return code


class Seat:
    """One worker's place: its sockets stay while processes come and go.

    ``worker`` is who is to serve; ``successor`` is starting beside it, to take its place; ``leaving`` are those that
    were followed, and end what they have begun. ``kept``: somebody else keeps the listening socket open as well.
    """

    def __init__(
        self,
        index: int,
        listening: socket.socket,
        admin: socket.socket | None,
        *,
        kept: bool = False,
        command: Sequence[str] = (sys.executable, "-P", "-m", "mainstay.app.worker"),
    ) -> None:
        self.index = index
        self.kept = kept
        self._command = tuple(command)
        self.listening = listening
        self.admin = admin
        self.worker: Worker | None = None
        self.successor: Worker | None = None
        self.leaving: list[Worker] = []
        self.failures: int = 0
        self.restart_at: float | None = None

    @property
    def ready(self) -> bool:
        """Whether calls are taken here."""
        return self.worker is not None and self.worker.ready

    @property
    def workers(self) -> list[Worker]:
        """All processes of this seat."""
        return [*self.leaving, *(one for one in (self.worker, self.successor) if one is not None)]

    def start(self, make: Callable[[Seat, int], Spec], now: float) -> Worker:
        """Start a process for this seat: its worker, or the successor where it has one. Raises ``OSError``."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        spec = make(self, writing)
        take_again(self.listening)
        passed = [self.listening.fileno(), writing, *([self.admin.fileno()] if self.admin is not None else [])]
        try:
            process = subprocess.Popen(  # noqa: S603 - this interpreter, and a module of ours
                self._command,
                stdin=subprocess.PIPE,
                pass_fds=passed,
                process_group=0,  # what the terminal sends to all comes from the supervisor alone
            )
        except OSError:
            os.close(reading)
            raise
        finally:
            os.close(writing)
        made = Worker(process, os.fdopen(reading, "rb", buffering=0), now)
        self.restart_at = None
        if self.worker is None:
            self.worker = made
        else:
            self.successor = made
        made.tell(msgspec.json.encode(spec) + b"\n")
        return made

    def succeed(self, kill_at: float) -> None:
        """Put the successor in the place of the worker, and let that one leave."""
        assert self.successor is not None
        before, self.worker, self.successor = self.worker, self.successor, None
        if before is not None:
            before.kill_at = kill_at
            before.tell(HAND_OVER)
            self.leaving.append(before)

    def signal(self, number: int) -> None:
        """Send a signal to all processes of this seat."""
        for worker in self.workers:
            worker.signal(number)

    def close(self) -> None:
        """Let go of the sockets. A worker that has them goes on to listen."""
        self.listening.close()
        if self.admin is not None:
            self.admin.close()

    def lose(self, worker: Worker) -> None:
        """Take note that a process has ended. A successor that was starting is the worker from then on."""
        if worker in self.leaving:
            self.leaving.remove(worker)
        elif worker is self.successor:
            self.successor = None
        else:
            self.worker, self.successor = self.successor, None

    @property
    def steady_at(self) -> float | None:
        """When a worker that runs again after failures will count as steady, or None."""
        if self.worker is None or not self.ready or not self.failures:
            return None
        return self.worker.begun + STEADY_SECONDS

    def failed(self, begun: float, now: float, chance: float) -> float:
        """Count a death, and return the seconds until the next start: growing, and not those of the neighbours.

        ``begun`` is when the one that died was started.
        """
        steady = now - begun >= STEADY_SECONDS
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
    """What the supervisor tells its workers of their neighbours. ``whole``: all of them have been ready once."""

    workers: int
    ready: int
    failing: list[int] = []
    whole: bool = True


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
