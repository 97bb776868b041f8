"""Record what concurrent calls saw and did, over HTTP or in a store, and look for what no promise explains.

Over HTTP, with three workers, commands read lists, append to them and move money, some to be refused; queries
read two lists and all accounts, with pauses between. Their history, timed by the clients, must be strictly serialisable
(see ``sqlite_history``). Beside them counters are read and then changed in the version that was read: no change may be
lost.

With ``--store`` so many small random histories are made of one store, through its port and through the kernel, and each
is searched for anomalies beyond the isolation that every transaction asked for (see ``anomalies``, ``store_history``).

    scripts/drill history --count 3000 --seed 7
    scripts/drill history --count 1000 --seed 7 -- --store postgresql
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from served import HERE, Connection, Lost, Service, parse, serving, verdict
from sqlite_history import ACCOUNTS, KEYS, Call, check

CLIENTS, COUNTERS = 18, 2
SHOWN = 3  # anomalies of a history


class Recorder:
    """Clients that make a history."""

    def __init__(self, port: int, calls: int, chance: random.Random) -> None:
        self.history: list[Call] = []
        self.codes: Counter[str] = Counter()
        self.changed = 0  # of the counters
        self._port = port
        self._left = calls
        self._chance = chance

    async def run(self) -> None:
        """Make all calls."""
        counters = await self._make_counters()
        await asyncio.gather(*(self._client() for _ in range(CLIENTS)), *(self._count(path) for path in counters * 2))

    async def _client(self) -> None:
        connection = Connection(self._port)
        while self._left > 0:
            self._left -= 1
            call: Call = {"start": time.monotonic(), "end": 0.0, "ok": None, "ops": [], "sums": []}
            work = self._move if self._chance.random() < 0.6 else self._look
            try:
                await work(connection, call, self._left * 10)
            except Lost:
                self.codes["lost"] += 1
            call["end"] = time.monotonic()
            self.history.append(call)
        connection.close()

    async def _move(self, connection: Connection, call: Call, number: int) -> None:
        chance = self._chance
        lists = [chance.randrange(KEYS) for _ in range(chance.randint(1, 3))]
        source, target = chance.sample(range(ACCOUNTS), 2)
        body = {"lists": lists, "value": number, "source": source, "target": target, "amount": chance.randint(0, 50)}
        call["ops"] = [["append", which, number + place] for place, which in enumerate(lists)]
        answer = await connection.request("POST", "/moves", {**body, "refuse": chance.random() < 0.15})
        call["ok"] = True if answer.status == 200 else False if answer.code != "commit_unknown" else None
        self.codes[answer.code or str(answer.status)] += 1
        if answer.status == 200:
            seen = [["read", which, values] for which, values in zip(lists, answer.body["lists"], strict=True)]
            call["ops"] = [op for pair in zip(seen, call["ops"], strict=True) for op in pair]

    async def _look(self, connection: Connection, call: Call, _: int) -> None:
        lists = self._chance.sample(range(KEYS), 2)
        answer = await connection.request("GET", f"/looks?first={lists[0]}&second={lists[1]}")
        self.codes[answer.code or str(answer.status)] += 1
        call["ok"] = answer.status == 200
        if call["ok"]:
            call["ops"] = [["read", which, values] for which, values in zip(lists, answer.body["lists"], strict=True)]
            call["sums"] = [answer.body["sum"]]

    async def _make_counters(self) -> list[str]:
        connection = Connection(self._port)
        made = [await connection.request("POST", "/counters", {"name": str(n)}) for n in range(COUNTERS)]
        connection.close()
        return [f"/counters/{answer.body['id']}" for answer in made]

    async def _count(self, path: str) -> None:
        """Read a counter, and write one more in the version that was read."""
        connection = Connection(self._port)
        while self._left > 0:
            found = await connection.request("GET", path)
            precondition = {"If-Match": found.fields["etag"]}
            answer = await connection.request("PATCH", path, {"n": found.body["n"] + 1}, precondition)
            self.changed += answer.status == 200
            self.codes[f"counter {answer.status}"] += 1
        connection.close()


def final(service: Service) -> tuple[dict[int, list[int]], int]:
    """Return the lists as they are in the end, and the sum of the counters."""
    lists: dict[int, list[int]] = {key: [] for key in range(KEYS)}
    with closing(sqlite3.connect(service.database)) as file:
        for key, value in file.execute("SELECT list, value FROM ledger_item ORDER BY list, place"):
            lists[key].append(value)
        counted: int = file.execute("SELECT sum(n) FROM ledger_counter").fetchone()[0]
    return lists, counted


def judge(recorder: Recorder, service: Service) -> dict[str, Any]:
    """Return what no order explains."""
    lists, counted = final(service)
    unknown = [call for call in recorder.history if call["ok"] is None]
    faults = check([call for call in recorder.history if call["ok"] is not None], lists)
    if counted != recorder.changed:
        faults["counters"] = [counted, recorder.changed]
    if unknown:
        faults["unknown"] = len(unknown)
    strange = recorder.codes.keys() - {"200", "refused", "counter 200", "counter 412"}
    if strange:
        faults["answers"] = {code: recorder.codes[code] for code in strange}
    return faults


async def search(wanted: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Make histories of a store; return the faults and the figures."""
    from anomalies import anomalies, dependencies
    from history_stores import STORES
    from store_history import MET, Maker

    chance, begun = random.Random(wanted.seed), time.monotonic()
    faults: dict[str, Any] = {}
    answers: Counter[str] = Counter()
    levels: Counter[str] = Counter()
    edges = number = 0
    with tempfile.TemporaryDirectory(prefix="drill-history-") as folder:
        replicated = wanted.store == "replicated"
        maker_of = partial(Maker, chance=chance, replicated=replicated)
        async with STORES[wanted.store](Path(folder)) as stores, maker_of(stores) as maker:
            while number < wanted.count and not (wanted.until_found and faults):
                number += 1
                history = await maker.make(number, wanted.transactions)
                answers += history.answers
                levels.update(one.level for one in history.transactions if not one.undone)
                edges += dependencies(history.transactions)
                found = anomalies(history.transactions, replicated=replicated)
                if found:
                    faults[f"history {number}"] = [f"{name}: {where}" for name, where in found[:SHOWN]]
                if number % 100 == 0:
                    print(f"{number} histories, {levels.total()} transactions committed", flush=True)
    strange = answers.keys() - {"committed", *MET}
    if strange:
        faults["answers"] = {code: answers[code] for code in strange}
    figures = {"committed": dict(sorted(levels.items())), "answers": dict(sorted(answers.items()))}
    seconds = round(time.monotonic() - begun, 1)
    return faults, {"histories": number, "seconds": seconds, "dependencies": edges, **figures}


def main(arguments: Sequence[str]) -> int:
    """Make ``--count`` calls, or with ``--store`` so many histories."""
    wanted = parse(arguments, __doc__, workers=3, transactions=30, store="", until_found=0)
    if wanted.store:
        sys.path[:0] = [*([str(wanted.package)] if wanted.package else []), str(HERE.parent / "plugins")]
        faults, figures = asyncio.run(search(wanted))
        return verdict(faults, seed=wanted.seed, store=wanted.store, **figures)
    with serving(workers=wanted.workers, package=wanted.package) as service:
        recorder = Recorder(service.port, wanted.count, random.Random(wanted.seed))
        begun = time.monotonic()
        asyncio.run(recorder.run())
        seconds = time.monotonic() - begun
        faults = judge(recorder, service)
    answers = dict(sorted(recorder.codes.items()))
    return verdict(faults, seed=wanted.seed, calls=len(recorder.history), seconds=round(seconds, 1), answers=answers)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
