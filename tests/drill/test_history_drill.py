"""Random histories of every store in short, and the proof that an isolation that is not kept is found in them."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from drilling import Patch, changed, drill

HISTORIES = 15
FEW = 1  # of a store whose emulator takes seconds for one

NO_TURNS: Patch = ("adapters/memory/transaction.py", "await self._store.take_turn(self)", "pass")
NO_SNAPSHOT: tuple[Patch, ...] = (
    ("adapters/sql/sqlite/snapshot.py", "reader.begin()", "pass"),
    ("adapters/sql/sqlite/snapshot.py", "if not self._single and not reader.connection.in_transaction:", "if False:"),
)
COMMANDS_ON_SNAPSHOTS: Patch = (
    "adapters/sql/postgres/link.py",
    '"default_transaction_isolation": "serializable" if write else',
    '"default_transaction_isolation": "repeatable read" if write else',
)
QUERIES_ON_NONE: Patch = (
    "adapters/sql/postgres/link.py",
    'if write else "repeatable read"',
    'if write else "read committed"',
)
POOLED_AS_THE_SERVER_IS_SET: Patch = (
    "adapters/sql/postgres/link.py",
    "ISOLATION LEVEL {level}{",
    "ISOLATION LEVEL READ COMMITTED{",
)
ALL_FROM_THE_REPLICA: Patch = (
    "kernel/invoke.py",
    "None if recent is None else lambda who: recent.last(who) >= current()",
    "None",
)
NO_RANGES_LOCKED: Patch = ("adapters/sql/mysql/link.py", '"SERIALIZABLE, READ WRITE"', '"READ COMMITTED, READ WRITE"')
UPDATES_LOST: Patch = (
    "adapters/sql/mysql/link.py",
    "SET SESSION innodb_snapshot_isolation=1",
    "SET SESSION innodb_snapshot_isolation=0",
)
NO_GUARDS: Patch = ("adapters/mongo/transaction.py", "if self._seen.written and not await", "if False and not await")
NOTHING_CHECKED: Patch = (
    "adapters/dynamo/view.py",
    "condition = {} if base is _UNKNOWN else _condition(base)",
    "condition: Any = {}",
)


@pytest.mark.parametrize("seed", [1, secrets.randbelow(2**32)], ids=["fixed", "drawn"])
@pytest.mark.parametrize(
    "store", ["memory", "sqlite", "postgresql", "pooled", "replicated", "mariadb", "mongo", "dynamo"]
)
def test_no_anomaly_beyond_the_isolation_promised(store: str, seed: int) -> None:
    histories = FEW if store == "dynamo" else HISTORIES
    code, told = drill("history", "--count", str(histories), "--seed", str(seed), "--store", store)
    assert code == 0, str(told)
    assert told["answers"]["committed"] > 20 * histories
    assert told["dependencies"] > 20 * histories


@pytest.mark.parametrize(
    ("store", "histories", "patches", "kind"),
    [
        pytest.param("memory", 15, (NO_TURNS,), "", id="memory"),
        pytest.param("sqlite", 40, NO_SNAPSHOT, "", id="sqlite"),
        pytest.param("postgresql", 60, (COMMANDS_ON_SNAPSHOTS,), "G2", id="postgresql, commands"),
        pytest.param("postgresql", 60, (QUERIES_ON_NONE,), "", id="postgresql, queries"),
        pytest.param("pooled", 40, (POOLED_AS_THE_SERVER_IS_SET,), "", id="pooled"),
        pytest.param("replicated", 40, (ALL_FROM_THE_REPLICA,), "read your writes", id="replicated"),
        pytest.param("mariadb", 40, (NO_RANGES_LOCKED,), "", id="mariadb"),
        pytest.param("mariadb", 200, (UPDATES_LOST,), "", id="mariadb, repeatable read"),
        pytest.param("mongo", 60, (NO_GUARDS,), "G2", id="mongo"),
        pytest.param("dynamo", 4, (NOTHING_CHECKED,), "", id="dynamo"),
    ],
)
def test_an_isolation_that_is_not_kept_is_found(
    tmp_path: Path, store: str, histories: int, patches: tuple[Patch, ...], kind: str
) -> None:
    """What is met first is chance, unless the fault lets one kind happen only."""
    broken = changed(tmp_path, *patches)
    code, told = drill("history", "--count", str(histories), "--store", store, "--until-found", "1", package=broken)
    assert code == 1, str(told)
    found = [line for history, lines in told["faults"].items() if history != "answers" for line in lines]
    assert found, str(told)
    assert all(line.startswith(kind) for line in found), str(told)
