"""Random calls, side by side, against a model: no call's failure, roll-back, slowness or end touches a neighbour.

The model is a dictionary that the turns change one after the other in the order in which they were given. Every read
inside a turn must equal the model's, every answer must fit what the file holds in the end, and the writing connection
must never be used by two threads at once.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.adapters.sql.faults import ConstraintFailed, StatementFailed
from mainstay.adapters.sql.sqlite import SqliteEngine, Statistics, Turn, TurnTooLong
from mainstay.adapters.sql.sqlite.writer import GroupWriter, Phase
from mainstay.model.problem import NotCommitted

TURN_SECONDS = 0.03

keys = st.integers(0, 4)
steps = st.one_of(
    st.tuples(st.just("put"), keys),
    st.tuples(st.just("add"), keys),
    st.tuples(st.just("read"), keys),
    st.tuples(st.just("drop"), keys),
    st.tuples(st.just("collide"), keys),
    st.tuples(st.just("wrong"), keys),
    st.tuples(st.just("pause"), st.integers(0, 3)),
)
rare = st.sampled_from([("hold", 0), ("lose", 0), ("cancel", 0), ("crash", 0)])
ends = st.sampled_from(["commit", "commit", "commit", "rollback", "abandon", "forget"])
calls = st.tuples(st.integers(0, 6), st.lists(steps, max_size=5), st.none() | st.none() | rare, ends)


@dataclass
class Model:
    """What the file must hold: as of the last finished group, and with the turns released in the present one."""

    group: Any = None
    durable: dict[int, int] = field(default_factory=dict)
    now: dict[int, int] = field(default_factory=dict)
    marks: dict[int, Any] = field(default_factory=dict)  # call -> the group in which its turn was released
    lost: list[Any] = field(default_factory=list)

    def enter(self, turn: Turn) -> dict[int, int]:
        if turn._group is not self.group:
            self.group, self.durable = turn._group, dict(self.now)
        return dict(self.now)

    def keep(self, call: int, turn: Turn, rows: dict[int, int]) -> None:
        self.now = rows
        self.marks[call] = turn._group

    def lose(self, turn: Turn) -> None:
        self.now = dict(self.durable)
        self.lost.append(turn._group)

    def expected_marks(self) -> set[int]:
        return {call for call, group in self.marks.items() if not any(group is lost for lost in self.lost)}


class Watched:
    """A cursor of the writing connection that notes every use which meets another, or comes out of phase."""

    def __init__(self, cursor: Any, writer: GroupWriter, lock: threading.Lock, faults: list[str]) -> None:
        self._cursor, self._writer, self._lock, self._faults = cursor, writer, lock, faults
        self._loop_thread = threading.get_ident()

    def execute(self, sql: str, bindings: Any = ()) -> Any:
        if not self._lock.acquire(blocking=False):
            self._faults.append(f"{sql} met another statement")
            return self._cursor.execute(sql, bindings)
        try:
            on_loop = threading.get_ident() == self._loop_thread
            if on_loop != (self._writer.phase is Phase.OPEN):
                self._faults.append(f"{sql} in phase {self._writer.phase}, on the {'loop' if on_loop else 'thread'}")
            return self._cursor.execute(sql, bindings)
        finally:
            self._lock.release()


@contextmanager
def watched(engine: SqliteEngine) -> Iterator[None]:
    writer = engine._writer
    assert writer is not None
    faults: list[str] = []
    lock = threading.Lock()
    both: list[Any] = [writer, writer._thread]
    writer.cursor = Watched(writer.cursor, writer, lock, faults)  # type: ignore[assignment]  # a stand-in
    both[1]._cursor = Watched(both[1]._cursor, writer, lock, faults)
    yield
    assert faults == []


class Forgot(Exception):
    """A use case that fails by itself."""


def step(turn: Turn, call: int, rows: dict[int, int], verb: str, key: int) -> None:
    if verb == "put":
        turn.execute("INSERT OR REPLACE INTO item VALUES (?, ?)", (key, call))
        rows[key] = call
    elif verb == "add":
        try:
            turn.execute("INSERT INTO item VALUES (?, ?)", (key, call))
            assert key not in rows
            rows[key] = call
        except ConstraintFailed:
            assert key in rows
    elif verb == "drop":
        turn.execute("DELETE FROM item WHERE id = ?", (key,))
        assert turn.changes == (rows.pop(key, None) is not None)
    elif verb == "collide":
        turn.execute("INSERT OR REPLACE INTO item VALUES (?, ?)", (key, call))
        rows[key] = call
        try:
            turn.executemany("INSERT INTO item VALUES (?, ?)", [(100 + call, call), (key, call)])
        except ConstraintFailed:
            turn.execute("DELETE FROM item WHERE id = ?", (100 + call,))
    elif verb == "wrong":
        try:
            turn.execute("INSERT INTO nowhere VALUES (1)")
        except StatementFailed:
            return
        raise AssertionError("a wrong statement ran")
    assert dict(turn.execute("SELECT id, value FROM item")) == rows


async def strange(turn: Turn, model: Model, verb: str) -> None:
    if verb == "hold":
        await asyncio.sleep(TURN_SECONDS * 1.5)
        turn.execute("SELECT 1")
        raise AssertionError("a turn outlived its bound")
    if verb == "lose":
        turn.execute("SELECT 1")  # on a busy machine the bound may have run out already
        model.lose(turn)
        turn.execute("INSERT OR ROLLBACK INTO item SELECT 1000, 0 UNION ALL SELECT 1000, 0")
        raise AssertionError("a lost group went on")
    if verb == "cancel":
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)
    raise Forgot


async def call(engine: SqliteEngine, model: Model, number: int, plan: Any) -> bool:
    """Run one call as the kernel would; say whether it was acknowledged."""
    delay, verbs, extra, end = plan
    for _ in range(delay):
        await asyncio.sleep(0 if delay < 3 else 0.0004)
    given = engine.turn(asyncio.current_task() if end == "forget" else None)
    turn = given if isinstance(given, Turn) else await given
    try:
        turn.execute("SELECT 1")  # on a busy machine the bound may have run out before the call came to run
        rows = model.enter(turn)
        assert dict(turn.execute("SELECT id, value FROM item")) == rows
        turn.execute("INSERT INTO mark VALUES (?)", (number,))
        for verb, key in verbs:
            if verb == "pause":
                await asyncio.sleep(0)
            else:
                step(turn, number, rows, verb, key)
        if extra is not None:
            await strange(turn, model, extra[0])
        if end == "commit":
            done = turn.commit()
            model.keep(number, turn, rows)
            await done
            return True
        if end == "rollback":
            await turn.rollback()
        elif end == "abandon":
            turn.abandon()
        return False
    except (NotCommitted, Forgot):
        return False
    finally:
        if end != "forget":
            turn.abandon()


async def run(path: Path, plans: list[Any], cancels: dict[int, int]) -> Statistics:
    engine = SqliteEngine(
        path, synchronous="off", turn_seconds=TURN_SECONDS, group_seconds=0.01, group_calls=5, busy_seconds=2
    )
    await engine.start()
    try:
        turn = await engine.turn()  # type: ignore[misc]  # no group is open yet
        turn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, value INTEGER)")
        turn.execute("CREATE TABLE mark (id INTEGER PRIMARY KEY)")
        await turn.commit()
        model = Model()
        with watched(engine):
            tasks = [asyncio.ensure_future(call(engine, model, n, plan)) for n, plan in enumerate(plans)]
            for n, ticks in cancels.items():
                if n < len(tasks):
                    asyncio.get_running_loop().call_later(ticks * 0.0005, tasks[n].cancel)
            async with asyncio.timeout(10):
                results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
                raise result
    finally:
        await engine.stop()
    file = apsw.Connection(str(path))
    marks = {row[0] for row in file.execute("SELECT id FROM mark")}
    assert marks == model.expected_marks()
    assert dict(file.execute("SELECT id, value FROM item").fetchall()) == model.now
    assert {n for n, result in enumerate(results) if result is True} <= marks
    file.close()
    return engine.statistics


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    plans=st.lists(calls, min_size=2, max_size=10),
    cancels=st.dictionaries(st.integers(0, 9), st.integers(0, 8), max_size=2),
)
def test_calls_side_by_side_are_as_good_as_one_after_the_other(plans: list[Any], cancels: dict[int, int]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory) / "db", plans, cancels))


def test_the_model_knows_every_strange_end(tmp_path: Path) -> None:
    """One run with all of them, so that a change to the model cannot lose one unseen."""
    odd = [("hold", 0), ("lose", 0), ("cancel", 0), ("crash", 0)]
    plans: list[Any] = []
    for extra in odd:
        plans.append((0, [("put", 1), ("pause", 1), ("read", 2)], None, "commit"))
        plans.append((0, [("put", 2), ("collide", 1), ("wrong", 0)], extra, "commit"))
        plans.append((0, [("add", 3), ("drop", 1)], None, "commit"))
        plans.append((0, [("add", 4)], extra, "forget"))
    seen = asyncio.run(run(tmp_path / "db", plans, {0: 1, 6: 4}))
    assert seen.expired >= 2
    assert seen.lost >= 1
    assert seen.rolled_back >= 4
    assert seen.calls > seen.groups > 3


async def test_a_turn_taken_while_its_group_looks_for_more_calls_keeps_the_group_open(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path / "db", synchronous="off")
    await engine.start()
    try:
        first: Any = await engine.turn()  # type: ignore[misc]  # no group is open yet
        with watched(engine):
            end = first.commit()
            second = engine.turn()
            assert isinstance(second, Turn)
            second.execute("CREATE TABLE item (id INTEGER PRIMARY KEY)")
            await asyncio.sleep(0.02)
            second.execute("INSERT INTO item VALUES (1)")
            await asyncio.gather(end, second.commit())
        assert engine.statistics.groups == 1
        assert engine.read("SELECT * FROM item") == [(1,)]
    finally:
        await engine.stop()


def test_too_long_is_a_kind_of_not_committed() -> None:
    assert issubclass(TurnTooLong, NotCommitted)
