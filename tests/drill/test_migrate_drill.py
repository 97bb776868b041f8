"""The drill of migrations in short, and the proof that it finds locks that are kept and what cannot be resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import Patch, changed, drill

POSTGRES_LOADED, SQLITE_LOADED, POSTGRES_KILLED, SQLITE_KILLED = range(4)
ROWS = "1000"

LOCK_KEPT: Patch = (
    "adapters/sql/migrations/stepping.py",
    "            lambda: add(table_name, column, **given), lambda:",
    "            lambda: (add(table_name, column, **given), time.sleep(2.5)), lambda:",
)
NOT_LOOKED_FOR: Patch = (
    "adapters/sql/migrations/stepping.py",
    "            if not done():\n                work()\n",
    "            work()\n",
)
NO_TRANSACTION: Patch = ("adapters/sql/migrations/database.py", '"BEGIN IMMEDIATE"', '"SELECT 1"')


@pytest.mark.parametrize("part", [POSTGRES_LOADED, SQLITE_LOADED])
def test_no_request_fails_while_migrations_go_up_down_and_up(part: int) -> None:
    code, told = drill("migrate", "--count", "1", "--only", str(part), "--rows", ROWS)
    assert code == 0, str(told)
    ((_, figures),) = told["parts"].items()
    assert figures["failed"] == 0
    assert figures["a_second"] > 150
    assert [phase["phase"] for phase in figures["phases"]] == ["up", "down", "up"]


@pytest.mark.parametrize("part", [POSTGRES_KILLED, SQLITE_KILLED])
def test_a_migration_that_is_killed_is_resumed_and_makes_what_a_fresh_one_makes(part: int) -> None:
    code, told = drill("migrate", "--count", "4", "--only", str(part), "--rows", ROWS)
    assert code == 0, str(told)
    ((_, figures),) = told["parts"].items()
    assert sum(figures["kills"].values()) == 4


@pytest.mark.parametrize(
    ("part", "options", "patch", "faults"),
    [
        pytest.param(POSTGRES_LOADED, "--count 1", LOCK_KEPT, {"failed", "p99_seconds"}, id="a lock is kept"),
        pytest.param(POSTGRES_KILLED, "--count 1 --moment 0", NOT_LOOKED_FOR, {"not_resumed"}, id="not looked for"),
        pytest.param(SQLITE_KILLED, "--count 6", NO_TRANSACTION, {"not_resumed", "catalog"}, id="no transaction"),
    ],
)
def test_it_finds_what_is_wrong(tmp_path: Path, part: int, options: str, patch: Patch, faults: set[str]) -> None:
    given = ("--only", str(part), "--rows", ROWS, *options.split())
    code, told = drill("migrate", *given, package=changed(tmp_path, patch))
    assert code == 1, str(told)
    ((_, found),) = told["faults"].items()
    names = set(found) if part == POSTGRES_LOADED else {name for each in found.values() for name in each}
    assert names & faults, str(told)
