"""A load generator: many connections, requests encoded beforehand, and a rate that does not wait for answers.

One thread on `epoll`, with no pipelining: each connection has one request under way at most. An open loop sends at the
times of a Poisson process, whatever becomes of the requests before; a closed loop sends when an answer has come.
"""

from __future__ import annotations

import random
import select
import socket
import time
from array import array
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from served import quantile

ROOM = 1 << 18  # bytes read at once
END = object()


class Request(NamedTuple):
    """What is sent, and how often among all."""

    name: str
    weight: int
    raw: bytes


class Found:
    """What came of a load. Seconds are counted from sending to the whole answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.sent = 0
        self.unsent = 0  # there was no connection free
        self.lost = 0  # the connection ended without an answer
        self.statuses: Counter[tuple[str, int]] = Counter()
        self.codes: Counter[str] = Counter()  # of problems
        self.served = array("d")
        self.served_at = array("d")
        self.refused = array("d")
        self.refused_at = array("d")
        self.late = array("d")  # of the generator itself

    @property
    def goodput(self) -> float:
        """Calls served a second."""
        return len(self.served) / self.seconds

    @property
    def rate(self) -> float:
        """Requests sent a second."""
        return self.sent / self.seconds

    def p(self, part: float, since: float = 0.0, until: float = 1e9) -> float:
        """Return a quantile of the seconds of served calls that were answered in a part of the time."""
        pairs = zip(self.served_at, self.served, strict=True)
        found = [took for at, took in pairs if since <= at < until]
        return quantile(found, part) if found else 0.0

    def told(self) -> dict[str, object]:
        """Return the figures for people. Times are in milliseconds."""

        def ms(seconds: Sequence[float], part: float) -> float:
            return round(1000 * quantile(seconds, part), 2) if seconds else 0.0

        statuses: Counter[int] = Counter()
        for (_, status), times in self.statuses.items():
            statuses[status] += times
        return {
            "sent_a_second": round(self.rate),
            "served_a_second": round(self.goodput),
            "served_ms": {"p50": ms(self.served, 0.5), "p99": ms(self.served, 0.99), "max": ms(self.served, 1)},
            "refused_ms": {"p50": ms(self.refused, 0.5), "p99": ms(self.refused, 0.99), "max": ms(self.refused, 1)},
            "statuses": {str(status): times for status, times in sorted(statuses.items())},
            "unsent": self.unsent,
            "lost": self.lost,
            "generator_late_ms": {"p99": ms(self.late, 0.99), "max": ms(self.late, 1)},
        }


class _One:
    """A connection."""

    __slots__ = ("at", "buffer", "name", "socket")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.buffer = b""
        self.name = ""
        self.at = 0.0


class Generator:
    """The clients of one service."""

    def __init__(self, port: int, requests: Sequence[Request], connections: int, seed: int) -> None:
        self._port = port
        self._chance = random.Random(seed)
        self._epoll = select.epoll()
        self._all: dict[int, _One] = {}
        self._idle: deque[_One] = deque()
        for _ in range(connections):
            self._connect()
        drawn = [one for one in requests for _ in range(one.weight)]
        self._requests = [self._chance.choice(drawn) for _ in range(4096)]
        self._next = 0

    def close(self) -> None:
        """Leave."""
        for one in self._all.values():
            one.socket.close()
        self._epoll.close()

    def _connect(self) -> None:
        one = _One(self._port)
        self._all[one.socket.fileno()] = one
        self._epoll.register(one.socket.fileno(), select.EPOLLIN)
        self._idle.append(one)

    def _send(self, found: Found) -> None:
        one = self._idle.popleft()
        self._next = (self._next + 1) % len(self._requests)
        request = self._requests[self._next]
        one.name = request.name
        one.at = time.monotonic()
        try:
            one.socket.send(request.raw)
        except OSError:
            self._lose(one, found)
            return
        found.sent += 1

    def _lose(self, one: _One, found: Found) -> None:
        found.lost += 1
        self._epoll.unregister(one.socket.fileno())
        del self._all[one.socket.fileno()]
        one.socket.close()
        self._connect()

    def _receive(self, one: _One, found: Found, begun: float) -> bool:
        """Take input. Returns whether an answer is whole."""
        try:
            data = one.socket.recv(ROOM)
        except OSError:
            data = b""
        if not data:
            self._lose(one, found)
            return False
        if one.buffer:
            data = one.buffer + data
        end = data.find(b"\r\n\r\n")
        length = data.find(b"ontent-Length: ")
        if end < 0 or len(data) < end + 4 + int(data[length + 15 : data.index(b"\r", length)]):
            one.buffer = data
            return False
        one.buffer = b""
        now = time.monotonic()
        status = int(data[9:12])
        found.statuses[one.name, status] += 1
        if status < 400:
            found.served.append(now - one.at)
            found.served_at.append(now - begun)
        else:
            found.refused.append(now - one.at)
            found.refused_at.append(now - begun)
            found.codes[data.partition(b'"code":"')[2].partition(b'"')[0].decode()] += 1
        if b"Connection: close" in data[:end]:
            self._lose(one, found)
            found.lost -= 1  # it was answered
            return False
        self._idle.append(one)
        return True

    def closed(self, clients: int, seconds: float) -> Found:
        """Let so many clients ask again at once whenever they are answered."""
        found = Found(seconds)
        begun = time.monotonic()
        for _ in range(clients):
            self._send(found)
        while time.monotonic() < begun + seconds:
            for fd, _ in self._epoll.poll(0.1):
                if self._receive(self._all[fd], found, begun):
                    self._send(found)
        self._settle(found, begun)
        return found

    def open(self, rate: float, seconds: float, beside: Callable[[float], object] | None = None) -> Found:
        """Send at a mean rate; ``beside`` is called now and then with the seconds since the beginning.

        Where it returns ``END`` the load ends there.
        """
        found = Found(seconds)
        begun = time.monotonic()
        due = 0.0
        gap = self._chance.expovariate
        while True:
            now = time.monotonic() - begun
            if now >= seconds:
                break
            sends = 0
            while due <= now and sends < 64:  # and look for answers in between
                sends += 1
                if self._idle:
                    self._send(found)
                else:
                    found.unsent += 1
                if not sends & 15:
                    found.late.append(now - due)
                due += gap(rate)
            for fd, _ in self._epoll.poll(0 if due <= now else min(due - now, 0.01), 256):
                self._receive(self._all[fd], found, begun)
            if beside is not None and beside(now) is END:
                found.seconds = now
                break
        self._settle(found, begun)
        return found

    def _settle(self, found: Found, begun: float) -> None:
        """Wait for what is under way."""
        end = time.monotonic() + 5
        while len(self._idle) < len(self._all) and time.monotonic() < end:
            for fd, _ in self._epoll.poll(0.1):
                self._receive(self._all[fd], found, begun)
        for one in list(self._all.values()):
            if one not in self._idle:
                self._lose(one, found)
