"""Commands with an end in time, a log with an end, and one at a time: what the services are handled with."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

LOG_LINES = 20
KILL_SECONDS = 10.0


class ServiceError(Exception):
    """A service cannot be started or stopped; the message says what to do."""


def run(command: Sequence[str], log: Path, seconds: float, environ: Mapping[str, str]) -> str:
    """Run a command to its end, what it prints going to the log; answers what went wrong, or nothing.

    A command that takes longer is ended together with all that it started.
    """
    with log.open("ab") as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environ),
                start_new_session=True,
            )
        except OSError as fault:
            return str(fault)
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        return f"it did not end within {seconds:.0f} s"
    finally:
        _end(process)
    return f"it ended with {code}" if code else ""


def _end(process: subprocess.Popen[bytes]) -> None:
    for wish in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, wish)
            with suppress(subprocess.TimeoutExpired):
                process.wait(KILL_SECONDS)


def last_lines(log: Path) -> str:
    """The end of a log, for a message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return f"The last lines of {log}:\n" + "\n".join(f"  {line}" for line in lines[-LOG_LINES:] or ["(nothing)"])


@contextmanager
def alone(folder: Path, seconds: float) -> Iterator[None]:
    """Hold the lock of a folder; the system gives it back however the process ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        deadline = time.monotonic() + seconds
        while not _locked(handle):
            if time.monotonic() > deadline:
                raise ServiceError(f"another call has worked on {folder} for {seconds:.0f} s: wait for it, or end it")
            time.sleep(0.1)
        yield
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
