"""Cut connections to PostgreSQL and restart it under write load, and look for what was lost or done twice.

Clients write through two workers, most with an Idempotency-Key: those repeat a request until it is answered. Between
the service and a PostgreSQL of the drill's own stands a proxy that cuts one connection or all of them, or one in the
moment in which BEGIN, COMMIT or a statement that commits itself is sent or answered. After every ten cuts PostgreSQL is
shut down at once and started again. No acknowledged write may be lost, none done twice, no refused one kept; an unknown
outcome is told as such; liveness never fails; readiness is red while the database is away, and green soon after it is
back.

    scripts/drill cuts --count 200 --seed 7
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg
from served import HERE, Broken, Connection, Lost, Service, parse, serving, verdict

sys.path.insert(0, str(HERE.parent / "plugins"))

from own_postgres import OwnServer, own_server
from postgres_proxy import Proxy

CLIENTS = 10
JOTTERS = 16  # who only write, one request after the other: their commands share statements
LANES = ("0", "1", "2", "3")
HEALED_SECONDS = 2.0
IN_A_ROW = 8  # answers of new connections: with two workers they come from both
DRAINED_SECONDS = 60.0
SHARED = '"keyed") SELECT'  # the rows of several commands that only write; of one they are VALUES
MOMENTS = (
    ("Q", "BEGIN", "before"),
    ("Q", "COMMIT", "before"),
    ("Q", "COMMIT", "swallow"),
    ("S", "INSERT", "before"),
    ("S", "INSERT", "swallow"),
    ("E", "UPDATE", "before"),
    ("S", SHARED, "before"),
    ("S", SHARED, "swallow"),
)


class Load:
    """Clients, and what each was told."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self.kept: set[str] = set()  # acknowledged
        self.refused: set[str] = set()  # answered with a problem that says that nothing was changed
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.stopping = False
        self._port = port
        self._chance = chance
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let the clients begin."""
        self._tasks = [asyncio.create_task(self._client(jots=number >= CLIENTS)) for number in range(CLIENTS + JOTTERS)]

    async def stop(self) -> None:
        """Let each client bring what it is at to its end."""
        self.stopping = True
        async with asyncio.timeout(90):
            await asyncio.gather(*self._tasks)

    async def _client(self, *, jots: bool) -> None:
        connection = Connection(self._port)
        while not self.stopping:
            self._next += 1
            jot, keyed = jots or self._chance.random() < 0.5, self._chance.random() < 0.75
            mark = f"{'jot' if jot else 'entry'}.{self._next}"
            body = {"mark": mark, "keyed": keyed} | ({} if jot else {"lane": self._chance.choice(LANES)})
            path = "/jottings" if jot else "/entries"
            await (self._keyed if keyed else self._plain)(connection, path, body)
            await asyncio.sleep(self._chance.random() * (0.002 if jots else 0.03))
        connection.close()

    async def _keyed(self, connection: Connection, path: str, body: dict[str, Any]) -> None:
        """Repeat a request until it is answered; now and then once more, for the same answer."""
        mark, first = body["mark"], b""
        while True:
            try:
                answer = await connection.request("POST", path, body, {"Idempotency-Key": f'"{mark}"'})
            except Lost:
                self.counts["connections of clients lost"] += 1
                continue
            self.counts[f"keyed {answer.status} {answer.code}".strip()] += 1
            if answer.status == 201:
                replayed = answer.fields.get("idempotency-replayed") == "true"
                if first and (answer.raw != first or not replayed):
                    self.wrong.append(f"{mark}: a repeated key was answered otherwise")
                self.counts["replayed"] += replayed
                self.kept.add(mark)
                if first or self._chance.random() > 0.1:
                    return
                first = answer.raw
                continue
            if answer.status != 503 and answer.code != "idempotency_in_flight":
                self.wrong.append(f"{mark}: {answer.status} {answer.code}")
                return
            if "retry-after" not in answer.fields and answer.code == "commit_unknown":
                self.wrong.append(f"{mark}: commit_unknown, with a key but without Retry-After")
            await asyncio.sleep(0.03)

    async def _plain(self, connection: Connection, path: str, body: dict[str, Any]) -> None:
        """Send a request once."""
        mark = body["mark"]
        try:
            answer = await connection.request("POST", path, body)
        except Lost:
            self.counts["connections of clients lost"] += 1
            return
        self.counts[f"plain {answer.status} {answer.code}".strip()] += 1
        if answer.status == 201:
            self.kept.add(mark)
        elif answer.status != 503:
            self.wrong.append(f"{mark}: {answer.status} {answer.code}")
        elif answer.code != "commit_unknown":
            self.refused.add(mark)
        elif "retry-after" in answer.fields:
            self.wrong.append(f"{mark}: commit_unknown, without a key but with Retry-After")


async def ask(port: int, path: str) -> int:
    """Ask over a connection of its own, and return the status."""
    connection = Connection(port)
    try:
        return (await connection.request("GET", path, fields={"Connection": "close"}, seconds=10)).status
    finally:
        connection.close()


class Liveness:
    """Asks whether the service lives, all the time."""

    def __init__(self, port: int) -> None:
        self.asked = 0
        self.failed: Counter[str] = Counter()
        self._port = port
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            try:
                status = await ask(self._port, "/health")
            except Lost as lost:
                self.failed[str(lost)] += 1
            else:
                self.failed.update([str(status)] if status != 200 else [])
            self.asked += 1
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """Ask no more."""
        self._task.cancel()
        await asyncio.wait((self._task,))


class Breaker:
    """Cuts and restarts."""

    def __init__(
        self, service: Service, proxy: Proxy, server: OwnServer, load: Load, chance: random.Random, moment: int
    ) -> None:
        self.strikes: Counter[str] = Counter()
        self.restarts = 0
        self.wrong: list[str] = []
        self.slowest: dict[str, float] = {"write_after_cut": 0.0, "red": 0.0, "green": 0.0}
        self._service = service
        self._proxy = proxy
        self._server = server
        self._load = load
        self._chance = chance
        self._moments = MOMENTS if moment < 0 else MOMENTS[moment : moment + 1]
        self._share = 0.6 if moment < 0 else 1.0

    async def strike(self) -> None:
        """Cut in a random moment, and wait until a write is acknowledged again."""
        await asyncio.sleep(self._chance.random() * 0.2)
        if self._chance.random() < self._share:
            kind, text, act = self._chance.choice(self._moments)
            met = self._proxy.on(kind, text, act, self._chance.randint(1, 4))  # type: ignore[arg-type]
            await self._until(met.is_set, "no such message passed", 20)
            self.strikes[f"{act} {text}"] += 1
        elif self._chance.random() < 0.3:
            self._proxy.cut()
            self.strikes["all"] += 1
        else:
            self._proxy.cut(self._chance.randrange(len(self._proxy.passages) or 1))
            self.strikes["one"] += 1
        before = len(self._load.kept)
        taken = await self._until(lambda: len(self._load.kept) > before, "no write was acknowledged", 20)
        self.slowest["write_after_cut"] = max(self.slowest["write_after_cut"], taken)

    async def restart(self) -> None:
        """Shut PostgreSQL down at once, see readiness go red, start it, and see readiness go green."""
        await asyncio.to_thread(self._server.kill)
        await self._turns("red", 503)
        await asyncio.to_thread(self._server.start)
        await self._turns("green", 200)
        self.restarts += 1

    async def _turns(self, colour: str, status: int) -> None:
        """Wait until all workers say so; what counts is when the first answer of the row was asked for."""
        begun = time.monotonic()
        since, seen = begun, 0
        while seen < IN_A_ROW:
            at = time.monotonic()
            if at - begun > 20:
                raise Broken(f"readiness did not turn {colour}\n{self._service.said()}")
            if await ask(self._service.port, "/ready") != status:
                seen = 0
                await asyncio.sleep(0.02)
                continue
            since = at if seen == 0 else since
            seen += 1
        taken = since - begun
        self.slowest[colour] = max(self.slowest[colour], taken)
        if taken > HEALED_SECONDS:
            self.wrong.append(f"readiness turned {colour} after {taken:.1f} s")

    async def _until(self, done: Callable[[], bool], what: str, seconds: float) -> float:
        begun = time.monotonic()
        while not done():
            if time.monotonic() - begun > seconds:
                raise Broken(f"{what} for {seconds} s\n{self._service.said()}")
            await asyncio.sleep(0.005)
        return time.monotonic() - begun


async def drill(
    service: Service, proxy: Proxy, server: OwnServer, wanted: Any, chance: random.Random
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Cut so many times; return the faults and the figures."""
    load = Load(service.port, chance)
    breaker = Breaker(service, proxy, server, load, chance, wanted.moment)
    count = wanted.count
    liveness = Liveness(service.port)
    load.start()
    for number in range(1, count + 1):
        await breaker.strike()
        if number % 10 == 0 or number == count < 10:
            await breaker.restart()
            print(f"{number} cuts, {breaker.restarts} restarts, {len(load.kept)} writes acknowledged", flush=True)
    await load.stop()
    await liveness.stop()
    proxy.forget()
    faults = await settled(server, load)
    found = {"wrong_answers": load.wrong[:5], "readiness": breaker.wrong[:5], "liveness": dict(liveness.failed)}
    faults |= {name: what for name, what in found.items() if what}
    if load.wrong:
        faults["tracebacks"] = service.tracebacks()[:3]
    figures = {
        "cuts": breaker.strikes.total(),
        "restarts": breaker.restarts,
        "struck": dict(breaker.strikes),
        "acknowledged": len(load.kept),
        "refused": len(load.refused),
        "liveness_asked": liveness.asked,
        "slowest_seconds": {name: round(seconds, 2) for name, seconds in breaker.slowest.items()},
        "answers": dict(load.counts),
    }
    return faults, figures


