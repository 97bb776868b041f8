"""Kill the service's processes at random moments under write load, and look for what was lost or done twice.

Clients write over several connections, with and without an Idempotency-Key; each write emits an event that two
consumers turn into rows. ``kill -9`` meets the one process, some workers of three, or their supervisor; what is gone is
started again, and clients repeat what has a key. No acknowledged write may be lost, no key applied twice, no refused
write kept, no committed event undelivered, delivered twice or out of its order; the file must be whole.

    scripts/drill kill --count 200 --seed 7
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from served import Broken, Connection, Lost, Service, kill, parse, serving, verdict, wait_gone

CONNECTIONS = 16
LANES = ("0", "1", "2", "3")  # of events that must come in order; several clients write to each
DRAINED_SECONDS = 40.0  # a lease of 10 s, and what was left to deliver


class Load:
    """Clients, and what each was told."""

    def __init__(self, port: int, chance: random.Random) -> None:
        self.kept: set[str] = set()  # acknowledged
        self.refused: set[str] = set()  # answered with a problem that says nothing was changed
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []  # answers that should never have been given
        self.stopping = False
        self._port = port
        self._chance = chance
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let the clients begin."""
        self._tasks = [asyncio.create_task(self._client(name)) for name in range(CONNECTIONS)]

    async def stop(self) -> None:
        """Let each client bring what it is at to its end."""
        self.stopping = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def _client(self, name: int) -> None:
        connection = Connection(self._port)
        chance = self._chance
        while not self.stopping:
            self._next += 1
            mark = f"{name}.{self._next}"
            if chance.random() < 0.7:
                await self._keyed(connection, chance.choice(LANES), mark)
            else:
                await self._plain(connection, chance.choice(LANES), mark, refuse=chance.random() < 0.3)
            await asyncio.sleep(chance.random() * 0.02)
        connection.close()

    async def _keyed(self, connection: Connection, lane: str, mark: str) -> None:
        """Repeat one request until it is answered; now and then once more, for the same answer."""
        body = {"mark": mark, "lane": lane, "keyed": True}
        first: bytes | None = None
        while True:
            try:
                answer = await connection.request("POST", "/entries", body, {"Idempotency-Key": f'"{mark}"'})
            except Lost:
                self.counts["lost connections"] += 1
                await asyncio.sleep(0.05 + self._chance.random() * 0.2)
                continue
            replayed = answer.fields.get("idempotency-replayed") == "true"
            self.counts["replayed"] += replayed
            if answer.status == 201:
                if first is not None and (answer.raw != first or not replayed):
                    self.wrong.append(f"{mark}: a repeated key was answered otherwise")
                self.kept.add(mark)
                if first is not None or self._chance.random() > 0.1:
                    return
                first = answer.raw
            elif answer.status != 503 and answer.code != "idempotency_in_flight":
                self.wrong.append(f"{mark}: {answer.status} {answer.code}")
                return
            else:
                self.counts[answer.code] += 1
                await asyncio.sleep(0.02)

    async def _plain(self, connection: Connection, lane: str, mark: str, *, refuse: bool) -> None:
        try:
            answer = await connection.request("POST", "/entries", {"mark": mark, "lane": lane, "refuse": refuse})
        except Lost as lost:
            self.counts["unknown" if lost.sent else "lost connections"] += 1
            await asyncio.sleep(0.05 + self._chance.random() * 0.2)
            return
        if answer.status == 201 and not refuse:
            self.kept.add(mark)
        elif (answer.status == 503 and answer.code != "commit_unknown") or (refuse and answer.code == "refused"):
            self.counts[answer.code] += 1
            self.refused.add(mark)
        elif answer.status != 503:
            self.wrong.append(f"{mark}: {answer.status} {answer.code}")


def look(service: Service, load: Load, *, whole: bool = False) -> dict[str, Any]:
    """Return what is wrong with the file on one snapshot of it. ``whole``: nothing is under way any more."""
    kept, refused = set(load.kept), set(load.refused)
    file = sqlite3.connect(service.database, isolation_level=None, timeout=10)
    try:
        file.execute("PRAGMA query_only = on")
        file.execute("BEGIN")
        found = {**_rows(file, kept, refused), **_together(file), **(_at_the_end(file) if whole else {})}
    finally:
        file.close()
    faults = {name: what for name, what in found.items() if what}
    if load.wrong and (whole or faults):
        faults["wrong_answers"] = load.wrong[:5]
        faults["tracebacks"] = service.tracebacks()[:3]
    return faults


def _rows(file: sqlite3.Connection, kept: set[str], refused: set[str]) -> dict[str, Any]:
    marks = Counter(mark for (mark,) in file.execute("SELECT mark FROM ledger_entry"))
    effects = Counter(file.execute("SELECT consumer, mark FROM ledger_effect").fetchall())
    return {
        "lost": sorted(kept - marks.keys())[:5],
        "applied_twice": sorted(mark for mark, times in marks.items() if times > 1)[:5],
        "refused_but_kept": sorted(refused & marks.keys())[:5],
        "effects_twice": sorted(effect for effect, times in effects.items() if times > 1)[:5],
        "effects_of_nothing": sorted({mark for _, mark in effects} - marks.keys())[:5],
    }


