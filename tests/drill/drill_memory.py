"""Serve a million requests in the production profile, and watch what memory a worker takes.

Writes come first, each with a key, an event and its consumers, then reads of one row, sent ahead on several
connections. The worker must stay below 64 MB (``--limit``), and must not grow once it is warm: after the first tenth of
the reads it may take 3 MB more until the end. A process that watches over it must stay below 35.

    scripts/drill memory --count 1000000
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from typing import Any

from served import Connection, Service, ask, head, parse, serving, verdict
from watch import held

CONNECTIONS, AHEAD, WRITES = 16, 25, 2000
GROWTH = 3.0  # MB from the first tenth to the end
SUPERVISOR = 35.0  # MB


async def write(port: int, count: int) -> str:
    """Write so many entries over several connections, and return the path of the last."""
    connections = [Connection(port) for _ in range(CONNECTIONS)]
    paths: list[str] = []

    async def client(which: int) -> None:
        for number in range(which, count, CONNECTIONS):
            body = {"mark": str(number), "lane": str(which % 4), "keyed": True}
            answer = await connections[which].request("POST", "/entries", body, {"Idempotency-Key": f'"{number}"'})
            if answer.status != 201:
                raise RuntimeError(f"a write was answered {answer.status} {answer.code}")
            paths.append(f"/entries/{answer.body['id']}")

    await asyncio.gather(*(client(which) for which in range(CONNECTIONS)))
    for connection in connections:
        connection.close()
    return paths[-1]


class Reads:
    """Requests of one kind, sent ahead on several connections."""

    def __init__(self, port: int, path: str) -> None:
        self._port = port
        self._request = head("GET", path, b"", {"Accept": "application/json"})
        self.done = 0

    async def run(self, count: int) -> None:
        """Make so many more."""
        share = count // CONNECTIONS // AHEAD
        await asyncio.gather(*(self._client(share) for _ in range(CONNECTIONS)))

    async def _client(self, rounds: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._request)
        top = await reader.readuntil(b"\r\n\r\n")
        length = int(top.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        size = len(top) + length  # every answer is as long: the id of the request is of one length
        batch = self._request * AHEAD
        for _ in range(rounds):
            writer.write(batch)
            answers = await reader.readexactly(size * AHEAD)
            if answers.count(b"HTTP/1.1 200 OK") != AHEAD:
                raise RuntimeError(f"a read was not answered 200: {answers[:300]!r}")
            self.done += AHEAD
        writer.close()


async def drill(service: Service, count: int) -> tuple[list[float], dict[str, Any]]:
    """Return the memory at the start, after the writes, and after each tenth of the reads."""
    pid = service.children()[0]
    memory = [held(pid).resident]
    path = await write(service.port, min(WRITES, count))
    memory.append(held(pid).resident)
    reads = Reads(service.port, path)
    begun = time.monotonic()
    for _ in range(10):
        await reads.run(count // 10)
        memory.append(held(pid).resident)
    seconds = time.monotonic() - begun
    return memory, {"reads": reads.done, "reads_per_second": int(reads.done / seconds)}


def main(arguments: Sequence[str]) -> int:
    """Make ``--count`` requests."""
    wanted = parse(arguments, __doc__, limit=64)
    patient = {"MAINSTAY_HTTP_QUEUE_TARGET_MS": "0"}  # who sends so many ahead has them queue, and is not turned away
    with serving(production=True, package=wanted.package, **patient) as service:
        memory, figures = asyncio.run(drill(service, wanted.count))
        supervisor = held(service.pid).resident if service.children() != [service.pid] else 0.0
        status, _ = ask(service.port, "/ready")
    growth = memory[-1] - memory[2]
    faults: dict[str, Any] = {}
    if max(memory) > wanted.limit:
        faults["megabytes"] = [max(memory), wanted.limit]
    if supervisor > SUPERVISOR:
        faults["supervisor"] = [supervisor, SUPERVISOR]
    if growth > GROWTH:
        faults["growth"] = [growth, GROWTH]
    if status != 200:
        faults["ready"] = status
    told = [round(one, 1) for one in memory]
    return verdict(faults, **figures, megabytes=told, growth=round(growth, 2), supervisor=round(supervisor, 1))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