WAITING = """(SELECT count(*) FROM mainstay_outbox)
    + (SELECT count(*) FROM mainstay_inbox WHERE state = 'pending')"""


async def settled(server: OwnServer, load: Load) -> dict[str, Any]:
    """Wait until every event was delivered, and look at what there is."""
    connection = await asyncpg.connect(server.url)
    try:
        deadline = time.monotonic() + DRAINED_SECONDS
        while await connection.fetchval(f"SELECT {WAITING}"):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.1)
        found = await look(connection.fetch, load)
    finally:
        await connection.close()
    return {name: what for name, what in found.items() if what}


async def look(fetch: Callable[[str], Awaitable[list[Any]]], load: Load) -> dict[str, Any]:
    """Return what is wrong with the rows."""
    marks = {mark: times for mark, times in await fetch("SELECT mark, count(*) FROM ledger_entry GROUP BY mark")}
    effects = await fetch("SELECT consumer, mark, count(*) FROM ledger_effect GROUP BY 1, 2")
    entries = sum(times for mark, times in marks.items() if mark.startswith("entry."))
    records = f"""SELECT (SELECT n FROM ledger_total), (SELECT sum(disorder)::int FROM ledger_lane),
        (SELECT count(*) FROM mainstay_idempotency), (SELECT count(*) FROM ledger_entry WHERE keyed),
        {WAITING}"""
    total, disorder, keys, keyed, waiting = (await fetch(records))[0]
    return {
        "lost": sorted(load.kept - marks.keys())[:5],
        "applied_twice": sorted(mark for mark, times in marks.items() if times > 1)[:5],
        "refused_but_kept": sorted(load.refused & marks.keys())[:5],
        "effects_twice": sorted(mark for _, mark, times in effects if times > 1)[:5],
        "effects_missing": 2 * entries - sum(times for _, _, times in effects),
        "half_done": [pair for pair in ((entries, total), (keyed, keys)) if pair[0] != pair[1]],
        "out_of_order": disorder,
        "undelivered": waiting,
    }


async def run(server: OwnServer, wanted: Any, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Serve the ledger through the proxy, and drill it."""
    async with Proxy(server.port).open() as proxy:
        url = server.url.replace(str(server.port), str(proxy.port))
        with contextlib.ExitStack() as stack:
            given = {"workers": wanted.workers, "package": wanted.package, "MAINSTAY_DATABASE_URL": url}
            service = await asyncio.to_thread(stack.enter_context, serving(**given))
            return await drill(service, proxy, server, wanted, chance)


def main(arguments: Sequence[str]) -> int:
    """Cut ``--count`` times, and restart PostgreSQL after each ten; ``--moment`` is one of ``MOMENTS`` to cut in."""
    wanted = parse(arguments, __doc__, workers=2, moment=-1)
    with own_server() as server:
        faults, figures = asyncio.run(run(server, wanted, random.Random(wanted.seed)))
    return verdict(faults, seed=wanted.seed, workers=wanted.workers, **figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
