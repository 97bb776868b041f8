"""The drill of migrations in short, and the proof that it finds locks that are kept and what cannot be resumed."""

from __future__ import annotations

from pathlib import Path

import pytest
from drilling import Patch, changed, drill

ROWS = "1000"
RATE = 50  # a second: the machine may be busy with something else, and what is too much for it is refused
STORES = ("postgres", "sqlite", "mariadb")

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
TABLE_LOCKED: Patch = (
    "adapters/sql/migrations/mysql_journal.py",
    "        run()\n        self._mark(wire, statement, before)\n",
    "        run()\n        if 'ADD COLUMN' in statement:\n            wire.change('LOCK TABLES depot_parcel WRITE')\n"
    "            wire.change('SELECT SLEEP(2.5)')\n            wire.change('UNLOCK TABLES')\n"
    "        self._mark(wire, statement, before)\n",
)
NOT_COMPARED: Patch = (
    "adapters/sql/migrations/mysql_journal.py",
    "(not done and before == wire.fingerprint())",
    "not done",
)


@pytest.mark.parametrize("store", STORES)
def test_no_request_fails_while_migrations_go_up_down_and_up(store: str) -> None:
    given = ("--store", store, "--part", "loaded", "--rows", ROWS, "--rate", str(RATE))
    code, told = drill("migrate", "--count", "1", *given)
    assert code == 0, str(told)
    ((_, figures),) = told["parts"].items()
    assert figures["failed"] == 0
    assert figures["a_second"] > 0.75 * RATE
    assert [phase["phase"] for phase in figures["phases"]] == ["up", "down", "up"]


@pytest.mark.parametrize("store", STORES)
def test_a_migration_that_is_killed_is_resumed_and_makes_what_a_fresh_one_makes(store: str) -> None:
    code, told = drill("migrate", "--count", "4", "--store", store, "--part", "killed", "--rows", ROWS)
    assert code == 0, str(told)
    ((_, figures),) = told["parts"].items()
    assert sum(figures["kills"].values()) == 4


@pytest.mark.parametrize(
    ("store", "part", "options", "patch", "faults"),
    [
        pytest.param("postgres", "loaded", "--count 1", LOCK_KEPT, {"failed", "p99_seconds"}, id="a lock is kept"),
        pytest.param("mariadb", "loaded", "--count 1", TABLE_LOCKED, {"failed", "p99_seconds"}, id="a table is locked"),
        pytest.param(
            "postgres", "killed", "--count 1 --moment 0", NOT_LOOKED_FOR, {"not_resumed"}, id="not looked for"
        ),
        pytest.param("mariadb", "killed", "--count 1 --moment 0", NOT_COMPARED, {"not_resumed"}, id="not compared"),
        pytest.param("sqlite", "killed", "--count 6", NO_TRANSACTION, {"not_resumed", "catalog"}, id="no transaction"),
    ],
)
def test_it_finds_what_is_wrong(
    tmp_path: Path, store: str, part: str, options: str, patch: Patch, faults: set[str]
) -> None:
    given = ("--store", store, "--part", part, "--rows", ROWS, *options.split())
    code, told = drill("migrate", *given, package=changed(tmp_path, patch))
    assert code == 1, str(told)
    ((_, found),) = told["faults"].items()
    names = set(found) if part == "loaded" else {name for each in found.values() for name in each}
    assert names & faults, str(told)
