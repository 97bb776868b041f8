"""Measuring: a server pinned to one core, the load from another, processor time as the system counts it."""

from __future__ import annotations

import os
import re
import signal
import statistics
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TICK = os.sysconf("SC_CLK_TCK")
_CONNECTIONS = 64


@dataclass(frozen=True)
class Sample:
    """One run: requests a second, processor us a request, latency percentiles in ms, resident memory in MB."""

    rate: float
    cpu: float
    p50: float
    p99: float
    memory: float
    failures: int


class Server:
    """A contender's server: its own command, pinned to the first core, ended by pid."""

    def __init__(self, name: str, command: list[str], folder: Path, environment: dict[str, str], url: str) -> None:
        self.name = name
        self.url = url
        self._command = command
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None
        self._log = tempfile.NamedTemporaryFile(prefix=f"bench-{name}-", suffix=".log", delete=False)  # noqa: SIM115 - it lives as long as the server

    def start(self) -> None:
        """Start it and wait until it answers. Raises ``RuntimeError`` with the end of its log where it does not."""
        pin = ["taskset", "-c", "0"] if (os.cpu_count() or 1) > 1 else []
        self._process = subprocess.Popen(
            [*pin, *self._command], cwd=self._folder, env=self._environment, stdout=self._log, stderr=subprocess.STDOUT
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.url}/hello", timeout=1).read()
            except (OSError, urllib.error.URLError):
                if self._process.poll() is not None:
                    break
                time.sleep(0.1)
            else:
                return
        tail = Path(self._log.name).read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{self.name} does not answer at {self.url}/hello:\n{tail}")

    def stop(self) -> None:
        """End it, and what it started."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        Path(self._log.name).unlink(missing_ok=True)

    def _pids(self) -> list[int]:
        assert self._process is not None
        found, pending = [], [self._process.pid]
        while pending:
            pid = pending.pop()
            found.append(pid)
            try:
                children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            except OSError:
                continue
            pending.extend(map(int, children))
        return found

    def cpu(self) -> float:
        """Return the processor seconds used so far, with those of children."""
        total = 0.0
        for pid in self._pids():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            total += (int(fields[11]) + int(fields[12])) / _TICK
        return total

    def memory(self) -> float:
        """Return the resident memory in MB of the largest process."""
        sizes = []
        for pid in self._pids():
            try:
                sizes.append(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20)
            except OSError:
                continue
        return max(sizes, default=0.0)


def load(server: Server, script: str, seconds: float) -> Sample:
    """Send a script's requests on 64 connections for some seconds."""
    pin = ["taskset", "-c", "1"] if (os.cpu_count() or 1) > 1 else []
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        command = [*pin, "wrk", "-t1", f"-c{_CONNECTIONS}", f"-d{seconds:g}s", "--latency", "-s", file.name, server.url]
        before = server.cpu()
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=True)
        used = server.cpu() - before
    return _read(done.stdout, used, server.memory())


def _read(text: str, used: float, memory: float) -> Sample:
    requests = int(_found(r"(\d+) requests in", text))
    failures = int(_found(r"Non-2xx or 3xx responses: (\d+)", text, "0"))
    return Sample(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        cpu=used / max(requests, 1) * 1e6,
        p50=_milliseconds(_found(r"50%\s+([\d.]+\w+)", text)),
        p99=_milliseconds(_found(r"99%\s+([\d.]+\w+)", text)),
        memory=memory,
        failures=failures,
    )


def _found(pattern: str, text: str, default: str | None = None) -> str:
    match = re.search(pattern, text)
    if match is None:
        if default is None:
            raise RuntimeError(f"wrk printed no {pattern}:\n{text}")
        return default
    return match[1]


def _milliseconds(text: str) -> float:
    for unit, factor in (("us", 0.001), ("ms", 1.0), ("m", 60000.0), ("s", 1000.0)):
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise ValueError(text)


def median(samples: list[Sample], field: str) -> float:
    """Return the median of one figure."""
    return statistics.median(getattr(sample, field) for sample in samples)


def spread(ratios: list[float]) -> str:
    """Return the median of ratios with the least and the greatest."""
    return f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})"


def request(url: str, method: str, body: bytes | None, headers: dict[str, str]) -> tuple[int, Any]:
    """Send one request and return status and the decoded body."""
    import json

    sent = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(sent, timeout=10) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as error:
        return error.code, None
