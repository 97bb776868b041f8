"""Load at a fixed rate: ``python -m bench.openloop PORT RATE SECONDS``, the request on standard input, JSON out.

Requests are due at moments that do not depend on answers (a Poisson stream with a fixed seed, the same for all), and a
latency counts from when its request was due, not from when it could be sent: a server that stalls is told by every
request that had to wait (no "coordinated omission"). ``{sku}`` in the request is replaced by a text never used before.
"""

from __future__ import annotations

import collections
import gc
import json
import random
import re
import select
import socket
import sys
import time

SKU_LENGTH = 29
_CONNECTIONS = 64
_SPIN = 0.0002  # seconds before a request is due in which to wait awake: a sleep may end that late
_PATIENCE = 10.0  # seconds for the answers after the last request, unless told otherwise
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Connection:
    """A connection that is idle or waits for one answer."""

    __slots__ = ("due", "received", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self.received = b""

    def fileno(self) -> int:
        return self.socket.fileno()

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at a moment."""
        self.due = due
        self.received = b""
        self.socket.sendall(request)

    def take(self) -> bytes:
        """Read what is there; return the whole answer once it is complete. Raises ``ConnectionError`` at an end."""
        data = self.socket.recv(262144)
        if not data:
            raise ConnectionError("the server closed a connection")
        self.received += data
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return b""
        length = _LENGTH.search(head)
        complete = len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")
        return self.received if complete else b""


def schedule(rate: float, seconds: float, seed: int = 1) -> list[float]:
    """Return when requests are due, in seconds from the beginning."""
    chance = random.Random(seed)
    moments, now = [], 0.0
    while (now := now + chance.expovariate(rate)) < seconds:
        moments.append(now)
    return moments


def percentile(values: list[float], share: float) -> float:
    """Return the value that a share of them does not exceed; the longest wait where there is none."""
    ordered = sorted(values) or [_PATIENCE]
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Run:
    """One run: what is due, what waits for a free connection, what is under way."""

    def __init__(self, port: int, request: bytes, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._idle = [Connection(port) for _ in range(_CONNECTIONS)]
        self._busy: set[Connection] = set()
        self._waiting: collections.deque[float] = collections.deque()
        self._request = request
        self._made = 0
        self._name = f"{time.time_ns():019}"
        self.latencies: list[float] = []
        self.failures = 0

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (*self._idle, *self._busy):
            connection.socket.close()

    def go(self, moments: list[float]) -> float:
        """Send everything, wait for the answers; return the seconds that it took."""
        began = time.perf_counter() + 0.05
        pending = collections.deque(began + moment for moment in moments)
        limit = pending[-1] + self._patience
        while (pending or self._waiting or self._busy) and time.perf_counter() < limit:
            now = time.perf_counter()
            while pending and pending[0] <= now:
                self._waiting.append(pending.popleft())
            self._send()
            pause = min(limit, pending[0] if pending else limit) - time.perf_counter() - _SPIN
            self._receive(max(0.0, pause))
        self.failures += len(pending) + len(self._waiting) + len(self._busy)
        return time.perf_counter() - began

    def _send(self) -> None:
        while self._waiting and self._idle:
            self._made += 1
            text = f"{self._name}-{self._made:09}".encode()
            connection = self._idle.pop()
            connection.send(self._request.replace(b"{sku}", text), self._waiting.popleft())
            self._busy.add(connection)

    def _receive(self, pause: float) -> None:
        ready = select.select(list(self._busy), [], [], pause)[0]
        for connection in ready:
            answer = connection.take()
            if answer:
                self.latencies.append(time.perf_counter() - connection.due)
                self.failures += not answer.startswith(b"HTTP/1.1 2")
                self._busy.discard(connection)
                self._idle.append(connection)


def main(port: int, rate: int, seconds: float) -> int:
    """Run and print."""
    with Run(port, sys.stdin.buffer.read()) as run:
        run.go(schedule(rate, min(1.0, seconds), seed=2))
        run.latencies.clear()
        gc.disable()  # a pause of ours would be told as one of the server
        took = run.go(schedule(rate, seconds))
    told = {
        "rate": len(run.latencies) / max(took, seconds),
        "p50": percentile(run.latencies, 0.5) * 1000,
        "p99": percentile(run.latencies, 0.99) * 1000,
        "failures": run.failures,
    }
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