def _together(file: sqlite3.Connection) -> dict[str, Any]:
    """What commits together is there together."""
    entries, keyed = file.execute("SELECT count(*), coalesce(sum(keyed), 0) FROM ledger_entry").fetchone()
    pairs = {
        "total": (entries, _one(file, "SELECT n FROM ledger_total")),
        "lanes": (entries, _one(file, "SELECT sum(n) FROM ledger_lane")),
        "idempotency": (keyed, _one(file, "SELECT count(*) FROM mainstay_idempotency")),
        "inbox": (
            _one(file, "SELECT count(*) FROM ledger_effect"),
            _one(file, "SELECT count(*) FROM mainstay_inbox WHERE state = 'done'"),
        ),
    }
    return {
        "half_done": {name: pair for name, pair in pairs.items() if pair[0] != pair[1]},
        "out_of_order": _one(file, "SELECT sum(disorder) FROM ledger_lane"),
        "dead_letters": _one(file, "SELECT count(*) FROM mainstay_inbox WHERE state = 'dead'"),
    }


def _at_the_end(file: sqlite3.Connection) -> dict[str, Any]:
    entries = _one(file, "SELECT count(*) FROM ledger_entry")
    effects = _one(file, "SELECT count(*) FROM ledger_effect")
    damage = [row[0] for row in file.execute("PRAGMA integrity_check") if row[0] != "ok"]
    return {
        "undelivered": _waiting(file),
        "effects_missing": 2 * entries - effects,
        "damage": damage + file.execute("PRAGMA foreign_key_check").fetchall(),
    }


def _waiting(file: sqlite3.Connection) -> int:
    waiting = "(SELECT count(*) FROM mainstay_outbox) + (SELECT count(*) FROM mainstay_inbox WHERE state = 'pending')"
    return _one(file, f"SELECT {waiting}")


def _one(file: sqlite3.Connection, statement: str) -> int:
    value: int = file.execute(statement).fetchone()[0]
    return value


class Killer:
    """Chooses whom to kill, and starts again what is gone."""

    def __init__(self, service: Service, load: Load, chance: random.Random) -> None:
        self.service = service
        self.load = load
        self.kills: Counter[str] = Counter()
        self._chance = chance

    @property
    def done(self) -> int:
        return sum(self.kills.values())

    async def strike(self) -> None:
        """Wait for a random moment in which writes succeed, and kill."""
        before = len(self.load.kept)
        deadline = time.monotonic() + 20
        while len(self.load.kept) < before + 5:
            if time.monotonic() > deadline:
                raise Broken(f"no write was acknowledged for 20 s\n{self.service.said()}")
            await asyncio.sleep(0.005)
        await asyncio.sleep(self._chance.random() * 0.25)
        workers = self.service.children()
        choice = self._chance.choice(("worker", "worker", "workers", "supervisor", "all"))
        if self.service.workers == 1:
            choice = "process"
        if choice == "worker" and workers:
            kill([self._chance.choice(workers)])
        elif choice == "workers":
            kill(workers)
        else:
            await self._fell(workers, everyone=choice == "all")
        self.kills[choice] += 1

    async def _fell(self, workers: Sequence[int], *, everyone: bool) -> None:
        """Kill what was started, and start it anew."""
        process = self.service.process
        assert process is not None
        kill([process.pid, *(workers if everyone else ())])
        await asyncio.to_thread(process.wait)
        await asyncio.to_thread(wait_gone, workers)
        await asyncio.to_thread(self.service.start)


async def drill(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kill so many times, or until something is wrong; return the faults and the figures."""
    load = Load(service.port, chance)
    killer = Killer(service, load, chance)
    load.start()
    faults: dict[str, Any] = {}
    while killer.done < count and not faults:
        await killer.strike()
        faults = await asyncio.to_thread(look, service, load)
        if killer.done % 20 == 0:
            print(f"{killer.done} kills, {len(load.kept)} writes acknowledged, {service.starts} starts", flush=True)
    await load.stop()
    begun = time.monotonic()
    if not faults:
        faults = await settled(service, load)
    figures = {
        "settled_seconds": round(time.monotonic() - begun, 1),
        "workers": service.workers,
        "kills": dict(killer.kills),
        "acknowledged": len(load.kept),
        "refused": len(load.refused),
        "events": 2 * len(load.kept),
        "seen": dict(load.counts),
    }
    return faults, figures


async def settled(service: Service, load: Load) -> dict[str, Any]:
    """Wait until every event was delivered, stop the service, and look at what it left."""
    deadline = time.monotonic() + DRAINED_SECONDS
    while time.monotonic() < deadline and await asyncio.to_thread(pending, service):
        await asyncio.sleep(0.1)
    code = await asyncio.to_thread(service.stop)
    faults = await asyncio.to_thread(look, service, load, whole=True)
    return {**faults, **({"exit_code": code, "log": service.said()} if code else {})}


def pending(service: Service) -> int:
    """Return how many events wait to be delivered."""
    with contextlib.closing(sqlite3.connect(service.database, timeout=10)) as file:
        return _waiting(file)


def main(arguments: Sequence[str]) -> int:
    """Drill one process and three workers with half of the kills each."""
    wanted = parse(arguments, __doc__, workers=0)
    chance = random.Random(wanted.seed)
    plans = [(wanted.workers, wanted.count)]
    if wanted.workers == 0:
        plans = [(1, wanted.count // 2), (3, wanted.count - wanted.count // 2)]
    told, faults = [], {}
    for workers, count in plans:
        with serving(workers=workers, package=wanted.package) as service:
            faults, figures = asyncio.run(drill(service, count, chance))
        told.append(figures)
        print(figures, flush=True)
        if faults:
            break
    return verdict(faults, seed=wanted.seed, rounds=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
