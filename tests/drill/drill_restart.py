"""Restart a service under load, in every way there is, and count the requests that fail: none may.

rolling     two instances on one database behind a balancer that asks /ready: each is restarted by SIGTERM in turn
interrupted Ctrl-C under load: what was sent is answered; it is started again at once, on its port, with its data
worker      one of three workers is killed: the others go on, nobody's call fails, and it comes back
supervisor  the supervisor is killed: no worker outlives it, and it can be started again at once
hung_up     SIGHUP under 200 requests a second, slow ones and streams among them: new workers follow the old ones
kept        SIGTERM, then a new process, on a socket that somebody keeps: what comes meanwhile waits in its queue

A name behind them is that of the server: hung_up_granian.

    scripts/drill restart --count 4 --seed 7
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import Any

from rolling_load import SteadyLoad
from served import PATIENCE, Broken, Connection, Lost, Service, ask, parse, quantile, serving, verdict, wait_gone

CLIENTS = 12
RATE = 200.0  # requests a second
ROLLING = {  # nothing is turned away where the machine is slower than the load: that is another drill
    "MAINSTAY_HTTP_DRAIN_SECONDS": "8",
    "MAINSTAY_HTTP_QUEUE_TARGET_MS": "0",
}
DRAIN = {"MAINSTAY_HTTP_DRAIN_DELAY": "1.5", "MAINSTAY_HTTP_DRAIN_SECONDS": "10"}
Choose = Callable[[], int | None]  # the port to use now, or None where nobody is ready


class Load:
    """Clients that write and read, over connections that last and over new ones."""

    def __init__(self, choose: Choose, chance: random.Random) -> None:
        self.kept: set[str] = set()
        self.failed: list[str] = []
        self.refused = 0  # connections refused, which only a service that has closed may do
        self.seconds: list[float] = []
        self.stopping = False
        self._choose = choose
        self._chance = chance
        self._next = 0
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Let the clients begin: two thirds keep their connections."""
        self._tasks = [asyncio.create_task(self._client(name, keep=name % 3 > 0)) for name in range(CLIENTS)]

    async def stop(self) -> None:
        """Let each client end its request."""
        self.stopping = True
        async with asyncio.timeout(60):
            await asyncio.gather(*self._tasks)

    async def _client(self, name: int, *, keep: bool) -> None:
        connections: dict[int, Connection] = {}
        while not self.stopping:
            port = self._choose()
            if port is None:
                await asyncio.sleep(0.02)
                continue
            connection = connections.setdefault(port, Connection(port))
            await self._ask(connection, name)
            if not keep:
                connection.close()
            await asyncio.sleep(self._chance.random() * 0.01)
        for connection in connections.values():
            connection.close()

    async def _ask(self, connection: Connection, name: int) -> None:
        self._next += 1
        mark = f"{name}.{self._next}"
        begun = time.monotonic()
        try:
            if self._next % 3:
                answer = await connection.request("POST", "/entries", {"mark": mark, "lane": str(name)})
            else:
                answer = await connection.request("GET", "/nap?seconds=0.05")
        except Lost as lost:
            if lost.sent:
                self.failed.append(f"{mark}: {lost}")
            else:
                self.refused += 1
                await asyncio.sleep(0.02)
            return
        self.seconds.append(time.monotonic() - begun)
        if answer.status not in (200, 201):
            self.failed.append(f"{mark}: {answer.status} {answer.code}")
        elif answer.status == 201:
            self.kept.add(mark)

    def faults(self, *, refusals: bool = False) -> dict[str, Any]:
        """Return what went wrong. ``refusals``: a connection may be refused."""
        found = {"failed": [len(self.failed), *self.failed[:5]] if self.failed else []}
        if self.refused and not refusals:
            found["refused"] = [self.refused]
        return {name: what for name, what in found.items() if what}


class Balancer:
    """What stands before several instances: asks each whether it is ready, and uses those that are."""

    def __init__(self, services: Sequence[Service]) -> None:
        self._ports = [service.port for service in services]
        self.slowest = 0.0  # seconds that a round of asking took: what it knows is as old
        self._ready: list[int] = []
        self._turn = 0

    async def watch(self) -> None:
        """Ask, ten times a second."""
        while True:
            begun = time.monotonic()
            answers = await asyncio.gather(*(asyncio.to_thread(is_ready, port) for port in self._ports))
            self._ready = [port for port, ready in zip(self._ports, answers, strict=True) if ready]
            self.slowest = max(self.slowest, time.monotonic() - begun)
            await asyncio.sleep(0.1)

    def choose(self) -> int | None:
        """Return the next one that is ready."""
        self._turn += 1
        return self._ready[self._turn % len(self._ready)] if self._ready else None


