"""Record what concurrent calls of several processes saw and did, and look for an order that explains it.

The calls append unique numbers to lists and read lists (list-append, after Elle: Kingsbury and Alvaro, "Elle: inferring
isolation anomalies from experimental observations", VLDB 2020), and move money between accounts. Every read of a list
must be a prefix of the list in the end; the calls must be orderable so that each sees exactly those before it, and so
that a call that ended before another began comes before it (strict serialisability). No undone append may ever be seen,
no acknowledged one may be missing, and every look at the accounts must find the same sum.

    python tests/drill/sqlite_history.py --calls 2000 --seed 7 --processes 3

Prints one JSON line; exit code 1 when there is no such order.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw

KEYS, ACCOUNTS, MONEY, CALLS_AT_ONCE = 4, 6, 1000, 12
Call = dict[
    str, Any
]  # start, end, ok (true, false or null for unknown), ops: [["append", key, n] or ["read", key, [n]]]


def prepare(path: Path) -> None:
    """Make the file that the processes share."""
    file = apsw.Connection(str(path))
    file.pragma("journal_mode", "wal")
    file.execute("CREATE TABLE entry (key INTEGER, place INTEGER, value INTEGER, PRIMARY KEY (key, place))")
    file.execute("CREATE TABLE account (id INTEGER PRIMARY KEY, money INTEGER CHECK (money >= 0))")
    file.executemany("INSERT INTO account VALUES (?, ?)", ((id, MONEY) for id in range(ACCOUNTS)))
    file.close()


class Worker:
    """One process: some calls at once, until so many are done."""

    def __init__(self, path: Path, which: int, calls: int, seed: int) -> None:
        self._path, self._which, self._calls = path, which, calls
        self._chance = random.Random(seed * 1000 + which)
        self._next = 0
        self._engine: Any = None
        self._history: list[Call] = []  # printed at the end: a full pipe would stop the process inside its turn

    async def run(self) -> None:
        from mainstay.adapters.sql.sqlite import SqliteEngine

        self._engine = SqliteEngine(self._path, synchronous="off", turn_seconds=0.5)
        await self._engine.start()
        print("up", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await asyncio.gather(*(self._loop() for _ in range(CALLS_AT_ONCE)))
        await self._engine.stop()
        for call in self._history:
            print(json.dumps(call))

    async def _loop(self) -> None:
        while self._next < self._calls:
            self._next += 1
            call: Call = {"start": time.monotonic(), "ok": None, "ops": [], "sums": []}
            work = self._command if self._chance.random() < 0.6 else self._query
            await work(call, self._which * 10**6 + self._next)
            call["end"] = time.monotonic()
            self._history.append(call)
            if self._chance.random() < 0.2:
                await asyncio.sleep(self._chance.random() * 0.003)

    async def _command(self, call: Call, number: int) -> None:
        from mainstay.model.problem import NotCommitted

        turn = self._engine.turn()
        if not hasattr(turn, "execute"):
            turn = await turn
        chance = self._chance
        for n in range(chance.randint(1, 3)):
            key = chance.randrange(KEYS)
            values = _values(turn.execute("SELECT value FROM entry WHERE key = ? ORDER BY place", (key,)))
            call["ops"].append(["read", key, values])
            if chance.random() < 0.3:
                await asyncio.sleep(0)
            value = number * 10 + n
            turn.execute("INSERT INTO entry VALUES (?, ?, ?)", (key, len(values), value))
            call["ops"].append(["append", key, value])
        source, target = chance.sample(range(ACCOUNTS), 2)
        ((money,),) = turn.execute("SELECT money FROM account WHERE id = ?", (source,))
        amount = chance.randint(0, min(money, 50))
        turn.execute("UPDATE account SET money = ? WHERE id = ?", (money - amount, source))
        turn.execute("UPDATE account SET money = money + ? WHERE id = ?", (amount, target))
        try:
            if chance.random() < 0.15:
                await turn.rollback()
                call["ok"] = False
            else:
                await turn.commit()
                call["ok"] = True
        except NotCommitted:
            call["ok"] = False

    async def _query(self, call: Call, _: int) -> None:
        snapshot = self._engine.snapshot()
        for key in self._chance.sample(range(KEYS), 2):
            fetched = snapshot.fetch("SELECT value FROM entry WHERE key = ? ORDER BY place", (key,))
            rows = fetched if isinstance(fetched, list) else await fetched
            call["ops"].append(["read", key, _values(rows)])
            await asyncio.sleep(0.0005)
        sums = snapshot.fetch("SELECT sum(money) FROM account")
        call["sums"].append((sums if isinstance(sums, list) else await sums)[0][0])
        snapshot.close()
        call["ok"] = True


def _values(rows: list[Any]) -> list[int]:
    return [row[0] for row in rows]


def check(calls: list[Call], final: dict[int, list[int]]) -> dict[str, Any]:
    """Return what no order explains; empty when one does."""
    if any(total != ACCOUNTS * MONEY for call in calls for total in call["sums"]):
        return {"sum": "money was made or lost"}
    for call in calls:
        for verb, key, value in call["ops"]:
            if verb == "append" and (value in final[key]) != call["ok"]:
                return {"append": value, "ok": call["ok"]}
            if verb == "read" and not _explained(call, key, value, final[key]):
                return {"read": [key, value], "of": final[key], "ok": call["ok"]}
    try:
        TopologicalSorter(_before(calls, final)).prepare()
    except CycleError as error:
        return {"cycle": [str(node) for node in error.args[1]]}
    return {}


def _explained(call: Call, key: int, seen: list[int], final: list[int]) -> bool:
    """Say whether a read is a prefix of the final list. A refused call may have seen its own appends besides."""
    if not call["ok"]:
        own = {value for verb, _, value in call["ops"] if verb == "append"}
        seen = [value for value in seen if value not in own]
    return seen == final[: len(seen)]


def _before(calls: list[Call], final: dict[int, list[int]]) -> dict[Any, set[Any]]:
    """Return for each committed call those that must come before it: by what it saw, wrote, and by time."""
    before: dict[Any, set[Any]] = defaultdict(set)
    writer = {
        (key, value): number
        for number, call in enumerate(calls)
        if call["ok"]
        for verb, key, value in call["ops"]
        if verb == "append"
    }
    for key, values in final.items():
        for first, second in pairwise(values):
            _edge(before, writer[key, first], writer[key, second])
    for number, call in enumerate(calls):
        if not call["ok"]:
            continue
        for verb, key, seen in call["ops"]:
            if verb != "read":
                continue
            if seen:
                _edge(before, writer[key, seen[-1]], number)
            if len(seen) < len(final[key]):
                _edge(before, number, writer[key, final[key][len(seen)]])
    _by_time(before, calls)
    return before


def _by_time(before: dict[Any, set[Any]], calls: list[Call]) -> None:
    moments = [(call["start"], 0, number) for number, call in enumerate(calls) if call["ok"]]
    moments += [(call["end"], 1, number) for number, call in enumerate(calls) if call["ok"]]
    latest: tuple[str, int] | None = None
    for place, (_, ends, number) in enumerate(sorted(moments)):
        if ends:
            barrier = ("after", place)
            before[barrier].add(number)
            if latest is not None:
                before[barrier].add(latest)
            latest = barrier
        elif latest is not None:
            before[number].add(latest)


def _edge(before: dict[Any, set[Any]], first: Any, second: Any) -> None:
    if first != second:
        before[second].add(first)


def record(calls: int, seed: int, processes: int, path: Path) -> list[Call]:
    """Run the processes side by side and return what they recorded."""
    command = [sys.executable, __file__, f"--calls={calls // processes}", f"--seed={seed}", f"--path={path}"]
    workers = [
        subprocess.Popen(
            [*command, "--work", str(which)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        for which in range(processes)
    ]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(b"go\n")
    history = []
    for worker in workers:
        out, _ = worker.communicate(timeout=120)
        if worker.returncode:
            raise RuntimeError(f"a worker ended with {worker.returncode}")
        history += [json.loads(line) for line in out.splitlines()]
    return history


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--calls", type=int, default=3000, help="in all")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument("--processes", type=int, default=3)
    options.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--work", type=int, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.work is not None:
        asyncio.run(Worker(given.path, given.work, given.calls, given.seed).run())
        return 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "db"
        prepare(path)
        calls = record(given.calls, given.seed, given.processes, path)
        file = apsw.Connection(str(path))
        final: dict[int, list[int]] = {key: [] for key in range(KEYS)}
        for key, value in file.execute("SELECT key, value FROM entry ORDER BY key, place"):
            final[key].append(value)
        file.close()
    faults = check(calls, final)
    outcomes = {str(ok): sum(call["ok"] is ok for call in calls) for ok in (True, False, None)}
    print(json.dumps({"ok": not faults, "seed": given.seed, "calls": len(calls), "outcomes": outcomes, **faults}))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
