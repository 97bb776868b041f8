"""Let clients race with one Idempotency-Key through three workers: one effect, and one answer for all of them.

For each key 30 requests are sent at once, each on a connection of its own; then one more, after the race. Each answer
is the one reply, new or replayed, or 409 while the first is under way.

    scripts/drill once --count 200 --seed 7
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from typing import Any

from served import Answer, Connection, Service, parse, serving, verdict

RACERS = 30


async def race(connections: Sequence[Connection], key: str, chance: random.Random, late: float) -> list[Answer]:
    """Send one request over every connection at once, spread over ``late`` seconds at most."""
    body = {"mark": key, "lane": chance.choice("0123"), "keyed": True}

    async def run(connection: Connection, wait: float) -> Answer:
        await asyncio.sleep(wait)
        return await connection.request("POST", "/entries", body, {"Idempotency-Key": f'"{key}"'})

    answers = await asyncio.gather(*(run(connection, chance.random() * late) for connection in connections))
    return [*answers, await run(connections[0], 0)]


def judge(key: str, answers: Sequence[Answer], counts: Counter[str]) -> list[str]:
    """Return what is wrong with the answers to one key."""
    wrong = []
    done = [answer for answer in answers if answer.status == 201]
    first = [answer for answer in done if "idempotency-replayed" not in answer.fields]
    counts.update({"201 new": len(first), "201 replayed": len(done) - len(first)})
    if len(first) != 1:
        wrong.append(f"{key}: {len(first)} answers were new")
    if len({answer.raw for answer in done}) > 1:
        wrong.append(f"{key}: the answers differ")
    if answers[-1].status != 201:
        wrong.append(f"{key}: after the race {answers[-1].status} {answers[-1].code}")
    for answer in answers:
        if answer.status != 201:
            counts[f"{answer.status} {answer.code}"] += 1
            if answer.code != "idempotency_in_flight":
                wrong.append(f"{key}: {answer.status} {answer.code}")
    return wrong


async def drill(service: Service, count: int, chance: random.Random) -> tuple[list[str], Counter[str]]:
    """Race for so many keys; some races begin at once, others over the time that one call takes."""
    connections = [Connection(service.port) for _ in range(RACERS)]
    pids: set[int] = set()
    for connection in connections:
        pids.add((await connection.request("GET", "/pid")).body)
    wrong: list[str] = [] if len(pids) == service.workers else [f"the connections met {len(pids)} workers only"]
    counts: Counter[str] = Counter()
    for number in range(count):
        wrong += judge(f"key-{number}", await race(connections, f"key-{number}", chance, number % 4 * 0.005), counts)
    for connection in connections:
        connection.close()
    return wrong, counts


def look(service: Service, keys: int) -> list[str]:
    """Return what is wrong with the rows."""
    with closing(sqlite3.connect(service.database)) as file:
        entries: list[tuple[str, int]] = file.execute(
            "SELECT mark, count(*) FROM ledger_entry GROUP BY mark"
        ).fetchall()
        records: int = file.execute("SELECT count(*) FROM mainstay_idempotency").fetchone()[0]
    wrong = [f"{mark}: {times} effects" for mark, times in entries if times != 1]
    if len(entries) != keys or records != keys:
        wrong.append(f"{keys} keys, {len(entries)} entries, {records} records")
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Race for ``--count`` keys."""
    wanted = parse(arguments, __doc__, workers=3)
    with serving(workers=wanted.workers, package=wanted.package) as service:
        wrong, counts = asyncio.run(drill(service, wanted.count, random.Random(wanted.seed)))
        wrong += look(service, wanted.count)
    faults: dict[str, Any] = {"wrong": wrong[:10]} if wrong else {}
    return verdict(faults, seed=wanted.seed, keys=wanted.count, racers=RACERS, answers=dict(counts))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
