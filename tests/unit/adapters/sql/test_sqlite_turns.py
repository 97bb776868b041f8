"""Turns, groups and what one call may do to its neighbours."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from pathlib import Path

import apsw
import pytest
from sqlite_engines import Make, add, add_one, ids, take, with_schema

from mainstay.adapters.sql.faults import ConstraintFailed
from mainstay.adapters.sql.sqlite import SqliteEngine, Turn, TurnEnded, TurnTooLong, WriterBusy, WritesStopped


async def test_a_committed_turn_is_seen_and_a_rolled_back_one_is_not(engine: SqliteEngine) -> None:
    await add_one(engine, 1)
    turn = await take(engine)
    add(turn, 2)
    assert turn.execute("SELECT count(*) FROM item") == [(2,)]
    assert ids(engine) == [1]
    await turn.rollback()
    assert ids(engine) == [1]


async def test_a_free_turn_in_an_open_group_is_given_at_once(engine: SqliteEngine) -> None:
    first = await take(engine)
    first_end = first.commit()
    second = engine.turn()
    assert isinstance(second, Turn)
    second_end = second.commit()
    await asyncio.gather(first_end, second_end)
    assert engine.statistics.groups == 2  # the schema's and this one


async def test_a_group_that_nobody_joins_ends_at_once(make: Make) -> None:
    engine = await with_schema(await make(group_seconds=60))
    async with asyncio.timeout(3):
        await add_one(engine, 1)


async def test_a_group_ends_by_count(make: Make) -> None:
    engine = await with_schema(await make(group_seconds=60, group_calls=4))
    before = engine.statistics.groups
    await asyncio.gather(*(add_one(engine, id) for id in range(10)))
    assert engine.statistics.groups - before == 3
    assert ids(engine) == list(range(10))


async def test_a_group_ends_by_time_though_others_wait(make: Make) -> None:
    engine = await with_schema(await make(group_seconds=0.01))
    ended = []

    async def slow(id: int) -> None:
        turn = await take(engine)
        add(turn, id)
        await asyncio.sleep(0.006)
        await turn.commit()
        ended.append(id)

    before = engine.statistics.groups
    await asyncio.gather(*(slow(id) for id in range(6)))
    assert engine.statistics.groups - before >= 3
    assert ended == list(range(6))


async def test_turns_are_given_in_order_of_arrival_and_never_interleave(engine: SqliteEngine) -> None:
    log: list[tuple[str, int]] = []

    async def call(number: int) -> None:
        turn = await take(engine)
        log.append(("in", number))
        add(turn, number)
        await asyncio.sleep(0.001)
        log.append(("out", number))
        await (turn.rollback() if number % 3 == 0 else turn.commit())

    await asyncio.gather(*(call(number) for number in range(12)))
    assert log == [(side, number) for number in range(12) for side in ("in", "out")]
    assert ids(engine) == [number for number in range(12) if number % 3]


async def test_an_answer_waits_for_the_groups_commit_even_when_it_is_a_refusal(engine: SqliteEngine) -> None:
    first = await take(engine)
    add(first, 1)
    end = first.commit()
    second = await take(engine)
    with pytest.raises(ConstraintFailed):
        add(second, 1)
    refusal = second.rollback()
    assert not asyncio.ensure_future(end).done()
    assert not asyncio.ensure_future(refusal).done()
    await refusal
    assert asyncio.ensure_future(end).done()
    assert ids(engine) == [1]


async def test_a_failed_statement_leaves_its_turn_and_its_neighbours_alone(engine: SqliteEngine) -> None:
    first, second, third = (asyncio.ensure_future(take(engine)) for _ in range(3))
    add(await first, 1)
    first_end = (await first).commit()
    turn = await second
    add(turn, 2)
    with pytest.raises(ConstraintFailed):
        turn.executemany("INSERT INTO item (id, name) VALUES (?, ?)", [(3, "three"), (4, "item 1")])
    assert turn.execute("SELECT count(*) FROM item") == [(3,)]
    second_end = turn.rollback()
    add(await third, 5)
    await asyncio.gather(first_end, second_end, (await third).commit())
    assert ids(engine) == [1, 5]


async def test_a_turn_held_too_long_is_rolled_back_alone(make: Make) -> None:
    engine = await with_schema(await make(turn_seconds=0.1))
    first = await take(engine)
    add(first, 1)
    end = first.commit()
    holder = await take(engine)
    add(holder, 2)
    waiting = asyncio.ensure_future(take(engine))
    async with asyncio.timeout(2):
        after = await waiting
        add(after, 3)
        await after.commit()
        await end
    assert ids(engine) == [1, 3]
    for use in (lambda: add(holder, 4), holder.commit, lambda: holder.changes):
        with pytest.raises(TurnTooLong) as caught:
            use()
        assert caught.value.code == "turn_too_long"
    await holder.rollback()
    assert engine.statistics.expired == 1


async def test_short_turns_never_run_into_the_bound(make: Make) -> None:
    engine = await with_schema(await make(turn_seconds=0.2))
    for id in range(30):
        turn = await take(engine)
        add(turn, id)
        await asyncio.sleep(0.01)
        await turn.commit()
    assert engine.statistics.expired == 0


async def test_a_cancelled_waiter_leaves_no_hole(engine: SqliteEngine) -> None:
    holder = await take(engine)
    waiting = [asyncio.ensure_future(add_one(engine, id)) for id in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    await asyncio.sleep(0)
    assert engine.queue == 3
    await holder.commit()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [True, False, True, False, False]
    assert ids(engine) == [1, 3, 4]


async def test_a_waiter_cancelled_in_the_tick_that_gave_it_the_turn_gives_it_back(engine: SqliteEngine) -> None:
    holder = await take(engine)
    chosen = asyncio.ensure_future(add_one(engine, 1))
    last = asyncio.ensure_future(add_one(engine, 2))
    await asyncio.sleep(0)
    end = holder.commit()
    chosen.cancel()
    async with asyncio.timeout(2):
        await asyncio.gather(end, last)
    with pytest.raises(asyncio.CancelledError):
        await chosen
    assert ids(engine) == [2]


async def test_a_turn_whose_owner_ends_is_rolled_back_alone(engine: SqliteEngine) -> None:
    async def hold() -> None:
        turn = await take(engine, asyncio.current_task())
        add(turn, 1)
        await asyncio.sleep(10)

    await add_one(engine, 9)
    owner = asyncio.ensure_future(hold())
    await asyncio.sleep(0.05)
    waiting = asyncio.ensure_future(add_one(engine, 2))
    owner.cancel()
    async with asyncio.timeout(2):
        await waiting
    assert ids(engine) == [2, 9]


async def test_a_call_cancelled_while_its_group_commits_does_not_disturb_the_others(engine: SqliteEngine) -> None:
    calls = [asyncio.ensure_future(add_one(engine, id)) for id in range(6)]
    while engine.statistics.calls < 7:
        await asyncio.sleep(0)
    calls[2].cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    assert ids(engine) == list(range(6))


async def test_abandon_gives_the_turn_back_at_once_and_twice_is_once(engine: SqliteEngine) -> None:
    turn = await take(engine)
    add(turn, 1)
    turn.abandon()
    turn.abandon()
    assert not turn.open
    await add_one(engine, 2)
    assert ids(engine) == [2]


async def test_a_turn_cannot_be_used_after_its_end(engine: SqliteEngine) -> None:
    turn = await take(engine)
    await turn.commit()
    for use in (turn.commit, turn.rollback, lambda: add(turn, 1), lambda: turn.executemany("SELECT 1", [()])):
        with pytest.raises(TurnEnded):
            use()


async def test_the_queue_is_bounded(make: Make) -> None:
    engine = await make(queue_limit=2)
    holder = await take(engine)
    waiting = [asyncio.ensure_future(take(engine)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(WriterBusy) as caught:
        await take(engine)
    assert caught.value.retry_after
    await holder.commit()
    for waiter in waiting:
        await (await waiter).rollback()


async def test_settings_of_the_connection(make: Make, tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "durable")
    await engine.start()
    try:
        writer = engine._writer
        assert writer is not None
        wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}
        assert {name: writer.connection.pragma(name) for name in wanted} == wanted
        assert writer.connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, -1) == 1
    finally:
        await engine.stop()


async def test_stop_ends_the_threads_and_leaves_no_log(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    engine = await with_schema(await started(tmp_path))
    open_turn = await take(engine)
    add(open_turn, 1)
    waiting = asyncio.ensure_future(take(engine))
    await asyncio.sleep(0)
    await engine.stop()
    with pytest.raises(WritesStopped):
        await waiting
    assert {thread.name for thread in set(threading.enumerate()) - before if "sqlite" in thread.name} == set()
    assert not (tmp_path / "db-wal").exists() or (tmp_path / "db-wal").stat().st_size == 0
    with pytest.raises(RuntimeError, match="not running"):
        engine.turn()
    again = await started(tmp_path)
    assert ids(again) == []
    await again.stop()


async def started(tmp_path: Path) -> SqliteEngine:
    engine = SqliteEngine(tmp_path / "db")
    await engine.start()
    return engine


def test_options_are_checked(tmp_path: Path) -> None:
    for wrong in (
        {"group_calls": 0},
        {"turn_seconds": 0},
        {"synchronous": "extra"},
        {"wal_limit_bytes": 1},
        {"memory_bytes": 1},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SqliteEngine(tmp_path / "db", **wrong)


async def test_a_wait_is_told_only_of_those_whom_a_group_has_left_behind(make: Make) -> None:
    engine = await with_schema(await make(group_seconds=60, group_calls=2))
    assert engine.delay == 0.0
    for _ in range(50):  # a commit that is over before the loop comes to look has left nobody behind for long
        told = await _told_of_one_left_behind(engine)
        assert engine.delay == 0.0
        if told:
            break
    assert told >= 0.02


async def _told_of_one_left_behind(engine: SqliteEngine) -> float:
    holder = await take(engine)
    waiting = [asyncio.ensure_future(take(engine)) for _ in range(2)]
    await asyncio.sleep(0.02)
    assert engine.delay == 0.0  # the open group may take them yet
    ends = [holder.commit()]
    second = await waiting[0]
    ends.append(second.commit())  # with this one the group is full
    told = 0.0
    while not waiting[1].done() and not told:
        await asyncio.sleep(0)
        told = engine.delay
    await (await waiting[1]).commit()
    await asyncio.gather(*ends)
    return told


async def test_a_wait_for_a_thread_is_told(make: Make) -> None:
    engine = await make(readers=1)
    pool = engine._readers
    assert pool is not None
    free = threading.Event()
    readers = [pool.lease() for _ in range(2)]
    assert readers[0] is not None
    assert readers[1] is not None
    first = asyncio.ensure_future(pool.in_thread(readers[0], partial(free.wait, 30)))
    try:
        await asyncio.sleep(0)
        while engine.read_delay:  # until it has begun
            await asyncio.sleep(0.001)
        second = asyncio.ensure_future(pool.in_thread(readers[1], free.is_set))
        await asyncio.sleep(0.02)
        assert 0.01 < engine.read_delay < 10
    finally:
        free.set()
    assert await asyncio.gather(first, second) == [True, True]
    assert engine.read_delay == 0.0
    for _ in range(300):  # nobody asks for the delay meanwhile
        await pool.in_thread(readers[1], free.is_set)
    assert len(pool._jobs) <= 256
    for reader in readers:
        pool.release(reader)  # type: ignore[arg-type]  # they are there