def is_ready(port: int) -> bool:
    """Whether an instance says that calls should be sent to it."""
    try:
        return ask(port, "/ready")[0] == 200
    except OSError:
        return False


def lost(service: Service, kept: set[str]) -> dict[str, Any]:
    """Return which acknowledged writes are not in the file."""
    with closing(sqlite3.connect(service.database, timeout=10)) as file:
        marks = {mark for (mark,) in file.execute("SELECT mark FROM ledger_entry")}
    missing = sorted(kept - marks)
    return {"lost": missing[:5]} if missing else {}


async def rolling(first: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Restart two instances in turn behind a balancer."""
    second = Service(first.folder, workers=first.workers, package=first.package, **DRAIN)
    try:
        await asyncio.to_thread(second.start)
        balancer = Balancer((first, second))
        watching = asyncio.create_task(balancer.watch())
        load = Load(balancer.choose, chance)
        load.start()
        codes = []
        for number in range(count):
            await asyncio.sleep(0.5 + chance.random())
            one = (first, second)[number % 2]
            codes.append(await asyncio.to_thread(one.stop))
            await asyncio.to_thread(one.start)
        await asyncio.sleep(0.5)
        await load.stop()
        watching.cancel()
    finally:
        await asyncio.to_thread(second.end)
    faults = {**load.faults(), **lost(first, load.kept), **({"exit_codes": codes} if any(codes) else {})}
    figures = {"restarts": count, "requests": len(load.seconds), "p99_ms": milliseconds(load.seconds, 0.99)}
    return faults, {**figures, "balancer_blind_ms": round(1000 * balancer.slowest)}


async def interrupted(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Press Ctrl-C under load, and start again at once."""
    load = Load(lambda: service.port, chance)
    load.start()
    faults: dict[str, Any] = {}
    for _ in range(count):
        await asyncio.sleep(0.3 + chance.random() * 0.5)
        code = await asyncio.to_thread(service.stop, signal.SIGINT)
        if code:
            faults["exit_code"] = [code, service.said()]
        await asyncio.to_thread(service.start)
    await asyncio.sleep(0.3)
    await load.stop()
    faults |= {**load.faults(refusals=True), **lost(service, load.kept)}
    return faults, {"interrupts": count, "requests": len(load.seconds), "refused": load.refused}


async def worker(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kill one worker after another; clients of the others notice nothing, new connections are answered."""
    steady = [Connection(service.port) for _ in range(CLIENTS)]
    pids = {connection: (await connection.request("GET", "/pid")).body for connection in steady}
    faults: dict[str, Any] = {}
    fresh: list[float] = []
    kills = 0
    for _ in range(count):
        victim = chance.choice(service.children())
        others = [connection for connection in steady if pids[connection] != victim]
        os.kill(victim, signal.SIGKILL)
        kills += 1
        try:
            fresh += await _beside(service, others, 0.3 + chance.random())
        except Lost as error:
            faults["failed"] = str(error)
        await asyncio.to_thread(service.wait_ready)
        for connection in steady:
            if connection not in others:
                connection.close()
                pids[connection] = (await connection.request("GET", "/pid")).body
    delays = [float(one) for one in re.findall(r"starting it again in ([\d.]+) s", service.said())]
    if len(delays) != kills or not all(one <= 32 for one in delays):
        faults["delays"] = [delays, kills]
    if fresh and max(fresh) > 10:
        faults["waited"] = max(fresh)
    for connection in steady:
        connection.close()
    return faults, {"kills": kills, "delays": delays, "calls": len(fresh), "longest_ms": milliseconds(fresh, 1)}


async def _beside(service: Service, others: Sequence[Connection], seconds: float) -> list[float]:
    """Ask over connections to the living, and over new ones, for a time; return how long each call took."""
    taken = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        new = Connection(service.port)
        for connection in (*others, new):
            begun = time.monotonic()
            answer = await connection.request("GET", "/pid")
            taken.append(time.monotonic() - begun)
            if answer.status != 200:
                raise Lost(f"{answer.status} {answer.code}", sent=True)
        new.close()
    return taken


async def supervisor(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Kill the supervisor under load."""
    load = Load(lambda: service.port, chance)
    load.start()
    seconds = []
    faults: dict[str, Any] = {}
    for _ in range(count):
        await asyncio.sleep(0.3 + chance.random() * 0.3)
        workers = service.children()
        assert service.process is not None
        service.process.kill()
        await asyncio.to_thread(service.process.wait)
        try:
            seconds.append(round(await asyncio.to_thread(wait_gone, workers), 2))
        except Broken as error:
            faults["orphans"] = str(error)
        await asyncio.to_thread(service.start)
    await load.stop()
    faults |= lost(service, load.kept)
    figures = {"kills": count, "workers_gone_after_s": seconds, "requests": len(load.seconds)}
    return faults, {**figures, "cut_off": len(load.failed)}  # a connection that nobody had taken yet, now and then


async def hung_up(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Restart without a gap, again and again."""
    load = SteadyLoad(lambda: service.port, RATE, chance)
    load.start()
    await asyncio.sleep(1)
    taken: list[float] = []
    faults: dict[str, Any] = {}
    for _ in range(count):
        begun = time.monotonic()
        before = set(service.children())
        assert service.process is not None
        service.process.send_signal(signal.SIGHUP)
        if not await _followed(service, before):
            faults["not_followed"] = [sorted(before), service.children(), service.said()]
            break
        taken.append(time.monotonic() - begun)
    return await _judged(
        load, service, faults, {"restarts": count, "longest_restart_s": round(max(taken, default=0), 1)}
    )


async def _followed(service: Service, before: set[int]) -> bool:
    """Wait until none of the workers of before is left, and all of the new ones are there."""
    deadline = time.monotonic() + 3 * PATIENCE
    while time.monotonic() < deadline:
        now = set(service.children())
        if len(now) == service.workers and not now & before:
            return True
        await asyncio.sleep(0.05)
    return False


async def kept(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """End the service and start it anew while somebody keeps its socket."""
    await asyncio.to_thread(service.stop)
    with socket.create_server(("127.0.0.1", service.port), backlog=512) as keeper:
        service.keep(keeper)
        await asyncio.to_thread(service.start)
        load = SteadyLoad(lambda: service.port, RATE / 4, chance)
        load.start()
        await asyncio.sleep(1)
        codes = []
        for number in range(count):
            before = service.process
            assert before is not None
            if number % 2:  # now the next one is there already, now it comes when this one has gone
                await asyncio.to_thread(service.start)
                await asyncio.sleep(1)
            before.send_signal(signal.SIGTERM)
            codes.append(await asyncio.to_thread(before.wait, PATIENCE))
            if not number % 2:
                await asyncio.to_thread(service.start)
            await asyncio.sleep(0.5 + chance.random())
        faults = {"exit_codes": codes} if any(codes) else {}
        return await _judged(load, service, faults, {"restarts": count})


async def _judged(
    load: SteadyLoad, service: Service, faults: dict[str, Any], figures: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    await asyncio.sleep(1)
    await load.stop()
    if load.failed:
        faults["failed"] = [len(load.failed), *load.failed[:6]]
    if tracebacks := service.tracebacks():
        faults["tracebacks"] = tracebacks[:2]
    faults |= lost(service, load.kept)
    figures |= {"requests": len(load.seconds), "slow": load.slow, "p99_ms": milliseconds(load.seconds, 0.99)}
    return faults, {**figures, "events": load.events, "streams_ended": load.streams_ended}


def milliseconds(seconds: Sequence[float], part: float) -> float:
    """Return a quantile, in milliseconds."""
    return round(1000 * quantile(seconds, part), 1) if seconds else 0.0


PARTS: dict[str, tuple[Any, int, dict[str, str]]] = {
    "rolling": (rolling, 3, DRAIN),
    "rolling_single": (rolling, 1, DRAIN),
    "interrupted": (interrupted, 3, {}),
    "interrupted_single": (interrupted, 1, {}),
    "worker": (worker, 3, {}),
    "supervisor": (supervisor, 3, {}),
    "hung_up": (hung_up, 2, ROLLING),
    "hung_up_single": (hung_up, 1, ROLLING | {"MAINSTAY_HTTP_DRAIN_DELAY": "0"}),
    "hung_up_granian": (hung_up, 2, ROLLING | {"MAINSTAY_HTTP_SERVER": "granian"}),
    "hung_up_uvicorn": (hung_up, 2, ROLLING | {"MAINSTAY_HTTP_SERVER": "uvicorn"}),
    "kept": (kept, 1, ROLLING),
}
PRODUCTION = frozenset({"hung_up_single"})  # there one worker has a supervisor as well


def main(arguments: Sequence[str]) -> int:
    """Do each part ``--count`` times; ``--only NUMBER`` does one."""
    wanted = parse(arguments, __doc__, only=-1)
    names = list(PARTS) if wanted.only < 0 else [list(PARTS)[wanted.only]]
    faults: dict[str, Any] = {}
    told: dict[str, Any] = {}
    for name in names:
        part, workers, environ = PARTS[name]
        with serving(workers=workers, package=wanted.package, production=name in PRODUCTION, **environ) as service:
            found, told[name] = asyncio.run(part(service, wanted.count, random.Random(wanted.seed)))
        print(f"{name}: {told[name]}", flush=True)
        if found:
            faults[name] = found
    return verdict(faults, seed=wanted.seed, parts=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
