"""Clients that are slow on purpose, many at once, in a process of their own.

headers  a head that never ends, two bytes a second
body     a body that never ends, two bytes a second
read     answers that are taken two bytes a second
mixed    a third of each

    python herd.py PORT KIND COUNT SECONDS
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path

HEAD = b"GET /pid HTTP/1.1\r\nHost: ledger\r\nX-Slow: "
BODY = b"POST /entries HTTP/1.1\r\nHost: ledger\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
READ = b"GET /openapi.json HTTP/1.1\r\nHost: ledger\r\n\r\n" * 400
KINDS = {"headers": (HEAD,), "body": (BODY,), "read": (READ,), "mixed": (HEAD, BODY, READ)}
OPEN = {"01", "02", "03"}  # states of TCP in which a server holds a connection for its client


class Slow:
    """One of them: what it says first, and then a byte at a time."""

    def __init__(self, port: int, said: bytes) -> None:
        self.reads = said is READ
        self.socket = socket.socket()
        if self.reads:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            self.socket.send(said)

    def step(self) -> None:
        """Give a byte, or take one."""
        if self.reads:
            self.socket.recv(1)
        else:
            self.socket.send(b"x")


def held(port: int) -> set[int]:
    """Return the other ends' ports of the connections that a server of this machine holds.

    The clients cannot tell: one that takes nothing does not take the news either that the connection has ended.
    """
    found = set()
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if int(local.rpartition(":")[2], 16) == port and state in OPEN:
            found.add(int(remote.rpartition(":")[2], 16))
    return found


def drive(port: int, kind: str, count: int, seconds: float) -> dict[str, float]:
    """Open connections, be slow on them, and return how many were closed and how long the last lived."""
    living: dict[int, tuple[Slow, float]] = {}
    for number in range(count):
        said = KINDS[kind]
        one = Slow(port, said[number % len(said)])
        living[one.socket.getsockname()[1]] = (one, time.monotonic())
    print(json.dumps({"opened": count}), flush=True)
    longest, end = 0.0, time.monotonic() + seconds
    while living and time.monotonic() < end:
        time.sleep(0.5)
        now, open_ = time.monotonic(), held(port)
        for number in living.keys() - open_:
            one, since = living.pop(number)
            longest = max(longest, now - since)
            one.socket.close()
        for one, _ in living.values():
            with contextlib.suppress(OSError):  # it has been closed since
                one.step()
    return {"closed": count - len(living), "longest": round(longest, 2)}


def main(arguments: Sequence[str]) -> int:
    """Be slow as told."""
    port, kind, count, seconds = arguments
    print(json.dumps(drive(int(port), kind, int(count), float(seconds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
