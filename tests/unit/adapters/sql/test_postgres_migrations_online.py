"""Migrations on PostgreSQL while others are at work: step by step, resumable, and never in anybody's way for long."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import postgres_killed_runner
import pytest
from postgres_schemas import drop_schema
from postgres_shop import Shop
from sql_shop import entity, thing

from mainstay.adapters.sql.migrations import MigrationFault, check, check_compatible, migrate, plan, rollback, stepping
from mainstay.adapters.sql.migrations.comparing import outlines
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget
from mainstay.model.fields import field

OWNER = entity("Owner", name=(str, ""))
OLD = [
    OWNER,
    thing(
        title=(str, field(unique=True)),
        note=(str | None, None),
        size=(int, field()),
        code=(str, field()),
        owner_id=(UUID | None, None),
    ),
]
NEW = [
    OWNER,
    thing(
        name=(str, field(unique=True)),
        note=(str, "none"),
        code=(str, field(unique=True)),
        owner_id=(UUID | None, field(default=None, references=OWNER.shape.type)),
        colour=(str, field(default="red", index=True)),
    ),
]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)
    drop_schema(tmp_path)


@pytest.fixture
def changed(shop: Shop) -> Shop:
    """A database with three rows at the old model, and the files of the new one."""
    shop.change(*OLD)
    for number in range(3):
        shop.insert(title=f"t{number}", size=number, code=f"c{number}")
    assert plan(shop.files, NEW, renames=["thing.title=name"]) is not None
    return shop


def test_both_versions_serve_between_the_phases(changed: Shop) -> None:
    (expand,) = migrate(changed.target, changed.files, phase="expand")
    assert migrate(changed.target, changed.files, phase="expand") == []
    check_compatible(changed.target, changed.files, NEW)
    changed.insert(title="old", size=5, code="c5", note=None)
    changed.insert(name="new", code="c6", note="n")
    found = "SELECT title, name, note, size, colour FROM thing WHERE title IN ('old', 'new', 't0') ORDER BY title"
    assert changed.sql(found) == [
        ("new", "new", "n", 0, "red"),
        ("old", "old", "none", 5, "red"),
        ("t0", "t0", "none", 0, "red"),
    ]
    changed.sql("UPDATE thing SET name = 'newer' WHERE name = 'new'")
    changed.sql("UPDATE thing SET title = 'older' WHERE title = 'old'")
    assert changed.sql("SELECT title, name FROM thing WHERE title LIKE '%er' ORDER BY title") == [
        ("newer", "newer"),
        ("older", "older"),
    ]
    for path in changed.files.glob("000[23]*"):
        path.unlink()
    check_compatible(changed.target, changed.files, OLD)
    assert changed.target.revision() == expand


def test_after_the_contract_the_old_version_does_not_start(changed: Shop) -> None:
    migrate(changed.target, changed.files)
    assert check(changed.target, changed.files, NEW).agree
    check_compatible(changed.target, changed.files, NEW)
    for path in changed.files.glob("000[23]*"):
        path.unlink()
    with pytest.raises(MigrationFault, match=r"the column thing\.title is missing"):
        check_compatible(changed.target, changed.files, OLD)


def test_values_of_a_renamed_column_come_back_on_the_way_down(changed: Shop) -> None:
    migrate(changed.target, changed.files)
    changed.insert(name="new", code="c9", note="n")
    assert len(rollback(changed.target, changed.files, 2)) == 2
    assert changed.sql("SELECT title, size FROM thing ORDER BY title") == [("new", 0), ("t0", 0), ("t1", 0), ("t2", 0)]
    for path in changed.files.glob("000[23]*"):
        path.unlink()
    assert check(changed.target, changed.files, OLD).agree


def test_rows_that_are_in_the_way_are_found_before_anything_is_done(changed: Shop) -> None:
    migrate(changed.target, changed.files, phase="expand")
    changed.sql("UPDATE thing SET code = 'same', owner_id = $1", UUID(int=9))
    with pytest.raises(MigrationFault) as raised:
        migrate(changed.target, changed.files)
    said = str(raised.value)
    assert "keep thing.code unique (uq_thing_code): 3 rows" in said
    assert "keep thing.owner_id referring to owner (fk_thing_owner_id): 3 rows" in said
    assert str(changed.sql("SELECT id FROM thing")[0][0]) in said
    assert "same" not in said
    assert check(changed.target, changed.files, NEW).schema == ()
    changed.sql("UPDATE thing SET code = name, owner_id = NULL")
    migrate(changed.target, changed.files)
    assert check(changed.target, changed.files, NEW).agree


def test_who_is_killed_is_followed_by_one_that_goes_on_both_ways(changed: Shop) -> None:
    before = changed.target.reading(lambda connection: repr(sorted(outlines(connection).items())))
    arguments = [postgres_killed_runner.__file__, changed.url, changed.schema, str(changed.files), "2"]
    printed = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
    up, down, again = [json.loads(line) for line in printed.splitlines()]
    assert min(each["killed"] for each in (up, down, again)) > 3
    assert down["revision"] == "0001_initial_schema"
    assert sorted(down["schema"]) == sorted(before)  # the columns that came back stand behind the others
    assert up["revision"] == again["revision"]
    assert up["schema"] == again["schema"]
    assert check(changed.target, changed.files, NEW).agree
    assert changed.sql("SELECT name, note FROM thing ORDER BY name") == [(f"t{n}", "none") for n in range(3)]
    assert changed.sql("SELECT tgname FROM pg_trigger WHERE tgrelid = 'thing'::regclass AND NOT tgisinternal") == []


def test_a_revision_that_lies_half_done_is_ended_before_anything_else(changed: Shop) -> None:
    migrate(changed.target, changed.files, phase="expand")
    reader = Reader(changed, 4)
    reader.start()
    reader.holds.wait()
    with pytest.raises(MigrationFault, match="a lock was not to be had"):
        migrate(changed.target, changed.files, wait_seconds=0.1)
    reader.join()
    contract = sorted(path.stem for path in changed.files.glob("0003*"))[0]
    with pytest.raises(MigrationFault, match=f"{contract} was begun and has not come to its end: run mainstay db mig"):
        rollback(changed.target, changed.files)
    assert migrate(changed.target, changed.files) == [contract]
    reader = Reader(changed, 4)
    reader.start()
    reader.holds.wait()
    with pytest.raises(MigrationFault, match="a lock was not to be had"):
        rollback(changed.target, changed.files, wait_seconds=0.1)
    reader.join()
    with pytest.raises(MigrationFault, match=f"taking back {contract} was begun .* run mainstay db rollback first"):
        migrate(changed.target, changed.files)
    assert rollback(changed.target, changed.files) == [contract]
    assert migrate(changed.target, changed.files) == [contract]
    assert check(changed.target, changed.files, NEW).agree


def test_steps_need_a_session(changed: Shop) -> None:
    with pytest.raises(MigrationFault, match=r"needs a session of the server: set database\.direct_url"):
        migrate(PostgresTarget(changed.url, changed.schema, pooled=True), changed.files)


class Reader(threading.Thread):
    """Another process at work: it has read a table, and keeps its transaction open for a time."""

    def __init__(self, shop: Shop, seconds: float) -> None:
        super().__init__()
        self._shop, self._seconds = shop, seconds
        self.holds = threading.Event()

    def run(self) -> None:
        asyncio.run(self._read())

    async def _read(self) -> None:
        connection = await asyncpg.connect(self._shop.url, server_settings={"search_path": self._shop.schema})
        async with connection.transaction():
            await connection.fetch("SELECT count(*) FROM thing")
            self.holds.set()
            await asyncio.sleep(self._seconds)
        await connection.close()


def test_who_reads_behind_a_step_that_waits_for_a_lock_waits_for_a_moment_only(changed: Shop) -> None:
    reader = Reader(changed, 3.5)
    reader.start()
    reader.holds.wait()
    runner = threading.Thread(target=migrate, args=(changed.target, changed.files))
    runner.start()
    waits: list[float] = []
    while reader.is_alive():
        begun = time.monotonic()
        changed.sql("SELECT count(*) FROM thing")
        waits.append(time.monotonic() - begun)
    runner.join()
    assert max(waits) < 2.5  # the time-out of a lock, and a busy machine
    assert check(changed.target, changed.files, NEW).agree


def test_a_lock_that_is_never_had_ends_the_run_and_what_was_done_stays(changed: Shop) -> None:
    reader = Reader(changed, 4)
    reader.start()
    reader.holds.wait()
    with pytest.raises(MigrationFault, match=r"a lock was not to be had within 0\.1 s"):
        migrate(changed.target, changed.files, wait_seconds=0.1)
    reader.join()
    assert migrate(changed.target, changed.files)
    assert check(changed.target, changed.files, NEW).agree


def test_an_index_that_was_left_half_built_is_built_again(changed: Shop) -> None:
    changed.sql("UPDATE thing SET code = 'same'")
    changed.sql("ALTER TABLE thing ADD COLUMN colour text COLLATE \"C\" NOT NULL DEFAULT 'red'")
    with pytest.raises(asyncpg.UniqueViolationError):
        changed.sql("CREATE UNIQUE INDEX CONCURRENTLY ix_thing_colour ON thing (code)")
    changed.sql("UPDATE thing SET code = title")
    migrate(changed.target, changed.files)
    valid = "SELECT indisvalid, indisunique FROM pg_index WHERE indexrelid = $1::regclass"
    assert changed.sql(valid, f"{changed.schema}.ix_thing_colour") == [(True, False)]


def test_two_runners_at_once_do_not_hold_each_other_up(changed: Shop) -> None:
    ran: list[Any] = []
    threads = [threading.Thread(target=lambda: ran.append(migrate(changed.target, changed.files))) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(name for names in ran for name in names) == sorted(
        path.stem for path in changed.files.glob("000[23]*")
    )
    assert check(changed.target, changed.files, NEW).agree


def test_rows_are_filled_in_batches(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "BATCH", 3)
    shop.change(thing(note=(str | None, None)))
    for _ in range(10):
        shop.insert(id=uuid4(), note=None)
    shop.insert(id=uuid4(), note="mine")
    shop.change(thing(note=(str, "none")))
    assert shop.sql("SELECT note, count(*) FROM thing GROUP BY note ORDER BY note") == [("mine", 1), ("none", 10)]
    transactions = shop.sql("SELECT count(DISTINCT xmin::text) FROM thing WHERE note = 'none'")
    assert transactions == [(4,)]


OWN = """from alembic import op

revision = "0002_own"
down_revision = "0001_initial_schema"


def upgrade() -> None:
    op.execute("{statement}")
"""


def test_a_revision_in_one_transaction_lets_others_by_too(shop: Shop) -> None:
    shop.change(*OLD)
    (shop.files / "0002_own.py").write_text(OWN.format(statement="ALTER TABLE thing ADD COLUMN own int"))
    reader = Reader(shop, 3)
    reader.start()
    reader.holds.wait()
    with pytest.raises(MigrationFault, match="nothing was changed: a transaction on a table"):
        migrate(shop.target, shop.files, wait_seconds=0.1)
    assert migrate(shop.target, shop.files) == ["0002_own"]
    reader.join()


def test_rows_that_break_a_statement_of_the_teams_own_are_told_as_such(shop: Shop) -> None:
    shop.change(*OLD)
    shop.insert(title="t", size=1, code="secret")
    shop.insert(title="u", size=1, code="secret")
    (shop.files / "0002_own.py").write_text(OWN.format(statement="CREATE UNIQUE INDEX own ON thing (code)"))
    with pytest.raises(MigrationFault, match="rows break what 0002_own asks of them") as raised:
        migrate(shop.target, shop.files)
    assert "secret" not in str(raised.value)
