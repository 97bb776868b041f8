"""Measuring: a server pinned to one core, the load from another, processor time as the system counts it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from bench import processes
from bench.processes import TICK, pins
from bench.stores import Data

_CONNECTIONS = 64
_START_SECONDS = 60
_TAIL_BYTES = 1 << 20
_SETTLE_SECONDS = 10
_TICK_SECONDS = 1.5 / TICK  # what a server that does nothing may use while it is looked at
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Sample:
    """One run at full load: requests a second, processor us a request, latency percentiles in ms, failures.

    A request counts when it was answered with success: to turn one away is no work done. ``store`` is what the
    processes of the store used beside, 0 where it has none that can be seen.
    """

    rate: float
    cpu: float
    p50: float
    p99: float
    failures: int
    store: float = 0.0


@dataclass(frozen=True)
class Paced:
    """One run at a fixed rate: requests a second reached, latency in ms from when each was due, failures."""

    rate: float
    p50: float
    p99: float
    failures: int


class Server:
    """A contender's server: its own command, pinned to a core, its log in a file, ended by its process id."""

    def __init__(
        self,
        name: str,
        command: list[str],
        folder: Path,
        environment: dict[str, str],
        port: int,
        data: Data,
        table: str,
        work: Path,
        *,
        metrics: str = "",
    ) -> None:
        self.name = name
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.metrics = metrics or f"{self.url}/metrics"
        self.silent = "BENCH_SILENT" in environment
        self.data = data
        self.table = table
        self.log = work / f"{name}.log"
        self._command = command
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers. Raises ``RuntimeError`` with the end of its log where it does not."""
        with self.log.open("wb"):
            pass  # empty; appended to below, so that it can be emptied again while the server writes
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*pins()[0], *self._command],
                cwd=self._folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/hello", timeout=1).read()
            except (OSError, urllib.error.URLError):
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return
        tail = self.log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} does not answer at {self.url}/hello:\n{tail}")

    def stop(self) -> None:
        """End it, and what it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def settle(self) -> None:
        """Wait until it and its store have nothing left to do, which the next one would pay for, and empty its log.

        A run at full load leaves a request a connection behind, and up to a hundred megabytes of log.
        """
        deadline = time.monotonic() + _SETTLE_SECONDS
        used, now = -1.0, self.cpu() + self.data.cpu()
        while now - used > _TICK_SECONDS and time.monotonic() < deadline:
            time.sleep(0.2)
            used, now = now, self.cpu() + self.data.cpu()
        os.truncate(self.log, 0)

    def pids(self) -> list[int]:
        """Return the process and all that it started."""
        assert self._process is not None
        return processes.tree(self._process.pid)

    def cpu(self) -> float:
        """Return the processor seconds that it used so far, with those of children that ended."""
        return processes.seconds(self.pids())

    def memory(self) -> tuple[float, float]:
        """Return the memory in MB of the largest process, and of all: shared pages counted in parts (PSS)."""
        sizes = []
        for pid in self.pids():
            with contextlib.suppress(OSError):
                found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
                if found:
                    sizes.append(int(found[1]) / 1024)
        return max(sizes, default=0.0), sum(sizes)


def load(server: Server, script: str, seconds: float) -> Sample:
    """Send a script's requests on 64 connections, as fast as they are answered, for some seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        options = ["-t1", f"-c{_CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--latency", "-s", file.name]
        before, stored = server.cpu(), server.data.cpu()
        done = subprocess.run(
            [*pins()[1], "wrk", *options, server.url],
            capture_output=True,
            text=True,
            timeout=seconds + 60,
            check=True,
        )
        used, stored = server.cpu() - before, server.data.cpu() - stored
    sample = read(done.stdout, used, stored)
    if sample.failures:
        print(f"bench: {server.name}: {sample.failures} failed: {explain(done.stdout, server.log)}", file=sys.stderr)
    server.settle()
    return sample


def explain(said: str, log: Path) -> str:
    """Return what wrk and the end of a server's log say of failures."""
    lines = [line.strip() for line in said.splitlines() if "errors" in line or "Non-2xx" in line]
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        tail = file.read().decode(errors="replace").splitlines()
    refusals = [line for line in tail if re.search(r'"status": ?[45]\d\d', line)]
    return "; ".join([*lines, *refusals[-1:]])


def read(text: str, used: float, stored: float = 0.0) -> Sample:
    """Return what wrk said, with the processor seconds used. Raises ``RuntimeError`` where it said something else."""
    requests = int(_found(r"(\d+) requests in", text))
    failures = int(_found(r"Non-2xx or 3xx responses: (\d+)", text, "0"))
    lost = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    done = requests - failures
    return Sample(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", text)) * done / max(requests, 1),
        cpu=used / max(done, 1) * 1e6,
        p50=milliseconds(_found(r"50%\s+([\d.]+\w+)", text)),
        p99=milliseconds(_found(r"99%\s+([\d.]+\w+)", text)),
        failures=failures + (sum(map(int, lost.groups())) if lost else 0),
        store=stored / max(done, 1) * 1e6,
    )


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None:
        if default is None:
            raise RuntimeError(f"wrk printed no {pattern}:\n{text}")
        return default
    return match[1]


def milliseconds(text: str) -> float:
    """Return a duration as wrk writes it (``1.2ms``, ``850us``) in milliseconds."""
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("m", 60000.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def pace(server: Server, request: bytes, rate: int, seconds: float) -> Paced:
    """Send a request at a fixed rate whether or not answers come, for some seconds."""
    command = [*pins()[1], sys.executable, "-m", "bench.openloop", str(server.port), str(rate), str(seconds)]
    done = subprocess.run(
        command,
        input=request,
        capture_output=True,
        timeout=seconds + 120,
        check=False,
        cwd=Path(__file__).resolve().parent.parent,
    )
    if done.returncode:
        raise RuntimeError(f"{server.name}: {done.stderr.decode()[-1000:]}")
    server.settle()
    return Paced(**json.loads(done.stdout))


def spread(ratios: list[float]) -> tuple[float, float, float]:
    """Return the median of ratios, the least and the greatest."""
    return statistics.median(ratios), min(ratios), max(ratios)
