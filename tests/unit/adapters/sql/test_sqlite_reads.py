"""Reads: short ones on the loop, long ones in a thread, snapshots that hold still."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import apsw
import pytest

from mainstay.adapters.sql.faults import StatementFailed
from mainstay.adapters.sql.sqlite import ReadersBusy, Snapshot, SnapshotTooOld, SqliteEngine, Turn, TurnEnded
from mainstay.model.problem import Unavailable

LONG = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n"
ENDLESS = 10**12

Make = Callable[..., Awaitable[SqliteEngine]]


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Make]:
    engines = []

    async def made(**options: Any) -> SqliteEngine:
        engine = SqliteEngine(tmp_path / "db", synchronous="off", **options)
        await engine.start()
        engines.append(engine)
        turn = await take(engine)
        turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, data TEXT)")
        turn.execute("INSERT INTO item VALUES (1, 'one'), (2, 'two')")
        await turn.commit()
        return engine

    yield made
    for engine in engines:
        await engine.stop()


@pytest.fixture
async def engine(make: Make) -> SqliteEngine:
    return await make()


async def take(engine: SqliteEngine) -> Turn:
    turn = engine.turn()
    return turn if isinstance(turn, Turn) else await turn


async def add(engine: SqliteEngine, id: int) -> None:
    turn = await take(engine)
    turn.execute("INSERT INTO item VALUES (?, 'x')", (id,))
    await turn.commit()


async def rows_of(fetched: list[Any] | Awaitable[list[Any]]) -> list[Any]:
    return fetched if isinstance(fetched, list) else await fetched


def count(snapshot: Snapshot) -> Any:
    return snapshot.fetch("SELECT count(*) FROM item")


async def test_a_short_read_is_answered_at_once(engine: SqliteEngine) -> None:
    assert engine.read("SELECT data FROM item WHERE id = ?", (2,)) == [("two",)]
    single = engine.snapshot(single=True)
    assert single.fetch("SELECT data FROM item WHERE id = ?", (1,)) == [("one",)]
    assert engine.statistics.reads_inline == 2
    assert engine.statistics.reads_in_thread == 0


@pytest.mark.parametrize("single", [True, False])
async def test_a_long_read_does_not_stall_the_loop(engine: SqliteEngine, single: bool) -> None:
    snapshot = engine.snapshot(single=single)
    began = perf_counter()
    fetched = snapshot.fetch(LONG, (3_000_000,))
    inline = perf_counter() - began
    assert not isinstance(fetched, list)
    reading = asyncio.ensure_future(fetched)
    ticks = 0
    while not reading.done():
        await asyncio.sleep(0.002)
        ticks += 1
    assert await reading == [(3_000_000,)]
    assert inline < 0.2
    assert ticks > 10
    assert engine.statistics.interrupted == 1
    assert engine.statistics.reads_in_thread == 1
    snapshot.close()


async def test_a_snapshot_holds_still_over_inline_and_threaded_reads(engine: SqliteEngine) -> None:
    snapshot = engine.snapshot()
    assert count(snapshot) == [(2,)]
    await add(engine, 3)
    assert count(snapshot) == [(2,)]
    assert await rows_of(snapshot.fetch(f"SELECT ({LONG}), (SELECT count(*) FROM item)", (1_000_000,))) == [
        (1_000_000, 2)
    ]
    await add(engine, 4)
    assert count(snapshot) == [(2,)]
    snapshot.close()
    assert count(engine.snapshot(single=True)) == [(4,)]


async def test_an_interrupted_first_read_and_its_second_run_see_the_snapshot_of_the_later_reads(
    engine: SqliteEngine,
) -> None:
    snapshot = engine.snapshot()
    first = snapshot.fetch(f"SELECT ({LONG}), (SELECT count(*) FROM item)", (1_000_000,))
    assert not isinstance(first, list)
    assert (await first)[0][1] == 2
    await add(engine, 3)
    assert count(snapshot) == [(2,)]
    snapshot.close()


async def test_reads_go_on_while_a_turn_is_held_and_see_committed_rows_only(engine: SqliteEngine) -> None:
    turn = await take(engine)
    turn.execute("DELETE FROM item")
    assert engine.read("SELECT count(*) FROM item") == [(2,)]
    snapshot = engine.snapshot()
    assert count(snapshot) == [(2,)]
    await turn.commit()
    assert count(snapshot) == [(2,)]
    assert engine.read("SELECT count(*) FROM item") == [(0,)]
    snapshot.close()


async def test_a_long_read_does_not_hold_up_a_write(engine: SqliteEngine) -> None:
    reading = asyncio.ensure_future(rows_of(engine.read(LONG, (ENDLESS,))))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(3):
        await add(engine, 3)
    assert not reading.done()
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_reads_of_one_snapshot_at_the_same_time_take_turns(engine: SqliteEngine) -> None:
    snapshot = engine.snapshot()
    fetched = [rows_of(snapshot.fetch(LONG, (400_000 + n,))) for n in range(3)]
    fetched.append(rows_of(snapshot.fetch("SELECT 7")))
    assert [rows[0][0] for rows in await asyncio.gather(*fetched)] == [400_000, 400_001, 400_002, 7]
    snapshot.close()


async def test_a_cancelled_read_ends_and_its_snapshot_stays_usable(engine: SqliteEngine) -> None:
    snapshot = engine.snapshot()
    assert count(snapshot) == [(2,)]
    reading = asyncio.ensure_future(rows_of(snapshot.fetch(LONG, (ENDLESS,))))
    await asyncio.sleep(0.01)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await add(engine, 3)
    async with asyncio.timeout(3):
        assert await rows_of(count(snapshot)) == [(2,)]
        snapshot.close()


async def test_closing_a_snapshot_cuts_its_read_short_and_gives_the_connection_back(make: Make) -> None:
    engine = await make(snapshots=1)
    snapshot = engine.snapshot()
    reading = asyncio.ensure_future(rows_of(snapshot.fetch(LONG, (ENDLESS,))))
    await asyncio.sleep(0.01)
    snapshot.close()
    with pytest.raises(StatementFailed):
        await reading
    second = engine.snapshot()
    async with asyncio.timeout(3):
        assert await rows_of(count(second)) == [(2,)]
    second.close()


async def test_connections_are_bounded_and_given_in_order(make: Make) -> None:
    engine = await make(snapshots=2, busy_seconds=0.1)
    held = [engine.snapshot(), engine.snapshot()]
    for snapshot in held:
        assert count(snapshot) == [(2,)]
    third, fourth = engine.snapshot(), engine.snapshot()
    waiting = asyncio.ensure_future(rows_of(count(third)))
    await asyncio.sleep(0.01)
    assert engine.reader_queue == 1
    assert 0.005 < engine.read_delay < 10
    held[0].close()
    assert await waiting == [(2,)]
    with pytest.raises(ReadersBusy) as caught:
        await rows_of(count(fourth))
    assert caught.value.retry_after
    for snapshot in (held[1], third, fourth):
        snapshot.close()
    assert engine.reader_queue == 0
    assert engine.read_delay == 0.0
    last = engine.snapshot()
    assert count(last) == [(2,)]
    last.close()


async def test_a_wait_for_a_connection_may_begin_outside_of_a_task(make: Make) -> None:
    engine = await make(snapshots=1)
    held, second = engine.snapshot(), engine.snapshot()
    assert count(held) == [(2,)]
    waiting = count(second)
    assert not isinstance(waiting, list)
    steps = waiting.__await__()
    first: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: first.set_result(next(steps)))  # what a call without a Task does
    async with asyncio.timeout(3):
        future = await first
    held.close()
    await asyncio.sleep(0)
    assert future.done()
    steps.close()
    second.close()


async def test_a_cancelled_wait_for_a_connection_leaves_no_hole(make: Make) -> None:
    engine = await make(snapshots=1)
    held = engine.snapshot()
    assert count(held) == [(2,)]
    first, second = engine.snapshot(), engine.snapshot()
    waiting = [asyncio.ensure_future(rows_of(count(snapshot))) for snapshot in (first, second)]
    await asyncio.sleep(0)
    held.close()
    waiting[0].cancel()
    async with asyncio.timeout(3):
        assert await waiting[1] == [(2,)]
    first.close()
    second.close()


async def test_two_reads_of_one_snapshot_that_wait_for_a_connection_take_only_one(make: Make) -> None:
    engine = await make(snapshots=2)
    held = [engine.snapshot(), engine.snapshot()]
    for snapshot in held:
        assert count(snapshot) == [(2,)]
    late = engine.snapshot()
    waiting = asyncio.ensure_future(rows_of(count(late)))
    await asyncio.sleep(0)
    for snapshot in held:
        snapshot.close()
    assert await rows_of(count(late)) == [(2,)]
    assert await waiting == [(2,)]
    late.close()
    readers = engine._readers
    assert readers is not None
    assert len(readers._idle) == 2
    assert not readers._leased


async def test_a_snapshot_outlives_the_engine_only_to_be_refused(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "other")
    await engine.start()
    snapshot = engine.snapshot()
    assert snapshot.fetch("SELECT 1") == [(1,)]
    waiting = snapshot.fetch(LONG, (ENDLESS,))
    assert not isinstance(waiting, list)
    await engine.stop()
    with pytest.raises(Unavailable):
        await waiting
    snapshot.close()


async def test_a_stream_gives_batches_of_one_snapshot_in_constant_memory(engine: SqliteEngine) -> None:
    snapshot = engine.snapshot()
    wide = (
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) "
        "SELECT i, (SELECT count(*) FROM item), printf('%1000d', i) FROM n"
    )
    seen = 0
    tracemalloc.start()
    try:
        async for batch in snapshot.stream(wide, batch=100):
            assert len(batch) == 100
            assert batch[0][:2] == (seen + 1, 2)
            seen += len(batch)
            if seen == 1000:
                await add(engine, 3)
                assert await rows_of(count(snapshot)) == [(2,)]
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert seen == 20_000
    snapshot.close()


async def test_a_stream_that_is_left_and_one_that_fails_give_the_connection_back(make: Make) -> None:
    engine = await make(snapshots=1)
    for single in (False, True):
        snapshot = engine.snapshot(single=single)
        async for batch in snapshot.stream("SELECT id FROM item", batch=1):
            assert batch == [(1,)]
            break
        with pytest.raises(StatementFailed):
            async for batch in snapshot.stream("SELECT nothing"):
                raise AssertionError(batch)
        snapshot.close()


async def test_readers_cannot_write_nor_end_their_snapshot(engine: SqliteEngine) -> None:
    snapshot = engine.snapshot()
    for statement in ("DELETE FROM item", "COMMIT", "BEGIN", "PRAGMA query_only = 0", "ATTACH ':memory:' AS x"):
        with pytest.raises(StatementFailed):
            snapshot.fetch(statement)
        with pytest.raises(StatementFailed):
            engine.read(statement)
    assert count(snapshot) == [(2,)]
    snapshot.close()
    with pytest.raises(TurnEnded):
        snapshot.fetch("SELECT 1")


async def test_an_old_snapshot_is_ended_once_the_log_is_over_its_limit(make: Make) -> None:
    engine = await make(snapshot_seconds=0.01, wal_limit_bytes=1024 * 1024)
    idle, reading = engine.snapshot(), engine.snapshot()
    assert count(idle) == [(2,)]
    long = asyncio.ensure_future(rows_of(reading.fetch(LONG, (ENDLESS,))))
    await asyncio.sleep(0.02)
    readers = engine._readers
    assert readers is not None
    readers._end_old()
    assert count(idle) == [(2,)]
    for id in range(3, 7):
        turn = await take(engine)
        turn.execute("INSERT INTO item VALUES (?, printf('%500000d', 1))", (id,))
        await turn.commit()
    readers._end_old()
    with pytest.raises(SnapshotTooOld):
        await long
    for snapshot in (idle, reading):
        with pytest.raises(SnapshotTooOld):
            count(snapshot)
        snapshot.close()
    again = engine.snapshot()
    assert count(again) == [(6,)]
    again.close()


async def test_a_file_being_recovered_is_waited_for_in_a_thread(engine: SqliteEngine, tmp_path: Path) -> None:
    readers = engine._readers
    assert readers is not None
    reader = readers._single
    reader._until = perf_counter()
    assert reader._wait(0) is False
    reader.unbound()
    assert reader._wait(0) is True
    assert reader._wait(10**6) is False


async def test_data_version_changes_with_every_commit_by_anyone(engine: SqliteEngine, tmp_path: Path) -> None:
    first = engine.data_version()
    assert engine.data_version() == first
    await add(engine, 3)
    second = engine.data_version()
    assert second != first
    other = apsw.Connection(str(tmp_path / "db"))
    other.execute("INSERT INTO item VALUES (4, 'x')")
    other.close()
    assert engine.data_version() != second


async def test_stopping_cuts_long_reads_short(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "other")
    await engine.start()
    reading = asyncio.ensure_future(rows_of(engine.read(LONG, (ENDLESS,))))
    await asyncio.sleep(0.01)
    async with asyncio.timeout(3):
        await engine.stop()
        with pytest.raises(Unavailable):
            await reading


async def test_a_statement_that_was_too_long_goes_to_a_thread_at_once(make: Make) -> None:
    engine = await make(inline_read_seconds=0.0001)
    for _ in range(4):
        found = engine.read(LONG, (200_000,))
        assert not isinstance(found, list)
        assert await found == [(200_000,)]
    counted = engine.statistics
    assert (counted.interrupted, counted.reads_in_thread) == (2, 4)
    short = engine.read(LONG, (1,))
    assert not isinstance(short, list)  # it is the statement that is judged, until it is tried again
    assert await short == [(1,)]
