"""The SQLite drills in short, and the proof that each of them, and each unit test of weight, can fail.

A fault is put into a copy of the package, and what guards against it must notice.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import mainstay

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENGINE = Path("adapters/sql/sqlite")
UNIT = ROOT / "tests/unit/adapters/sql"

PYTEST = (sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")

Patch = tuple[str, str, str]  # file of the engine, text in it, text in its place

ANSWER_BEFORE_COMMIT: Patch = ("group.py", "if self._settled:", "if True:")
NO_SYNC: Patch = ("connection.py", '"synchronous", options.synchronous', '"synchronous", "off"')
KEEP_REFUSED: Patch = (
    "writer.py",
    "            if not keep:\n                self.cursor.execute(sql.ROLLBACK_TO)\n",
    "            if not keep:\n",
)
NO_SNAPSHOT: tuple[Patch, ...] = (
    ("snapshot.py", "reader.begin()", "pass"),
    ("snapshot.py", "if not self._single and not reader.connection.in_transaction:", "if False:"),
)


def drill(script: str, *options: str, package: Path | None = None) -> tuple[int, dict[str, Any]]:
    """Run a drill, on a changed package if one is given; return its exit code and what it printed."""
    done = subprocess.run(
        [sys.executable, str(HERE / script), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(package),
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def environment(package: Path | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return kept if package is None else {**kept, "PYTHONPATH": str(package)}


def changed(directory: Path, *patches: Patch) -> Path:
    """Copy the package with faults put in; the directory goes in front of the module search path."""
    source = Path(mainstay.__file__).parent
    shutil.copytree(source, directory / "mainstay", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in patches:
        file = directory / "mainstay" / ENGINE / name
        text = file.read_text()
        assert text.count(old) == 1, f"{name}: {old!r} is there {text.count(old)} times: bring this patch up to date"
        file.write_text(text.replace(old, new))
    return directory


def test_no_acknowledged_change_is_lost_to_kill(tmp_path: Path) -> None:
    code, result = drill("sqlite_kill.py", "--count", "6", "--seed", "1", "--processes", "2")
    assert code == 0, result
    assert result["acknowledged"] > 100
    assert result["refused"] > 10


def test_kill_finds_answers_given_before_the_commit(tmp_path: Path) -> None:
    package = changed(tmp_path, ANSWER_BEFORE_COMMIT)
    code, result = drill("sqlite_kill.py", "--count", "20", "--seed", "1", package=package)
    assert code == 1
    assert result["lost"]


def test_kill_finds_refused_changes_that_stay(tmp_path: Path) -> None:
    code, result = drill("sqlite_kill.py", "--count", "5", "--seed", "1", package=changed(tmp_path, KEEP_REFUSED))
    assert code == 1
    assert result["refused_but_kept"]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_no_acknowledged_change_is_lost_to_a_loss_of_power(seed: str) -> None:
    code, result = drill("sqlite_power.py", "--count", "40", "--seed", seed)
    assert code == 0, result
    assert result["answers"] > 100
    assert result["checkpoint_syncs"] > 3


def test_loss_of_power_finds_a_missing_sync(tmp_path: Path) -> None:
    code, result = drill("sqlite_power.py", "--count", "10", "--seed", "1", package=changed(tmp_path, NO_SYNC))
    assert code == 1
    assert result["answered_before_the_sync"]
    assert result.keys() & {"lost", "damage"}


def test_loss_of_power_finds_answers_given_before_the_commit(tmp_path: Path) -> None:
    package = changed(tmp_path, ANSWER_BEFORE_COMMIT)
    code, result = drill("sqlite_power.py", "--count", "10", "--seed", "1", package=package)
    assert code == 1
    assert result["answered_before_the_sync"]
    assert result.keys() & {"lost", "damage"}


@pytest.mark.parametrize("seed", ["1", "2"])
def test_calls_of_several_processes_are_strictly_serialisable(seed: str) -> None:
    code, result = drill("sqlite_history.py", "--calls", "1500", "--seed", seed, "--processes", "3")
    assert code == 0, result
    assert result["outcomes"]["True"] > 1000


def test_the_history_finds_refused_changes_that_stay(tmp_path: Path) -> None:
    code, result = drill("sqlite_history.py", "--calls", "600", "--seed", "1", package=changed(tmp_path, KEEP_REFUSED))
    assert code == 1
    assert result["append"]


def test_the_history_finds_queries_without_a_snapshot(tmp_path: Path) -> None:
    code, result = drill("sqlite_history.py", "--calls", "1500", "--seed", "1", package=changed(tmp_path, *NO_SNAPSHOT))
    assert code == 1
    assert result["cycle"]


@pytest.fixture(scope="module")
def history() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sqlite_history", HERE / "sqlite_history.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def call(start: float, end: float, *ops: list[Any], ok: bool = True) -> dict[str, Any]:
    return {"start": start, "end": end, "ok": ok, "ops": list(ops), "sums": []}


@pytest.mark.parametrize(
    ("calls", "final", "fault"),
    [
        pytest.param(
            [call(0, 1, ["read", 0, []], ["append", 0, 1]), call(2, 3, ["read", 0, [1]])], {0: [1]}, None, id="good"
        ),
        pytest.param(
            [call(0, 9, ["read", 0, []], ["append", 0, 1]), call(0, 9, ["read", 0, []], ["append", 0, 2])],
            {0: [1, 2]},
            "cycle",
            id="lost update",
        ),
        pytest.param(
            [call(0, 9, ["read", 0, []], ["append", 1, 1]), call(0, 9, ["read", 1, []], ["append", 0, 2])],
            {0: [2], 1: [1]},
            "cycle",
            id="write skew",
        ),
        pytest.param(
            [
                call(0, 9, ["append", 0, 1]),
                call(0, 9, ["append", 1, 2]),
                call(0, 9, ["read", 0, [1]], ["read", 1, []]),
                call(0, 9, ["read", 0, []], ["read", 1, [2]]),
            ],
            {0: [1], 1: [2]},
            "cycle",
            id="long fork",
        ),
        pytest.param([call(0, 1, ["append", 0, 1]), call(2, 3, ["read", 0, []])], {0: [1]}, "cycle", id="stale read"),
        pytest.param([call(0, 1, ["append", 0, 1])], {0: []}, "append", id="lost append"),
        pytest.param([call(0, 1, ["append", 0, 1], ok=False)], {0: [1]}, "append", id="kept refusal"),
        pytest.param(
            [call(0, 9, ["append", 0, 1], ok=False), call(0, 9, ["read", 0, [1]])], {0: []}, "read", id="dirty read"
        ),
        pytest.param(
            [call(0, 9, ["read", 0, [1]], ok=False), call(0, 9, ["append", 0, 1], ok=False)],
            {0: []},
            "read",
            id="refusal on a dirty read",
        ),
    ],
)
def test_the_checker_knows_the_anomalies(
    history: ModuleType, calls: list[dict[str, Any]], final: dict[int, list[int]], fault: str | None
) -> None:
    assert list(history.check(calls, final))[:1] == ([] if fault is None else [fault])


@pytest.mark.parametrize(
    ("patch", "tests"),
    [
        pytest.param(
            ("writer.py", "self.active is None and not self._queue and", ""), "turns.py", id="turns interleave"
        ),
        pytest.param(
            ("writer.py", "if self._group is group and self.active is None:", "if self._group is group:"),
            "isolation_model.py -k looks_for_more",
            id="a commit meets a turn",
        ),
        pytest.param(
            (
                "writer.py",
                "        if self.connection.in_transaction:\n            reason",
                "        if True:\n            reason",
            ),
            "isolation_model.py -k knows_every",
            id="a lost transaction goes unseen",
        ),
        pytest.param(
            ("writer.py", "        try:\n            self.cursor.execute(sql.ROLLBACK_TO)\n", "        try:\n"),
            "isolation_model.py -k knows_every",
            id="an expired turn is kept",
        ),
        pytest.param(
            ("writer.py", "            group.settle(failure)\n", "            group.settle(None)\n"),
            "isolation_model.py -k knows_every",
            id="a lost group is acknowledged",
        ),
        pytest.param(
            ("thread.py", "_KNOWN = (", "_KNOWN = (apsw.IOError, "), "failures.py", id="an unknown end is known"
        ),
        pytest.param(("turn.py", "keep=False)", "keep=False) and None"), "turns.py", id="a refusal does not wait"),
        pytest.param(
            ("writer.py", "future.result().abandon()", "pass"), "turns.py", id="a cancelled waiter keeps its turn"
        ),
        pytest.param(
            ("writer.py", "            self.forsake(self.active, Turn", "            (self.active, Turn"),
            "turns.py",
            id="a turn has no bound",
        ),
        pytest.param(
            ("writer.py", "SQLITE_DBSTATUS_DEFERRED_FKS)[0]", "SQLITE_DBSTATUS_DEFERRED_FKS)[1]"),
            "statements.py",
            id="a deferred key fails the group",
        ),
        pytest.param(
            ("readers.py", "return perf_counter() > self._until", "return False"),
            "reads.py",
            id="reads are not bounded",
        ),
        pytest.param(("snapshot.py", "reader.begin()", "pass"), "reads.py", id="no snapshot"),
        pytest.param(
            (
                "readers.py",
                "if reader.job is not None and not reader.job.done():\n            reader.cancel()",
                "if False:\n            pass",
            ),
            "reads.py",
            id="a reader is lent while a thread uses it",
        ),
        pytest.param(
            ("locks.py", "self._locks.take(self._FRONT)", "pass"), "sharing.py -k asks_again", id="the file is not fair"
        ),
        pytest.param(
            ("locks.py", "if byte in self._held or", "if"), "sharing.py -k claim", id="own claims do not conflict"
        ),
        pytest.param(
            ("checkpoint.py", "self._statistics.wal_pages < self._restart_at", "True"),
            "sharing.py -k restarts",
            id="the log grows",
        ),
    ],
)
def test_the_unit_tests_notice(tmp_path: Path, patch: Patch, tests: str) -> None:
    package = changed(tmp_path, patch)
    done = subprocess.run(
        [*PYTEST, *f"{UNIT}/test_sqlite_{tests}".split(" ")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env=environment(package),
    )
    assert done.returncode == 1, done.stdout[-2000:]
    assert " failed" in done.stdout
