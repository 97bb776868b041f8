"""An open load: requests at a rate that waits for no answer, to the versions that serve, and what came of them."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import msgspec

from mainstay.testing.rollout.contract import Contract
from mainstay.testing.rollout.known import Known, Row, parsed, row_of
from mainstay.testing.rollout.requests import Asking, Request
from mainstay.testing.rollout.wire import Arrived, Lost, Wire

ANSWER_SECONDS = 10.0
"""After which a request has failed."""

EXAMPLES = 5
_DRAWS = 8
_UNDER_WAY = 30
"""How many seconds' worth of requests may wait for their answers."""


class Served(msgspec.Struct, frozen=True):
    """A version that takes calls. ``name`` is ``old`` or ``new``."""

    name: str
    wire: Wire
    contract: Contract
    asking: Asking


class Step:
    """What came of the requests that were sent during one step of a rollout."""

    def __init__(self, name: str) -> None:
        self.name: str = name
        self.requests: int = 0
        self.failed: int = 0
        self.examples: list[str] = []
        self.statuses: Counter[int] = Counter()
        self.seconds: list[float] = []
        self.begun: float = time.monotonic()
        self.lasted: float = 0.0

    def fail(self, what: str) -> None:
        """Count a failure, and keep it as an example where there are few."""
        self.failed += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(what)

    def told(self) -> dict[str, Any]:
        """Return the facts. Times are in milliseconds, but for the step's own, in seconds."""
        ordered = sorted(self.seconds)

        def ms(part: float) -> float:
            return round(1000 * ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1) if ordered else 0.0

        return {
            "step": self.name,
            "seconds": round(self.lasted, 1),
            "requests": self.requests,
            "failed": self.failed,
            "examples": self.examples,
            "p50_ms": ms(0.5),
            "p99_ms": ms(0.99),
            "max_ms": ms(1),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
        }


class Load:
    """Clients of the versions in ``serving``: each request goes to one of them, by chance."""

    def __init__(self, known: Known, rate: float, chance: random.Random) -> None:
        self.serving: list[Served] = []
        self.versions: list[Served] = []
        self.steps: list[Step] = []
        self.asked: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self._known = known
        self._rate = rate
        self._chance = chance
        self._under_way: dict[asyncio.Task[Any], Served] = {}
        self._sender: asyncio.Task[None] | None = None

    def meet(self, served: Served) -> Served:
        """Know a version that could be asked."""
        self.versions.append(served)
        return served

    def begin(self, name: str) -> Step:
        """Begin a step: what is sent from now on belongs to it."""
        self.end()
        self.steps.append(Step(name))
        return self.steps[-1]

    def end(self) -> None:
        """End the step that is under way."""
        if self.steps:
            step = self.steps[-1]
            step.lasted = step.lasted or time.monotonic() - step.begun

    def start(self) -> None:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send())

    async def stop(self) -> None:
        """Send nothing more, and wait for what is under way."""
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.cancel()
            await asyncio.wait((sender,))
            if not sender.cancelled():
                sender.result()
        if self._under_way:
            await asyncio.wait(list(self._under_way))
        self.end()

    async def watch(self, seconds: float) -> None:
        """Let the load go on for a time. Raises what the sender met."""
        assert self._sender is not None
        ended, _ = await asyncio.wait((self._sender,), timeout=seconds)
        for one in ended:
            one.result()

    async def leave(self, served: Served) -> None:
        """Send nothing more to one version, and wait for what is under way there."""
        self.serving.remove(served)
        there = [task for task, version in self._under_way.items() if version is served]
        if there:
            await asyncio.wait(there)
        served.wire.close()

    async def _send(self) -> None:
        begun, due = time.monotonic(), 0.0
        while True:
            due += self._chance.expovariate(self._rate)
            await asyncio.sleep(max(0.0, begun + due - time.monotonic()))
            served = self._chance.choice(self.serving)
            if len(self._under_way) > self._rate * _UNDER_WAY:
                self.steps[-1].requests += 1
                self.steps[-1].fail(f"{served.name}: not sent: {len(self._under_way)} requests wait for an answer")
                continue
            request = next(filter(None, (served.asking.draw() for _ in range(_DRAWS))), None)
            if request is not None:
                task = asyncio.create_task(self.ask(served, request))
                self._under_way[task] = served
                task.add_done_callback(lambda ended: self._under_way.pop(ended, None))

    async def ask(self, served: Served, request: Request) -> Arrived | None:
        """Ask once, and keep count; None where there was no answer, or one that is a failure."""
        step, endpoint = self.steps[-1], request.endpoint
        what = f"{served.name}: {endpoint.method} {request.target} ({endpoint.name})"
        step.requests += 1
        self.asked[endpoint.name] += 1
        begun = time.monotonic()
        try:
            arrived = await served.wire.ask(
                endpoint.method, request.target, request.fields, request.body, seconds=ANSWER_SECONDS
            )
        except Lost as lost:
            step.fail(f"{what}: {lost}")
            return None
        step.seconds.append(time.monotonic() - begun)
        step.statuses[arrived.status] += 1
        complaint = served.contract.complaint(endpoint, arrived.status, arrived.media_type, arrived.body)
        if complaint is not None:
            step.fail(f"{what}: {complaint}")
            return None
        if arrived.status < 300:
            self._learn(served, request, arrived)
        return arrived

    def _learn(self, served: Served, request: Request, arrived: Arrived) -> None:
        endpoint = request.endpoint
        self.done[endpoint.name] += 1
        if endpoint.method == "DELETE":
            self._known.forget(request.id)
        schema = endpoint.answers[arrived.status]
        if schema is None:
            return
        value = parsed(arrived.body)
        self._known.learn(served.contract, schema, value, request.who)
        row = row_of(endpoint.entity, value, request.who, served.name)
        if row is not None:
            if "etag" in arrived.fields:
                self._known.tags[row.id] = arrived.fields["etag"]
            if endpoint.changes:
                self._known.made.append(row)


async def read_across(load: Load, known: Known, old: Served, new: Served, most: int) -> dict[str, int]:
    """Read the last rows that were written through each version through the other; return how many were read.

    What the version that wrote a row does not give any more to who wrote it is passed over: it may be gone.
    """
    counts = {"old_read_by_new": 0, "new_read_by_old": 0}
    for writer, reader, name in ((old, new, "old_read_by_new"), (new, old, "new_read_by_old")):
        rows = {row.id: row for row in reversed(known.made) if row.version == writer.name}
        for row in list(rows.values())[:most]:
            counts[name] += await _read_by_other(load, row, writer, reader)
    return counts


async def _read_by_other(load: Load, row: Row, writer: Served, reader: Served) -> int:
    """Read one row by both. Returns 1 where it was there to be read."""
    pairs = [(served, served.contract.getter(row.entity)) for served in (writer, reader)]
    for served, endpoint in pairs:
        if endpoint is None:
            return 0
        request = served.asking.make(endpoint, who=row.who, id_=row.id)
        arrived = None if request is None else await load.ask(served, request)
        if arrived is None:
            return 0
        if arrived.status >= 300:
            if served is reader:
                load.steps[-1].fail(
                    f"{reader.name}: {endpoint.name} answers {arrived.status} for {row.entity} {row.id}, "
                    f"which {writer.name} wrote and gives"
                )
            return 0
    return 1
