"""The chain in this process: bytes into the protocol, bytes out of it, on the production assembly.

``python -m bench.hotpath [--workloads W1,W3] [--profile W3]`` prints the server's own work in microseconds of processor
time a request, the least of several rounds: no socket, no client. ``bench.gate`` counts the instructions of the same.
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
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from bench.workloads import FORM, SECRET, mint_token

HERE = Path(__file__).resolve().parent
NAMES = ("W1", "W2", "W3", "W4", "W5", "W6")
_SEEDS = 200
_EXPIRY = 4102444800  # the first second of 2100: the token's length, and so its cost, does not depend on the day


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

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None: ...

    def abort(self) -> None: ...


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


class Chain:
    """One connection of the service under measurement."""

    def __init__(self, protocol: Any, wire: Wire) -> None:
        self._protocol = protocol
        self._wire = wire
        self._loop = asyncio.get_running_loop()
        self._fixed: dict[str, bytes] = {}
        self._made = 0

    async def seed(self) -> None:
        """Put rows in, and learn the id of one."""
        for _ in range(_SEEDS):
            answer = await self.send(self._new_item())
            _succeeded(answer, "a new row")
        found = json.loads(answer.partition(b"\r\n\r\n")[2])["id"]
        claims = {"iss": "bench", "aud": "bench", "sub": "0199c0de-0000-7000-8000-000000000007"}
        token = mint_token({**claims, "exp": _EXPIRY, "roles": ["manager"]})
        self._fixed = {
            "W1": message("GET", "/hello"),
            "W2": message("POST", "/forms", FORM),
            "W3": message("POST", "/chain", FORM, token),
            "W4": message("GET", f"/items/{found}"),
            "W5": message("GET", "/items?limit=50"),
        }

    def _new_item(self) -> bytes:
        self._made += 1
        return message(
            "POST", "/items", {"sku": f"S{self._made:08}", "name": "made", "price": "3.50", "stock": self._made}
        )

    def request(self, name: str) -> bytes:
        """Return the next request of a workload; each of W6 makes another row."""
        return self._fixed.get(name) or self._new_item()

    async def send(self, data: bytes) -> bytes:
        """Give a request to the protocol; return what it wrote, which may be the beginning only of a long answer."""
        wire = self._wire
        before = wire.answers
        self._protocol.data_received(data)
        if wire.answers == before:  # a write waits for its commit, a read that a busy machine made long for a thread
            wire.waiting = self._loop.create_future()
            await wire.waiting
            wire.waiting = None
        return wire.last

    async def answer(self, name: str) -> bytes:
        """Answer the next request of a workload."""
        return await self.send(self.request(name))

    async def check(self, name: str) -> None:
        """Raise ``AssertionError`` where a workload is not answered with success."""
        _succeeded(await self.answer(name), name)


def _succeeded(answer: bytes, asked: str) -> None:
    if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 201")):
        raise AssertionError(f"{asked}: {answer!r}")


@asynccontextmanager
async def open_chain() -> AsyncIterator[Chain]:
    """Start the service as ``mainstay run`` does, without a socket."""
    from mainstay.app.assembly import assemble
    from mainstay.app.doors import make_doors
    from mainstay.app.importing import import_service
    from mainstay.app.observing import make_observing
    from mainstay.app.settings import load
    from mainstay.inbound.http.connections import Connections
    from mainstay.inbound.http.protocol import HttpProtocol

    settings = load(HERE / "apps" / "ours")
    observing = make_observing(settings)
    application = assemble(import_service(settings), settings, observer=observing.observer)
    async with application:
        doors = make_doors(application, observing=observing, siblings=None, documents={})
        wire = Wire()
        protocol = HttpProtocol(Connections(doors.main, application.ports.clock), asyncio.get_running_loop())
        protocol.connection_made(wire)
        chain = Chain(protocol, wire)
        await chain.seed()
        yield chain
        protocol.connection_lost(None)
    observing.close()


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine on the loop of production, with settings of a service on an empty database."""
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

        async def whole() -> int:
            await work()
            return 0

        try:
            run_loop(whole())
        finally:
            os.dup2(out, 1)


async def measure(names: list[str], profile: str | None, count: int) -> dict[str, float]:
    """Return the least microseconds a request of each workload."""
    found = {}
    async with open_chain() as chain:
        for name in names:
            await chain.check(name)
            gc.collect()
            found[name] = min([await _round(chain, name, count) for _ in range(7)])
            if profile == name:
                await _profile(chain, name, count)
    return found


async def _round(chain: Chain, name: str, count: int) -> float:
    requests = [chain.request(name) for _ in range(count)]
    send = chain.send
    started = time.process_time()
    for data in requests:
        await send(data)
    return (time.process_time() - started) / count * 1e6


async def _profile(chain: Chain, name: str, count: int) -> None:
    import cProfile
    import pstats

    profiler = cProfile.Profile()
    profiler.enable()
    await _round(chain, name, count)
    profiler.disable()
    pstats.Stats(profiler, stream=sys.stderr).sort_stats("tottime").print_stats(40)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="bench.hotpath", description=__doc__)
    parser.add_argument("--workloads", default=",".join(NAMES))
    parser.add_argument("--profile", help="the workload to print a profile of")
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    found: dict[str, float] = {}

    async def work() -> None:
        found.update(await measure(options.workloads.split(","), options.profile, options.count))

    run(work)
    for name, microseconds in found.items():
        print(f"{name} {microseconds:8.2f} us {1e6 / microseconds:10,.0f} /s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
