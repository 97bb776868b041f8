"""Processor time of one request inside the server: ``python -m bench.hotpath [--profile W3]``.

Bytes are fed to the protocol and taken from it in this process, on the production assembly: no socket, no client. What
is printed is the server's own work, in microseconds of processor time a request, the least of several rounds.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.__main__ import mint_token
from bench.peers import HERE, SECRET
from bench.workloads import FORM


class Wire(asyncio.Transport):
    """Takes what is written; ``answers`` counts what looks like the beginning of one."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = 0
        self.last = b""
        self.waiting: asyncio.Future[None] | None = None

    def write(self, data: Any) -> None:
        self.last = bytes(data)
        self.answers += 1
        if self.waiting is not None and not self.waiting.done():
            self.waiting.set_result(None)

    def writelines(self, parts: Any) -> None:
        self.write(b"".join(parts))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 40000) if name == "peername" else default

    def is_closing(self) -> bool:
        return False

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None: ...


ITEM = {"sku": "A", "name": "one", "price": "3.50", "stock": 3}


def message(method: str, path: str, body: Any = None, token: str | None = None) -> bytes:
    """Return a request as wrk sends it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1:9100"]
    data = b""
    if body is not None:
        data = json.dumps(body).encode()
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


async def measure(names: list[str], profile: str | None, count: int) -> dict[str, float]:
    """Return the least microseconds a request of each workload."""
    from mainstay.app.assembly import assemble
    from mainstay.app.doors import make_doors
    from mainstay.app.importing import import_service
    from mainstay.app.observing import make_observing
    from mainstay.app.settings import load

    settings = load(HERE / "apps" / "ours")
    observing = make_observing(settings)
    application = assemble(import_service(settings), settings, observer=observing.observer)
    async with application:
        doors = make_doors(application, observing=observing, siblings=None, documents={})
        found = await _measure(doors.main, application.ports.clock, names, profile, count)
    observing.close()
    return found


async def _measure(door: Any, clock: Any, names: list[str], profile: str | None, count: int) -> dict[str, float]:
    from mainstay.inbound.http.connections import Connections
    from mainstay.inbound.http.protocol import HttpProtocol

    protocol, wire = HttpProtocol(Connections(door, clock), asyncio.get_running_loop()), Wire()
    protocol.connection_made(wire)
    made = await _once(protocol, wire, message("POST", "/items", ITEM))
    requests = _requests(json.loads(made.partition(b"\r\n\r\n")[2])["id"])
    found = {}
    for name in names:
        first = await _once(protocol, wire, requests[name])
        if not first.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
            raise AssertionError(first)
        found[name] = await _rounds(protocol, wire, requests[name], count, profile == name)
    protocol.connection_lost(None)
    return found


def _requests(item: str) -> dict[str, bytes]:
    claims = {"iss": "bench", "aud": "bench", "sub": "0199c0de-0000-7000-8000-000000000007"}
    token = mint_token({**claims, "exp": int(time.time()) + 9999, "roles": ["manager"]})
    return {
        "W1": message("GET", "/hello"),
        "W2": message("POST", "/forms", FORM),
        "W3": message("POST", "/chain", FORM, token),
        "W4": message("GET", f"/items/{item}"),
    }


async def _once(protocol: Any, wire: Wire, data: bytes) -> bytes:
    wire.waiting = asyncio.get_running_loop().create_future()
    protocol.data_received(data)
    if not wire.waiting.done():
        await wire.waiting
    wire.waiting = None
    return wire.last


async def _rounds(protocol: Any, wire: Wire, data: bytes, count: int, profiled: bool) -> float:
    best = float("inf")
    gc.collect()
    for _ in range(7):
        best = min(best, await _round(protocol, wire, data, count))
    if profiled:
        import cProfile
        import pstats

        profiler = cProfile.Profile()
        profiler.enable()
        await _round(protocol, wire, data, count)
        profiler.disable()
        pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)
    return best


async def _round(protocol: Any, wire: Wire, data: bytes, count: int) -> float:
    loop = asyncio.get_running_loop()
    started = time.process_time()
    for _ in range(count):
        before = wire.answers
        protocol.data_received(data)
        if wire.answers == before:  # a read that a busy machine made long was moved to a thread
            wire.waiting = loop.create_future()
            await wire.waiting
            wire.waiting = None
    return (time.process_time() - started) / count * 1e6


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.hotpath", description=__doc__)
    parser.add_argument("--workloads", default="W1,W2,W3,W4")
    parser.add_argument("--profile", help="the workload to print a profile of")
    parser.add_argument("--count", type=int, default=5000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            MAINSTAY_PROFILE="test",
            MAINSTAY_AUTH_KEY=SECRET,
            MAINSTAY_SEALING_SECRET=SECRET + "-sealing",
            MAINSTAY_DATABASE_URL=f"sqlite:///{Path(folder) / 'hot.sqlite3'}",
            MAINSTAY_DATABASE_CREATE="true",
            MAINSTAY_LOG_FORMAT="json",
        )
        sys.path.insert(0, str(HERE / "apps" / "ours"))
        out = os.dup(1)
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 1)  # the log costs its write and goes nowhere
        from mainstay.app.serving import run_loop

        found: dict[str, float] = {}

        async def run() -> int:
            found.update(await measure(options.workloads.split(","), options.profile, options.count))
            return 0

        run_loop(run())
        os.dup2(out, 1)
    for name, microseconds in found.items():
        print(f"{name} {microseconds:8.2f} us {1e6 / microseconds:10,.0f} /s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
