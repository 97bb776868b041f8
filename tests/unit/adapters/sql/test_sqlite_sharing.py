"""Several processes on one file: claims, the fair turn on the file, and a log that stays short."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from mainstay.adapters.sql.sqlite import Claims, SqliteEngine, Turn, locks
from mainstay.adapters.sql.sqlite.locks import FileTurn

CLAIMER = """
import sys
from pathlib import Path
from mainstay.adapters.sql.sqlite import Claims
claims = Claims(Path(sys.argv[1]))
for line in sys.stdin:
    verb, key = line.split()
    print(claims.try_claim(key.encode()) if verb == "claim" else claims.release(key.encode()), flush=True)
"""

WRITER = """
import json, sys, time
from pathlib import Path
from mainstay.adapters.sql.sqlite.locks import FileTurn
turn = FileTurn(Path(sys.argv[1]))
print("up", flush=True)
until = time.monotonic() + float(sys.stdin.readline())
taken, longest = 0, 0.0
while (asked := time.monotonic()) < until:
    turn.take()
    given = time.monotonic()
    longest = max(longest, given - asked)
    while time.monotonic() < given + 0.001:
        pass
    turn.leave()
    taken += 1
print(json.dumps([taken, longest]))
"""


@contextmanager
def claimer(path: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", CLAIMER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask(process: subprocess.Popen[str], line: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


@pytest.fixture(params=["ofd", "posix"])
def locking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "posix":
        monkeypatch.setattr(locks, "_OFD_SET", None)
        monkeypatch.setattr(locks, "_OFD_WAIT", None)
    return str(request.param)


def test_a_claim_is_held_by_one_call_of_all_processes_and_freed_by_a_kill(tmp_path: Path, locking: str) -> None:
    path = tmp_path / "db-claims"
    ours = Claims(path)
    with claimer(path) as other:
        assert ours.try_claim(b"a")
        assert not ours.try_claim(b"a")
        assert len(ours) == 1
        assert ask(other, "claim a") == "False"
        assert ask(other, "claim b") == "True"
        assert not ours.try_claim(b"b")
        ours.release(b"a")
        assert ask(other, "claim a") == "True"
        other.kill()
        other.wait()
        assert ours.try_claim(b"a")
        assert ours.try_claim(b"b")
    with pytest.raises(KeyError):
        ours.release(b"never claimed")
    ours.close()


def test_two_engines_of_one_process_see_each_others_claims(tmp_path: Path) -> None:
    if not hasattr(fcntl, "F_OFD_SETLK"):
        pytest.skip("POSIX locks tell processes apart only")
    first, second = Claims(tmp_path / "claims"), Claims(tmp_path / "claims")
    assert first.try_claim(b"k")
    assert not second.try_claim(b"k")
    first.close()
    assert second.try_claim(b"k")
    second.close()


def test_many_claims_are_distinct(tmp_path: Path) -> None:
    claims = Claims(tmp_path / "claims")
    keys = [str(n).encode() for n in range(2000)]
    assert all(claims.try_claim(key) for key in keys)
    assert not any(claims.try_claim(key) for key in keys)
    claims.close()


def test_without_open_file_description_locks_the_module_still_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(fcntl, "F_OFD_SETLK", raising=False)
    monkeypatch.delattr(fcntl, "F_OFD_SETLKW", raising=False)
    assert locks.__file__ is not None
    spec = importlib.util.spec_from_file_location("locks_without_ofd", locks.__file__)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module._OFD_SET is None


def test_an_error_that_is_no_held_lock_is_raised(tmp_path: Path, locking: str) -> None:
    claims = Claims(tmp_path / "claims")
    claims._locks.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        claims.try_claim(b"a")


def test_the_file_goes_round_fairly(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "turns")]
    writers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "up\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("1.0\n")
    results = [json.loads(writer.communicate(timeout=20)[0]) for writer in writers]
    turns = [taken for taken, _ in results]
    assert min(turns) * 3 > max(turns) > 10, results
    assert max(longest for _, longest in results) < 0.5, results


def test_a_process_that_asks_again_at_once_stands_behind_the_one_that_waits(tmp_path: Path) -> None:
    if not hasattr(fcntl, "F_OFD_SETLK"):
        pytest.skip("POSIX locks tell processes apart only")
    first, second = FileTurn(tmp_path / "turns"), FileTurn(tmp_path / "turns")
    order: list[str] = []

    def wait_once() -> None:
        second.take()
        order.append("waiting")
        second.leave()

    for _ in range(10):
        first.take()
        waiting = threading.Thread(target=wait_once)
        waiting.start()
        time.sleep(0.02)
        first.leave()
        first.take()
        order.append("asking again")
        first.leave()
        waiting.join()
    assert order == ["waiting", "asking again"] * 10
    first.close()
    second.close()


def test_the_turn_is_free_after_its_holder_left(tmp_path: Path) -> None:
    turn = FileTurn(tmp_path / "turns")
    for _ in range(3):
        turn.take()
        turn.leave()
    turn.close()


async def test_two_engines_on_one_file_write_side_by_side(tmp_path: Path) -> None:
    engines = [SqliteEngine(tmp_path / "db", synchronous="off") for _ in range(2)]
    for engine in engines:
        await engine.start()
    turn = await take(engines[0])
    turn.execute("CREATE TABLE counter (n INTEGER)")
    turn.execute("INSERT INTO counter VALUES (0)")
    await turn.commit()

    async def bump(engine: SqliteEngine) -> None:
        turn = await take(engine)
        (n,) = turn.execute("SELECT n FROM counter")[0]
        turn.execute("UPDATE counter SET n = ?", (n + 1,))
        await turn.commit()

    await asyncio.gather(*(bump(engine) for _ in range(100) for engine in engines))
    assert engines[0].read("SELECT n FROM counter") == [(200,)]
    for engine in engines:
        await engine.stop()


async def test_the_log_stays_short_under_steady_writes_beside_short_reads(tmp_path: Path) -> None:
    limit = 1024 * 1024
    engine = SqliteEngine(tmp_path / "db", synchronous="off", wal_limit_bytes=limit)
    await engine.start()
    try:
        turn = await take(engine)
        turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
        await turn.commit()

        async def write(worker: int) -> None:
            for n in range(100):
                turn = await take(engine)
                turn.execute("INSERT INTO item VALUES (?, randomblob(8000))", (worker * 1000 + n,))
                await turn.commit()
                engine.read("SELECT count(*) FROM item WHERE id < 10")

        longest = 0
        writing = asyncio.gather(*(write(worker) for worker in range(8)))
        while not writing.done():
            await asyncio.sleep(0.005)
            longest = max(longest, (tmp_path / "db-wal").stat().st_size)
        await writing
        assert engine.statistics.checkpoints > 2
        assert engine.health() is None
        assert longest < 2 * limit, longest
        assert engine.read("SELECT count(*) FROM item") == [(800,)]
    finally:
        await engine.stop()


async def test_the_writer_restarts_a_log_whose_end_no_passive_checkpoint_reaches(tmp_path: Path) -> None:
    limit = 1024 * 1024
    engine = SqliteEngine(tmp_path / "db", synchronous="off", wal_limit_bytes=limit)
    await engine.start()
    try:
        checkpointer = engine._checkpointer
        assert checkpointer is not None
        checkpointer._copy_at = 10**9
        turn = await take(engine)
        turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
        await turn.commit()
        for _ in range(300):
            turn = await take(engine)
            turn.execute("INSERT INTO item (data) VALUES (randomblob(8000))")
            await turn.commit()
        assert (tmp_path / "db-wal").stat().st_size < limit
    finally:
        await engine.stop()


async def test_a_reader_on_an_old_snapshot_costs_writers_little_and_the_log_is_cut_after_it(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "db", synchronous="off", wal_limit_bytes=1024 * 1024)
    await engine.start()
    try:
        turn = await take(engine)
        turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
        await turn.commit()
        old = engine.snapshot()
        assert old.fetch("SELECT count(*) FROM item") == [(0,)]

        async def write(n: int) -> None:
            turn = await take(engine)
            turn.execute("INSERT INTO item (data) VALUES (randomblob(8000))")
            await turn.commit()

        for n in range(300):
            await write(n)
        assert engine.statistics.wal_pages * 4096 > 1024 * 1024
        assert old.fetch("SELECT count(*) FROM item") == [(0,)]
        old.close()
        for n in range(100):
            await write(n)
        assert engine.statistics.wal_pages * 4096 < 1024 * 1024
    finally:
        await engine.stop()


async def take(engine: SqliteEngine) -> Turn:
    turn = engine.turn()
    return turn if isinstance(turn, Turn) else await turn
