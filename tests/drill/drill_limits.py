"""Ask three workers for more than a limit allows: it is one limit, and one scrape counts every call.

Clients with connections to all workers ask at once. A token bucket and a sliding window must each admit exactly their
quota, however the calls fall; each answer says what is left. Then /metrics, asked of each worker in turn, must tell of
exactly the calls that were made.

    scripts/drill limits --count 600 --seed 7
"""

from __future__ import annotations

import asyncio
import random
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

from served import Connection, Service, parse, serving, verdict

CLIENTS = 24
QUOTAS = {"/bucket": ("bucket", 100), "/window": ("window", 70)}
LONGEST = 2 * 86400  # seconds: at the beginning of a window of a day, all of it and a part of the next
SERIES = re.compile(r'^mainstay_calls_total\{operation="(\w+)",status="(\d+)"\} ([\d.e+]+)$', re.MULTILINE)


class Asking:
    """Clients, and how often each operation gave which status."""

    def __init__(self, service: Service, chance: random.Random) -> None:
        self.calls: Counter[tuple[str, int]] = Counter()
        self.by_worker: Counter[int] = Counter()
        self.faults: dict[str, Any] = {}
        self._service = service
        self._chance = chance
        self._connections = [Connection(service.port) for _ in range(CLIENTS)]

    async def run(self, count: int) -> None:
        """Ask so often, in any order, over all connections; then scrape."""
        for connection in self._connections:
            answer = await connection.request("GET", "/pid")
            self.by_worker[answer.body] += 1
            self.calls["get_pid", answer.status] += 1
        if len(self.by_worker) != self._service.workers:
            self.faults["workers"] = f"the connections met {len(self.by_worker)} only"
        paths = [self._chance.choice(list(QUOTAS)) for _ in range(count)]
        await asyncio.gather(*(self._client(connection, paths) for connection in self._connections))
        self._judge_admitted()
        await self._scrape()
        for connection in self._connections:
            connection.close()

    async def _client(self, connection: Connection, paths: list[str]) -> None:
        while paths:
            path = paths.pop()
            name, quota = QUOTAS[path]
            answer = await connection.request("GET", path)
            self.calls[name, answer.status] += 1
            if answer.status not in (200, 429) or "ratelimit" not in answer.fields:
                self.faults.setdefault("answers", []).append([path, answer.status, answer.fields])
            if answer.status == 429 and not 0 < int(answer.fields.get("retry-after", "0")) <= LONGEST:
                self.faults["retry_after"] = answer.fields
            if f"q={quota}" not in answer.fields.get("ratelimit-policy", ""):
                self.faults["policy"] = answer.fields

    def _judge_admitted(self) -> None:
        for name, quota in QUOTAS.values():
            if self.calls[name, 200] != quota:
                self.faults[f"{name} admitted"] = [self.calls[name, 200], quota]

    async def _scrape(self) -> None:
        for connection in self._connections:
            answer = await connection.request("GET", "/metrics")
            text = answer.raw.decode()
            told = {(name, int(status)): int(float(n)) for name, status, n in SERIES.findall(text)}
            differing = {
                f"{name} {status}": [told.get((name, status), 0), n]
                for (name, status), n in self.calls.items()
                if told.get((name, status), 0) != n
            }
            if differing:
                self.faults["metrics"] = differing
            if f"mainstay_workers {float(self._service.workers)}" not in text:
                self.faults["scrape"] = "it did not reach all workers"


def main(arguments: Sequence[str]) -> int:
    """Ask ``--count`` times, which should be twice the quotas at least."""
    wanted = parse(arguments, __doc__, workers=3, alone=0)
    environ = {"MAINSTAY_LIMITS_ENGINE": "memory"} if wanted.alone else {}  # each worker for itself: must be noticed
    with serving(workers=wanted.workers, package=wanted.package, **environ) as service:
        asking = Asking(service, random.Random(wanted.seed))
        asyncio.run(asking.run(max(wanted.count, 400)))
    figures = {f"{name} {status}": n for (name, status), n in sorted(asking.calls.items())}
    return verdict(asking.faults, seed=wanted.seed, connections=list(asking.by_worker.values()), calls=figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
