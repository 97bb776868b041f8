"""The drills of a served service in short, and the proof that each can fail.

A fault is put into a copy of the package, and the drill that looks for it must find it.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import Patch, changed, drill

ANSWER_BEFORE_COMMIT: Patch = ("adapters/sql/sqlite/group.py", "if self._settled:", "if True:")
REPLY_STORED_APART: Patch = (
    "kernel/invoke.py",
    """            if scope.emitted or scope.said is not None or call.claim is not None or marks_behind:
                await leave(scope, reply)
            call.committing = True
            await unit.commit()
""",
    """            claim, call.claim = call.claim, None
            if scope.emitted or scope.said is not None or marks_behind:
                await leave(scope, reply)
            call.claim = claim
            call.committing = True
            await unit.commit()
            if call.claim is not None:
                own = ports.store.begin(write=True)
                store_reply(call, reply, own, ports)
                await own.commit()
""",
)
MARKED_APART: Patch = (
    "kernel/flow/inbox.py",
    "            _step(call.message, unit, ports)\n        return True\n",
    """            own = UnitOfWork(unit.frame, write=True)
            _step(call.message, own, ports)
            await own.commit()
        return True
""",
)
NO_REPLY_STORED: Patch = ("kernel/invoke.py", "        if call.claim is not None:\n", "        if False:\n")
NO_SNAPSHOT: tuple[Patch, ...] = (
    ("adapters/sql/sqlite/snapshot.py", "reader.begin()", "pass"),
    ("adapters/sql/sqlite/snapshot.py", "if not self._single and not reader.connection.in_transaction:", "if False:"),
)
NO_BOUND: Patch = (
    "adapters/sql/sqlite/writer.py",
    "            self.forsake(self.active, Turn",
    "            (self.active, Turn",
)
ALL_COME_IN: Patch = (
    "inbound/http/admission.py",
    "return not self._loop_queue.crowded or self._loop_queue.admits()",
    "return True",
)
NO_TIME_OUTS: Patch = ("inbound/http/connections.py", "            connection.sweep()\n", "            pass\n")
CUT_OFF: Patch = ("inbound/http/server.py", "self._shared.retire(RECENT)", "self._shared.abort()")


def test_kills_lose_nothing_and_double_nothing() -> None:
    code, told = drill("kill", "--count", "6")
    assert code == 0, str(told)
    assert [sum(one["kills"].values()) for one in told["rounds"]] == [3, 3]
    assert sum(one["acknowledged"] for one in told["rounds"]) > 60


@pytest.mark.parametrize(
    ("patch", "faults"),
    [
        pytest.param(ANSWER_BEFORE_COMMIT, {"lost"}, id="answered before the commit"),
        pytest.param(REPLY_STORED_APART, {"applied_twice", "half_done"}, id="the reply is stored apart"),
        pytest.param(MARKED_APART, {"effects_missing", "half_done"}, id="a message is done apart from its effect"),
    ],
)
def test_kills_find_what_is_not_committed_together(tmp_path: Path, patch: Patch, faults: set[str]) -> None:
    code, told = drill("kill", "--count", "30", "--workers", "1", package=changed(tmp_path, patch))
    assert code == 1
    assert told["faults"].keys() & faults


def test_racing_retries_have_one_effect() -> None:
    code, told = drill("once", "--count", "20")
    assert code == 0, str(told)
    assert told["answers"]["201 new"] == 20


def test_a_race_finds_a_reply_that_is_not_stored(tmp_path: Path) -> None:
    code, told = drill("once", "--count", "3", "--workers", "1", package=changed(tmp_path, NO_REPLY_STORED))
    assert code == 1
    assert any("effects" in one for one in told["faults"]["wrong"])


def test_calls_over_http_are_strictly_serialisable() -> None:
    code, told = drill("history", "--count", "800")
    assert code == 0, str(told)
    assert told["calls"] >= 800


def test_the_history_finds_queries_without_a_snapshot(tmp_path: Path) -> None:
    code, told = drill("history", "--count", "800", "--workers", "1", package=changed(tmp_path, *NO_SNAPSHOT))
    assert code == 1
    assert told["faults"].keys() & {"cycle", "sum"}


@pytest.mark.parametrize(("part", "count"), [(1, 2), (2, 1), (4, 1), (5, 1)])
def test_no_request_fails_when_the_service_is_restarted(part: int, count: int) -> None:
    code, told = drill("restart", "--count", str(count), "--only", str(part))
    assert code == 0, str(told)


def test_a_restart_finds_calls_that_are_cut_off(tmp_path: Path) -> None:
    code, told = drill("restart", "--count", "2", "--only", "3", package=changed(tmp_path, CUT_OFF))
    assert code == 1
    assert told["faults"]["interrupted_single"]["failed"]


def test_one_limit_and_one_scrape_cover_all_workers() -> None:
    code, told = drill("limits", "--count", "400")
    assert code == 0, str(told)
    assert (told["calls"]["bucket 200"], told["calls"]["window 200"]) == (100, 70)


def test_workers_that_count_for_themselves_are_noticed() -> None:
    code, told = drill("limits", "--count", "600", "--alone", "1")
    assert code == 1
    assert told["faults"].get("bucket admitted", [0])[0] > 100, told


def test_slow_neighbours_are_not_noticed() -> None:
    code, told = drill("slow", "--count", "1")
    assert code == 0, str(told)


def test_slow_clients_are_closed_and_not_noticed() -> None:
    code, told = drill("slow", "--only", "3", "--slow", "60", "--margin", "10")
    assert code == 0, str(told)
    assert told["parts"]["clients"]["mixed"]["closed"] == 60


def test_slow_clients_that_are_let_have_their_way_are_noticed(tmp_path: Path) -> None:
    options = ("--only", "3", "--slow", "30", "--margin", "10")
    code, told = drill("slow", *options, package=changed(tmp_path, NO_TIME_OUTS))
    assert code == 1
    assert told["faults"]["clients"]["mixed_left_open"] >= 10


def test_a_turn_without_a_bound_is_noticed(tmp_path: Path) -> None:
    code, told = drill("slow", "--count", "1", "--only", "0", package=changed(tmp_path, NO_BOUND))
    assert code == 1
    assert "turns" in told["faults"]


def test_ten_times_the_capacity_is_survived() -> None:
    code, told = drill("overload", "--count", "2", "--only", "1", "--crowded", "1")
    assert code == 0, str(told)


def test_an_overload_without_admission_is_noticed(tmp_path: Path) -> None:
    options = ("--count", "2", "--only", "1", "--crowded", "1")
    code, told = drill("overload", *options, package=changed(tmp_path, ALL_COME_IN))
    assert code == 1
    assert set(told["faults"]["reads"]) & {"served_p99", "refused_late", "health"}


def test_a_worker_keeps_its_memory() -> None:
    code, told = drill("memory", "--count", "12000")
    assert code == 0, str(told)
    assert told["reads"] == 12_000
