"""Measure the SQLite engine: reads by key, durable commits alone and in groups, and the cost of a snapshot.

    python bench/sqlite_engine.py [--directory DIR] [--seconds 2]

The directory's disk is the one that is synced; without one, a temporary directory is made in the working directory.
Each figure is the median of five interleaved runs.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import apsw
import uvloop

from mainstay.adapters.sql.sqlite import SqliteEngine, Turn

ROWS, RUNS = 1000, 5
BY_KEY = "SELECT id, name, price, stock FROM product WHERE id = ?"
Measure = Callable[[float], Awaitable[float]]


class Bench:
    def __init__(self, engine: SqliteEngine, plain: apsw.Connection) -> None:
        self._engine = engine
        self._plain = plain
        self._cursor = plain.cursor()
        self._next = ROWS

    def measures(self) -> dict[str, tuple[str, Measure]]:
        return {
            "bare apsw, read by key": ("us", self._timed(self._bare)),
            "engine.read": ("us", self._timed(self._read)),
            "snapshot(single=True), one read": ("us", self._timed(self._single)),
            "snapshot(), one read": ("us", self._timed(self._snapshot)),
            "snapshot(), three reads": ("us", self._timed(self._three)),
            "turn in an open group: take, read, insert, pass on": ("us", self._turns),
            "bare apsw, BEGIN IMMEDIATE, insert, COMMIT, one by one": ("/s", self._bare_commits),
            "engine, 1 caller": ("/s", self._commits(1)),
            "engine, 8 callers": ("/s", self._commits(8)),
            "engine, 64 callers": ("/s", self._commits(64)),
        }

    def _timed(self, one: Callable[[int], Any]) -> Measure:
        async def measure(seconds: float) -> float:
            done, until, began = 0, time.perf_counter() + seconds, time.perf_counter()
            while time.perf_counter() < until:
                for n in range(200):
                    one(n * 5 % ROWS)
                done += 200
            return (time.perf_counter() - began) / done * 1e6

        return measure

    def _bare(self, key: int) -> Any:
        return self._cursor.execute(BY_KEY, (key,)).fetchall()

    def _read(self, key: int) -> Any:
        return self._engine.read(BY_KEY, (key,))

    def _single(self, key: int) -> Any:
        snapshot = self._engine.snapshot(single=True)
        rows = snapshot.fetch(BY_KEY, (key,))
        snapshot.close()
        return rows

    def _snapshot(self, key: int) -> Any:
        snapshot = self._engine.snapshot()
        rows = snapshot.fetch(BY_KEY, (key,))
        snapshot.close()
        return rows

    def _three(self, key: int) -> Any:
        snapshot = self._engine.snapshot()
        for n in range(2):
            snapshot.fetch(BY_KEY, ((key + n) % ROWS,))
        rows = snapshot.fetch(BY_KEY, ((key + 2) % ROWS,))
        snapshot.close()
        return rows

    def _write(self, turn: Turn) -> None:
        self._next += 1
        turn.execute(BY_KEY, (self._next % ROWS,))
        turn.execute("INSERT INTO product VALUES (?, ?, 100, 1)", (self._next, f"product {self._next}"))

    async def _turns(self, _: float) -> float:
        turn = await self._take()
        ends, done, began = [], 0, time.perf_counter()
        while done < 200:
            self._write(turn)
            ends.append(turn.commit())
            done += 1
            given = self._engine.turn()
            if not isinstance(given, Turn):
                turn = await given
                break
            turn = given
        took = time.perf_counter() - began
        turn.abandon()
        await asyncio.gather(*ends)
        return took / done * 1e6

    async def _take(self) -> Turn:
        given = self._engine.turn()
        return given if isinstance(given, Turn) else await given

    async def _bare_commits(self, seconds: float) -> float:
        done, began = 0, time.perf_counter()
        while time.perf_counter() < began + seconds:
            self._next += 1
            self._cursor.execute("BEGIN IMMEDIATE")
            self._cursor.execute("INSERT INTO product VALUES (?, ?, 100, 1)", (self._next, f"product {self._next}"))
            self._cursor.execute("COMMIT")
            done += 1
        return done / (time.perf_counter() - began)

    def _commits(self, callers: int) -> Measure:
        async def measure(seconds: float) -> float:
            done, began = 0, time.perf_counter()

            async def caller() -> None:
                nonlocal done
                while time.perf_counter() < began + seconds:
                    turn = await self._take()
                    self._write(turn)
                    await turn.commit()
                    done += 1

            await asyncio.gather(*(caller() for _ in range(callers)))
            return done / (time.perf_counter() - began)

        return measure


async def main(directory: Path, seconds: float) -> None:
    engine = SqliteEngine(directory / "db", inline_read_seconds=1.0)  # no read is cut: the machine may be busy
    await engine.start()
    plain = apsw.Connection(str(directory / "db"))
    plain.set_busy_timeout(5000)
    plain.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, price INTEGER, stock INTEGER)")
    plain.executemany("INSERT INTO product VALUES (?, ?, 100, 1)", ((id, f"product {id}") for id in range(ROWS)))
    plain.pragma("synchronous", "full")
    measures = Bench(engine, plain).measures()
    found: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(RUNS):
        for name, (_, measure) in measures.items():
            found[name].append(await measure(seconds / RUNS))
    for name, (unit, _) in measures.items():
        low, middle, high = min(found[name]), statistics.median(found[name]), max(found[name])
        print(f"{name:58} {middle:10.1f} {unit:3} ({low:.1f} to {high:.1f})")
    plain.close()
    await engine.stop()


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--directory", type=Path, default=Path.cwd())
    options.add_argument("--seconds", type=float, default=2.0, help="for each figure, over all runs")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=given.directory) as made:
        uvloop.run(main(Path(made), given.seconds))
