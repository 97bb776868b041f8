"""Kill writers of one SQLite file again and again, and look for acknowledged changes that are gone.

Each round starts writing processes on the file, lets them work for a random moment, kills them with SIGKILL and reads
the file. Lost acknowledgements, kept refusals, half-done turns and damage count as failures.

    python tests/drill/sqlite_kill.py --count 200 --seed 7 --processes 2

Prints one JSON line; exit code 1 when anything was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw

CALLS_AT_ONCE = 32


def said_by(path: Path, name: str) -> Path:
    """Return the file of a writer's outcomes: a pipe that is full would stop the writer inside its turn."""
    return path.with_name(f"said-{name}")


async def write(path: Path, name: str) -> None:
    """Work as a service's process does until it is killed, saying each outcome only after the engine has said it."""
    from mainstay.adapters.sql.sqlite import SqliteEngine, Turn

    said = os.open(said_by(path, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    engine = SqliteEngine(path)
    await engine.start()

    async def call(number: int) -> None:
        mark = f"{name}.{number}"
        given = engine.turn()
        turn = given if isinstance(given, Turn) else await given
        turn.execute("INSERT INTO entry VALUES (?)", (mark,))
        ((n,),) = turn.execute("SELECT n FROM total")
        if number % 5 == 0:
            await asyncio.sleep(0)
        if number % 7 == 0:
            await turn.rollback()
            os.write(said, f"- {mark}\n".encode())
            return
        turn.execute("UPDATE total SET n = ?", (n + 1,))
        await turn.commit()
        os.write(said, f"+ {mark}\n".encode())

    async def worker(first: int) -> None:
        for number in range(first, 10**9, CALLS_AT_ONCE):
            await call(number)

    await asyncio.gather(*(worker(first) for first in range(CALLS_AT_ONCE)))


def prepare(path: Path) -> None:
    """Make the file that the writers share."""
    file = apsw.Connection(str(path))
    file.pragma("journal_mode", "wal")
    file.execute("CREATE TABLE entry (mark TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE total (n INTEGER)")
    file.execute("INSERT INTO total VALUES (0)")
    file.close()


def kill_round(path: Path, number: int, processes: int, chance: random.Random) -> tuple[set[str], set[str]]:
    """Let writers work for a moment and kill them; return what was acknowledged and what was refused."""
    names = [f"{number}.{which}" for which in range(processes)]
    writers = [
        subprocess.Popen([sys.executable, __file__, "--write", name, "--path", str(path)], stderr=subprocess.PIPE)
        for name in names
    ]
    for name, writer in zip(names, writers, strict=True):  # the moment is counted from when all are up
        while writer.poll() is None and not (said_by(path, name).exists() and said_by(path, name).stat().st_size):
            time.sleep(0.002)
    time.sleep(chance.random() * 0.1)
    for writer in writers:
        writer.kill()
        if chance.random() < 0.5:
            time.sleep(chance.random() * 0.02)  # the others go on while the kernel frees the dead one's locks
    kept, refused = set[str](), set[str]()
    for name, writer in zip(names, writers, strict=True):
        _, err = writer.communicate()
        if err:
            raise RuntimeError(f"a writer ended by itself: {err.decode()[-2000:]}")
        for line in said_by(path, name).read_text().split("\n")[:-1]:
            (kept if line[:1] == "+" else refused).add(line[2:])
        said_by(path, name).unlink()
    return kept, refused


def look(path: Path, kept: set[str], refused: set[str]) -> dict[str, Any]:
    """Return what is wrong with the file; empty when nothing is."""
    file = apsw.Connection(str(path))
    marks = {row[0] for row in file.execute("SELECT mark FROM entry")}
    ((total,),) = file.execute("SELECT n FROM total")
    (check,) = (row[0] for row in file.execute("PRAGMA integrity_check"))
    file.close()
    found = {
        "lost": sorted(kept - marks)[:5],
        "refused_but_kept": sorted(refused & marks)[:5],
        "half_done": [] if total == len(marks) else [total, len(marks)],
        "damage": [] if check == "ok" else [check],
    }
    return {name: what for name, what in found.items() if what}


def drill(count: int, seed: int, processes: int, directory: Path) -> dict[str, Any]:
    """Run so many rounds on one file, and stop at the first that finds a fault."""
    chance = random.Random(seed)
    path = directory / "db"
    prepare(path)
    kept, refused = set[str](), set[str]()
    for number in range(count):
        more, less = kill_round(path, number, processes, chance)
        kept |= more
        refused |= less
        if faults := look(path, kept, refused):
            return {"ok": False, "seed": seed, "round": number, "acknowledged": len(kept), **faults}
    return {"ok": True, "seed": seed, "rounds": count, "acknowledged": len(kept), "refused": len(refused)}


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--count", type=int, default=200, help="rounds")
    options.add_argument("--seed", type=int, default=random.randrange(10**6))
    options.add_argument("--processes", type=int, default=2)
    options.add_argument("--directory", type=Path, help="where the file is made; its disk is the one that is tried")
    options.add_argument("--path", type=Path, help=argparse.SUPPRESS)
    options.add_argument("--write", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.write:
        asyncio.run(write(given.path, given.write))
    with tempfile.TemporaryDirectory(dir=given.directory) as directory:
        result = drill(given.count, given.seed, given.processes, Path(directory))
    print(json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
