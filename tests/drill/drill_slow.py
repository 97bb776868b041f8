"""Serve slow calls beside quick ones, and measure what the quick ones notice.

turns    a command that holds the writer's turn too long is rolled back alone (503 turn_too_long); the others go on
readers  reads go on while a command holds the writer
queries  searches through a large table leave other calls alone
clients  connections that send their heads or bodies, or take their answers, a byte a second are closed in time

    scripts/drill slow --count 3 --seed 7
    scripts/drill slow --seed 7 -- --only 3 --slow 500
"""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from served import HERE, Connection, Service, parse, quantile, serving, verdict

TURN, HOLD = 0.5, 3.0  # seconds: the bound of a turn, and what a bad command asks for
ROWS, BATCH = 40_000, 5_000
CLOSED_WITHIN, PATIENCE = 10.0, 1.5  # seconds: for slow connections; of quick calls before they come, and after
MANY = 200  # slow connections at a time; with fewer it is the short form
ROUNDS = 3  # what others notice is noise where it is not noticed again


async def turns(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let commands hold their turn, and others write behind them."""
    connections = [Connection(service.port) for _ in range(8)]
    slow = Connection(service.port)
    faults: dict[str, Any] = {}
    taken: list[float] = []
    kept, refused = set(), set()
    for number in range(count):
        mark = f"hold-{number}"
        holding = asyncio.create_task(slow.request("POST", "/holds", {"mark": mark, "seconds": HOLD}))
        await asyncio.sleep(0.05 + chance.random() * 0.1)
        begun = time.monotonic()
        marks = [f"{number}.{place}" for place in range(len(connections))]
        answers = await asyncio.gather(
            *(
                one.request("POST", "/entries", {"mark": name, "lane": name[-1]})
                for one, name in zip(connections, marks, strict=True)
            )
        )
        taken.append(time.monotonic() - begun)
        kept |= set(marks)
        refused.add(mark)
        statuses = [answer.status for answer in answers]
        if statuses != [201] * len(connections):
            faults["neighbours"] = [f"{answer.status} {answer.code}" for answer in answers]
        held = await holding
        if (held.status, held.code) != (503, "turn_too_long") or "retry-after" not in held.fields:
            faults["holder"] = [held.status, held.code, held.fields]
    if max(taken) > HOLD:
        faults["waited"] = max(taken)
    with closing(sqlite3.connect(service.database)) as file:
        marks_kept = {mark for (mark,) in file.execute("SELECT mark FROM ledger_entry")}
    if refused & marks_kept or kept - marks_kept:
        faults["rows"] = [sorted(refused & marks_kept), sorted(kept - marks_kept)]
    return faults, {"held": count, "bound_s": TURN, "neighbours_waited_s": [round(one, 2) for one in taken]}


async def readers(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read while a command holds the writer nearly as long as it may."""
    reading, holding = Connection(service.port), Connection(service.port)
    made = await reading.request("POST", "/entries", {"mark": "read me", "lane": "0"})
    path = f"/entries/{made.body['id']}"
    alone = await _pace(reading, path, 0.5)
    beside: list[float] = []
    faults: dict[str, Any] = {}
    for number in range(count):
        held = asyncio.create_task(holding.request("POST", "/holds", {"mark": f"h{number}", "seconds": TURN * 0.7}))
        await asyncio.sleep(0.02)
        beside += await _pace(reading, path, TURN * 0.5)
        if held.done():
            faults["holder"] = "it did not hold the writer for as long as the reads were measured"
        if (await held).status != 201:
            faults["holder"] = held.result().code
    figures = {"alone_ms": _told(alone), "beside_ms": _told(beside), "reads": len(beside)}
    if quantile(beside, 0.5) > 5 * quantile(alone, 0.5) + 0.005 or max(beside) > TURN * 0.5:
        faults["reads_waited"] = figures
    return faults, figures


async def queries(service: Service, count: int, chance: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read single rows while others search."""
    quick, filling = Connection(service.port), Connection(service.port)
    for _ in range(ROWS // BATCH):
        filled = await filling.request("POST", "/fillers", {"rows": BATCH}, seconds=60)
        if filled.status != 200:
            return {"fill": [filled.status, filled.code]}, {}
    made = await quick.request("POST", "/entries", {"mark": "read me", "lane": "0"})
    path = f"/entries/{made.body['id']}"
    alone = await _pace(quick, path, 1.0)
    searching = [Connection(service.port) for _ in range(2)]
    stop = asyncio.Event()
    took: list[float] = []
    tasks = [asyncio.create_task(_search(one, stop, took)) for one in searching]
    await asyncio.sleep(0.05)
    beside = await _pace(quick, path, count * 1.0)
    stop.set()
    await asyncio.gather(*tasks)
    figures = {"alone_ms": _told(alone), "beside_ms": _told(beside), "search_ms": _told(took), "searches": len(took)}
    faults: dict[str, Any] = {}
    if quantile(beside, 0.99) > quantile(took, 0.5) / 2:
        faults["quick_calls_waited_for_a_search"] = figures
    return faults, figures


def impatient(slow: int) -> dict[str, str]:
    """Return the settings by which slow clients are closed in time; in the short form a herd is closed sooner."""
    seconds = "4" if slow >= MANY else "2"
    return {**RATES, **{f"MAINSTAY_HTTP_{wait}_SECONDS": seconds for wait in ("HEADER", "BODY", "WRITE")}}


async def clients(port: int, slow: int, margin: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Let slow connections of each kind come, and see that they are closed, and what others notice of them."""
    faults: dict[str, Any] = {}
    told: dict[str, Any] = {}
    connections = [Connection(port) for _ in range(4)]
    kinds = ("headers", "body", "read", "mixed") if slow >= MANY else ("mixed",)
    for kind in kinds:
        for _ in range(ROUNDS):
            closed, figures = await _beside_herd(connections, port, kind, slow)
            noticed = figures["beside_ms"]["p99"] > margin * figures["alone_ms"]["p99"] + 2
            if closed != slow or not noticed:
                break
        told[kind] = figures
        if closed != slow:
            faults[f"{kind}_left_open"] = slow - closed
        if noticed:
            faults[f"{kind}_noticed"] = figures
    return faults, {"slow": slow, "within_s": CLOSED_WITHIN, **told}


async def _beside_herd(
    connections: Sequence[Connection], port: int, kind: str, slow: int
) -> tuple[int, dict[str, Any]]:
    """Return how many of a herd were closed, and what quick clients noticed of it."""
    alone = await _pace_all(connections, PATIENCE)
    seconds = CLOSED_WITHIN if slow >= MANY else CLOSED_WITHIN * 0.6
    command = (sys.executable, str(HERE / "herd.py"), str(port), kind, str(slow), str(seconds))
    herd = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert herd.stdout is not None
    await herd.stdout.readline()
    ended = asyncio.create_task(herd.stdout.readline())
    beside: list[float] = []
    while not ended.done():
        beside += await _pace_all(connections, 0.5)
    alone += await _pace_all(connections, PATIENCE)
    said = json.loads(await ended)
    await herd.wait()
    return said["closed"], {**said, "alone_ms": _told(alone), "beside_ms": _told(beside)}


async def _pace_all(connections: Sequence[Connection], seconds: float) -> list[float]:
    """Let several clients ask for a time."""
    taken = await asyncio.gather(*(_pace(one, "/pid", seconds) for one in connections))
    return [one for some in taken for one in some]


async def _search(connection: Connection, stop: asyncio.Event, took: list[float]) -> None:
    while not stop.is_set():
        begun = time.monotonic()
        answer = await connection.request("GET", "/search")
        took.append(time.monotonic() - begun)
        if answer.status != 200 or answer.body != 0:
            raise RuntimeError(f"a search was answered {answer.status} {answer.raw!r}")


async def _pace(connection: Connection, path: str, seconds: float) -> list[float]:
    """Ask again and again for a time, with small pauses, and return how long each answer took."""
    taken = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.monotonic()
        answer = await connection.request("GET", path)
        taken.append(time.monotonic() - begun)
        if answer.status != 200:
            raise RuntimeError(f"a read was answered {answer.status} {answer.code}")
        await asyncio.sleep(0.002)
    return taken


def _told(seconds: Sequence[float]) -> dict[str, float]:
    return {name: round(1000 * quantile(seconds, part), 2) for name, part in (("p50", 0.5), ("p99", 0.99), ("max", 1))}


RATES = {"MAINSTAY_HTTP_MIN_BODY_RATE": "1000", "MAINSTAY_HTTP_MIN_WRITE_RATE": "1000"}
PARTS = {"turns": turns, "readers": readers, "queries": queries}


def main(arguments: Sequence[str]) -> int:
    """Measure each part, or ``--only NUMBER``, ``--count`` times, in one worker: neighbours have nowhere else to go."""
    wanted = parse(arguments, __doc__, only=-1, slow=500, margin=2)
    names = [*PARTS, "clients"] if wanted.only < 0 else [[*PARTS, "clients"][wanted.only]]
    faults: dict[str, Any] = {}
    told: dict[str, Any] = {}
    environ = {"MAINSTAY_DATABASE_TURN_SECONDS": str(TURN), "MAINSTAY_HTTP_MAX_BODY": "1000000"}
    for name in names:
        more = impatient(wanted.slow) if name == "clients" else {}
        with serving(workers=1, package=wanted.package, **environ, **more) as service:
            if name == "clients":
                part = clients(service.port, wanted.slow, wanted.margin)
            else:
                part = PARTS[name](service, wanted.count, random.Random(wanted.seed))
            found, told[name] = asyncio.run(part)
            print(f"{name}: {told[name]}", flush=True)
            if found:
                faults[name] = found
    return verdict(faults, seed=wanted.seed, parts=told)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
