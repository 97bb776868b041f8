"""Disks that fail: what is answered when SQLite ends a transaction by itself, or a commit ends badly."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import pytest

from mainstay.adapters.sql.sqlite import (
    SqliteEngine,
    Turn,
    WriterBusy,
    WritesStopped,
)
from mainstay.adapters.sql.sqlite.errors import FileMoved
from mainstay.model.problem import CommitUnknown, NotCommitted


class Faults:
    """What the next writes and syncs of the log raise."""

    def __init__(self) -> None:
        self.write: type[apsw.Error] | None = None
        self.sync: type[apsw.Error] | None = None


class FaultyFile(apsw.VFSFile):
    """A file whose writes and syncs fail on demand, if it is a log."""

    def __init__(self, name: Any, flags: list[int], faults: Faults) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._faults = faults if path and path.endswith("-wal") else Faults()
        super().__init__("", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:
        if self._faults.write is not None:
            raise self._faults.write("injected")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self._faults.sync is not None:
            raise self._faults.sync("injected")
        super().xSync(flags)


class FaultyVfs(apsw.VFS):
    def __init__(self, name: str, faults: Faults) -> None:
        self._faults = faults
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> FaultyFile:
        return FaultyFile(name, flags, self._faults)


@pytest.fixture
def faults(request: pytest.FixtureRequest) -> Iterator[Faults]:
    faults = Faults()
    vfs = FaultyVfs("faulty", faults)
    yield faults
    faults.write = faults.sync = None
    vfs.unregister()


@pytest.fixture
async def engine(tmp_path: Path, faults: Faults) -> AsyncIterator[SqliteEngine]:
    engine = SqliteEngine(tmp_path / "db", vfs="faulty", busy_seconds=0.5)
    await engine.start()
    turn = await take(engine)
    turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
    await turn.commit()
    yield engine
    faults.write = faults.sync = None
    await engine.stop()


async def take(engine: SqliteEngine) -> Turn:
    turn = engine.turn()
    return turn if isinstance(turn, Turn) else await turn


async def add(engine: SqliteEngine, id: int) -> None:
    turn = await take(engine)
    turn.execute("INSERT INTO item VALUES (?, 'x')", (id,))
    await turn.commit()


async def refuse(engine: SqliteEngine) -> None:
    turn = await take(engine)
    await turn.rollback()


def ids(engine: SqliteEngine) -> list[int]:
    rows = engine.read("SELECT id FROM item ORDER BY id")
    assert isinstance(rows, list)
    return [row[0] for row in rows]


async def test_an_io_error_at_the_commit_is_unknown_for_all_and_stops_writes(
    engine: SqliteEngine, faults: Faults
) -> None:
    await add(engine, 1)
    assert engine.health() is None
    faults.sync = apsw.IOError
    calls = await asyncio.gather(
        *(add(engine, id) for id in (2, 3)), refuse(engine), add(engine, 4), return_exceptions=True
    )
    assert [type(call) for call in calls] == [CommitUnknown] * 4
    assert [call.code for call in calls if isinstance(call, CommitUnknown)] == ["commit_unknown"] * 4
    faults.sync = None
    assert "commit failed" in str(engine.health())
    with pytest.raises(WritesStopped):
        await add(engine, 5)
    assert ids(engine) == [1]
    assert engine.statistics.lost == 1


async def test_a_full_disk_at_the_commit_is_a_known_roll_back_and_health_says_so_until_a_commit_works(
    engine: SqliteEngine, faults: Faults
) -> None:
    await add(engine, 1)
    faults.write = apsw.FullError
    calls = await asyncio.gather(*(add(engine, id) for id in (2, 3)), refuse(engine), return_exceptions=True)
    assert [type(call) for call in calls[:2]] == [NotCommitted] * 2
    assert all(call.code == "not_committed" for call in calls[:2] if isinstance(call, NotCommitted))
    assert all(isinstance(call.__cause__, apsw.FullError) for call in calls[:2] if isinstance(call, NotCommitted))
    assert str(engine.health()).startswith("a commit was rolled back: ")
    faults.write = None
    await add(engine, 4)
    assert engine.health() is None
    assert ids(engine) == [1, 4]


async def test_nothing_is_acknowledged_into_a_file_that_was_deleted(engine: SqliteEngine) -> None:
    await add(engine, 1)
    elsewhere = engine.options.path.rename(engine.options.path.with_suffix(".moved"))
    with pytest.raises(NotCommitted) as refused:
        await add(engine, 2)
    assert isinstance(refused.value.__cause__, FileMoved)
    assert "was moved or deleted" in str(engine.health())
    with pytest.raises(WritesStopped):
        await add(engine, 3)
    elsewhere.rename(engine.options.path)
    assert ids(engine) == [1]


async def test_when_sqlite_rolls_the_transaction_back_every_call_of_the_group_fails(
    engine: SqliteEngine, faults: Faults
) -> None:
    first, second, third = (asyncio.ensure_future(take(engine)) for _ in range(3))
    turn = await first
    turn.execute("INSERT INTO item VALUES (1, 'x')")
    committed = turn.commit()
    refused = (await second).rollback()
    turn = await third
    later = asyncio.ensure_future(add(engine, 9))
    await asyncio.sleep(0)
    faults.write = apsw.IOError  # the page cache spills into the log in the middle of the statement
    with pytest.raises(NotCommitted):
        turn.execute(
            "WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
            "INSERT INTO item SELECT i, randomblob(4000) FROM n"
        )
    faults.write = None
    assert not turn.open
    for use in (lambda: turn.execute("SELECT 1"), turn.commit, turn.rollback):
        with pytest.raises(NotCommitted):
            use()
    for end in (committed, refused):
        with pytest.raises(NotCommitted):
            await end
    await later
    assert ids(engine) == [9]
    assert engine.health() is None
    assert engine.statistics.lost == 1


async def test_a_file_held_by_someone_else_is_busy_and_nothing_is_begun(engine: SqliteEngine, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(WriterBusy) as caught:
        await add(engine, 1)
    assert caught.value.retry_after
    await asyncio.sleep(0.3)  # the last try of the thread ends with nobody left to wait for it
    assert engine.health() is None
    other.execute("COMMIT")
    await add(engine, 2)
    assert ids(engine) == [2]
    other.close()


async def test_a_call_that_comes_late_waits_its_own_time_for_a_held_file(engine: SqliteEngine, tmp_path: Path) -> None:
    other = apsw.Connection(str(tmp_path / "db"))
    other.execute("BEGIN IMMEDIATE")
    early = asyncio.ensure_future(add(engine, 1))
    await asyncio.sleep(0.3)
    late = asyncio.ensure_future(add(engine, 2))
    with pytest.raises(WriterBusy):
        await early
    assert not late.done()
    other.execute("COMMIT")
    async with asyncio.timeout(5):
        await late
    assert ids(engine) == [2]
    other.close()


async def test_a_process_that_hangs_in_its_turn_makes_the_others_busy_not_stuck(
    engine: SqliteEngine, tmp_path: Path
) -> None:
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from mainstay.adapters.sql.sqlite.locks import FileTurn\n"
            "FileTurn(Path(sys.argv[1])).take(); print('held', flush=True); sys.stdin.read()",
            str(tmp_path / "db-turns"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert await asyncio.to_thread(holder.stdout.readline) == b"held\n"
        with pytest.raises(WriterBusy):
            await add(engine, 1)
        waiting = asyncio.ensure_future(add(engine, 2))
        await asyncio.sleep(0.05)
        holder.kill()
        async with asyncio.timeout(5):
            await waiting
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    assert ids(engine) == [2]


async def test_a_failed_begin_is_told_by_health_until_one_works(engine: SqliteEngine, tmp_path: Path) -> None:
    writer = engine._writer
    assert writer is not None
    thread, failing = writer._thread, True
    take_file = thread._file_turn.take

    def broken() -> None:
        if failing:
            raise OSError("no locks available")
        take_file()

    thread._file_turn.take = broken  # type: ignore[method-assign]  # no file system here refuses locks
    with pytest.raises(WritesStopped):
        await add(engine, 1)
    assert "no locks available" in str(engine.health())
    failing = False
    await add(engine, 2)
    assert engine.health() is None


async def test_an_error_that_ends_the_writer_thread_leaves_no_call_waiting(
    engine: SqliteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = engine._writer
    assert writer is not None

    def broken() -> None:
        raise OSError("gone")

    monkeypatch.setattr(writer._thread._file_turn, "leave", broken)
    async with asyncio.timeout(5):
        with suppress(WritesStopped):  # where the thread had yet to let the file go after the fixture's commit
            await add(engine, 1)
        with pytest.raises((CommitUnknown, WritesStopped)):
            await add(engine, 2)
    assert "writer thread ended" in str(engine.health())


async def test_a_failed_checkpoint_turns_health_red_until_one_works(tmp_path: Path, faults: Faults) -> None:
    engine = SqliteEngine(tmp_path / "db", vfs="faulty", wal_limit_bytes=1024 * 1024)
    await engine.start()
    try:
        turn = await take(engine)
        turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data BLOB)")
        await turn.commit()
        checkpointer = engine._checkpointer
        assert checkpointer is not None
        faults.sync = apsw.IOError
        await asyncio.to_thread(checkpointer._copy)
        assert "checkpoint failed" in str(engine.health())
        faults.sync = None
        await asyncio.to_thread(checkpointer._copy)
        assert engine.health() is None
    finally:
        faults.sync = None
        await engine.stop()


def test_the_process_ends_even_if_the_engine_is_never_stopped(tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom mainstay.adapters.sql.sqlite import SqliteEngine\n"
        "async def main():\n    await SqliteEngine(Path(sys.argv[1])).start()\nasyncio.run(main())\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "db")]
    subprocess.run(command, check=True, timeout=20)
