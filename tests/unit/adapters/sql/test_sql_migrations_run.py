"""Migrations are run whole or not at all: whoever is killed, waits, fails, or is of another version."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sql_samples
from sql_samples import TABLES, Maker, Part, opened, row, table
from sql_shop import Shop, entity, thing

from mainstay.adapters.sql.migrations import MigrationFault, check_compatible, migrate, rollback, status
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import TRUE
from mainstay.model.fields import field
from mainstay.model.inputs import Sort
from mainstay.model.structs import Entity
from mainstay.ports.rows import Query
from mainstay.ports.store import Table


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


async def test_a_migrated_database_is_what_the_store_makes_itself(shop: Shop, tmp_path: Path) -> None:
    shop.change(*TABLES)
    assert shop.plan(*TABLES) is None
    found = status(shop.target, shop.files, TABLES)
    assert found == ("0001_initial_schema", "0001_initial_schema", (), (), ())
    check_compatible(shop.target, shop.files, TABLES)
    store = SqliteStore(shop.database)
    await store.start(TABLES)
    begun = store.begin(write=True)
    begun.rows(Maker).insert([row(Maker, 1, name="m")])
    await begun.commit()
    await store.stop()
    (tmp_path / "own").mkdir()
    async with opened(tmp_path / "own", *TABLES):
        pass
    own = Shop(tmp_path / "own")
    own.database = tmp_path / "own" / "test.db"
    assert own.schema() == [text for text in shop.schema() if "mainstay_migration" not in text]


async def family(shop: Shop) -> None:
    """Fill the samples: makers, their parts by cascade, and parts of parts."""
    store = SqliteStore(shop.database)
    await store.start(TABLES)
    begun = store.begin(write=True)
    begun.rows(Maker).insert([row(Maker, n, name=f"m{n}") for n in range(1, 4)])
    parts = [row(Part, 10 * m + n, maker_id=UUID(int=m), group=f"g{n}") for m in range(1, 4) for n in range(3)]
    begun.rows(Part).insert(parts)
    begun.rows(Part).insert([row(Part, 99, maker_id=UUID(int=1), spare_for=parts[0].id)])
    await begun.commit()
    await store.stop()


class Maker2(Entity):
    name: str = field(max_length=100)  # no longer unique: the table of the parents is made anew
    rank: int = 7


CHANGED = [TABLES[0], table(Maker2, "maker"), *TABLES[2:]]


def children(shop: Shop) -> list[Any]:
    return shop.sql("SELECT id, maker_id, spare_for FROM part ORDER BY id")


async def test_a_parent_table_is_made_anew_and_no_child_is_deleted(shop: Shop) -> None:
    # The references of the model are by class: the parts refer to the old Maker, so its table is given under its name.
    shop.change(*TABLES)
    await family(shop)
    before = children(shop)
    assert len(before) == 10
    _plan_parent_change(shop)
    migrate(shop.target, shop.files)
    assert children(shop) == before
    assert shop.sql("SELECT name, rank FROM maker ORDER BY name") == [("m1", 7), ("m2", 7), ("m3", 7)]
    assert shop.sql("PRAGMA foreign_key_check") == []
    rollback(shop.target, shop.files)
    assert children(shop) == before
    store = SqliteStore(shop.database)
    await store.start(TABLES)
    begun = store.begin(write=True)  # the references are alive: the cascade still works
    begun.rows(Maker).enqueue(_delete(1))
    await begun.commit()
    read = store.begin(write=False)
    assert len(await read.rows(Part).fetch(Query(sort=(Sort("id"),)))) == 6
    assert await read.rows(Maker).count(TRUE) == 2
    await read.rollback()
    await store.stop()


def _delete(number: int) -> Any:
    from mainstay.model.conditions import Compare
    from mainstay.ports.rows import Change

    return Change(where=Compare("id", "eq", UUID(int=number)), changes=None)


def _plan_parent_change(shop: Shop) -> None:
    (shop.files / "0002_parent.py").write_text(
        """
import sqlalchemy as sa
from alembic import op
from mainstay.sql import types

revision = "0002_parent"
down_revision = "0001_initial_schema"


def upgrade() -> None:
    with op.batch_alter_table("maker") as batch_op:
        batch_op.drop_constraint("uq_maker_name", type_="unique")
        batch_op.add_column(sa.Column("rank", types.Integer(), server_default="7", nullable=False))
    with op.batch_alter_table("part", recreate="always") as batch_op:
        batch_op.add_column(sa.Column("size", types.Decimal(digits=9, places=2), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("part", recreate="always") as batch_op:
        batch_op.drop_column("size")
    with op.batch_alter_table("maker") as batch_op:
        batch_op.drop_column("rank")
        batch_op.create_unique_constraint("uq_maker_name", ["name"])
""",
        "utf-8",
    )


async def test_a_runner_that_is_killed_leaves_the_old_database_or_the_new_one(shop: Shop, tmp_path: Path) -> None:
    shop.change(*TABLES)
    await family(shop)
    _plan_parent_change(shop)
    (tmp_path / "copies").mkdir()
    runner = Path(sql_samples.__file__).with_name("sql_killed_runner.py")
    arguments = [str(runner), str(shop.database), str(shop.files), str(tmp_path / "copies")]
    printed = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True).stdout
    runs = [json.loads(line) for line in printed.splitlines()]
    assert len(runs) > 40
    *killed, done = runs
    assert done.pop("ended") is None
    old = {key: value for key, value in killed[0].items() if key != "ended"}
    assert old["version"] == [["0001_initial_schema"]]
    assert done["version"] == [["0002_parent"]]
    assert done["schema"] != old["schema"]
    assert done["children"] == old["children"]
    assert len(old["children"]) == 10
    for each in killed:
        assert each.pop("ended") == 9
        assert each in (old, done)
    assert killed[-1] == old  # the last statement is COMMIT, before which all is as it was


def _write(shop: Shop, body: str, name: str = "0002_own", follows: str = "0001_initial_schema") -> None:
    text = f'from alembic import op\n\nrevision = "{name}"\ndown_revision = "{follows}"\n\n\ndef upgrade() -> None:\n'
    (shop.files / f"{name}.py").write_text(text + "".join(f"    {line}\n" for line in body.splitlines()), "utf-8")


def test_a_migration_that_fails_is_undone_whole(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    before = shop.schema()
    _write(shop, 'op.execute("CREATE TABLE half (id INTEGER)")\nop.execute("INSERT INTO nowhere VALUES (1)")')
    with pytest.raises(Exception, match="nowhere"):
        migrate(shop.target, shop.files)
    assert shop.schema() == before
    assert status(shop.target, shop.files, [thing(name=(str, ""))]).pending == ("0002_own",)


async def test_a_migration_that_breaks_a_reference_is_undone_whole(shop: Shop) -> None:
    shop.change(*TABLES)
    await family(shop)
    before = children(shop)
    _write(shop, "op.execute(\"DELETE FROM maker WHERE name = 'm1'\")")
    with pytest.raises(MigrationFault, match=r"4 rows would refer to rows that are not there \(part -> maker\)"):
        migrate(shop.target, shop.files)
    assert children(shop) == before
    assert len(shop.sql("SELECT id FROM maker")) == 3


def test_of_two_runners_at_once_one_works_and_one_waits(shop: Shop) -> None:
    shop.plan(*TABLES)
    results: list[Any] = []

    def run() -> None:
        results.append(migrate(shop.target, shop.files, wait_seconds=20))

    threads = [threading.Thread(target=run) for _ in range(3)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == [[], [], ["0001_initial_schema"]]


def test_a_runner_gives_up_where_the_file_stays_held(shop: Shop) -> None:
    shop.plan(*TABLES)
    holder = sqlite3.connect(shop.database, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(MigrationFault, match=r"held it for 0.1 s: wait for the other migration"):
            migrate(shop.target, shop.files, wait_seconds=0.1)
    finally:
        holder.close()
    assert migrate(shop.target, shop.files) == ["0001_initial_schema"]


def test_a_service_does_not_run_on_a_database_that_is_behind(shop: Shop) -> None:
    old = thing(name=(str, ""))
    with pytest.raises(MigrationFault, match="no migration in"):
        check_compatible(shop.target, shop.files, [old])
    shop.plan(old)
    with pytest.raises(MigrationFault, match=r"1 migration behind \(0001_initial_schema\): run mainstay db migrate"):
        check_compatible(shop.target, shop.files, [old])
    migrate(shop.target, shop.files)
    check_compatible(shop.target, shop.files, [old])
    shop.plan(thing(name=(str, ""), size=(int, 5)))
    with pytest.raises(MigrationFault, match="behind"):
        check_compatible(shop.target, shop.files, [old])


AHEAD: list[tuple[Callable[[], list[Table]], str | None]] = [
    (lambda: [thing(name=(str, ""), size=(int, 5), note=(str | None, None)), entity("Other")], None),
    (lambda: [thing(name=(str, field(default="", index=True)))], None),
    (lambda: [thing()], "the column thing.name is missing"),
    (lambda: [thing(name=(str, field(default="", unique=True)))], "uq_thing_name of thing is in no model"),
    (lambda: [thing(name=(list[str], field(default_factory=list)))], "thing.name is of another type"),
    (lambda: [entity("Other")], "the table thing is missing"),
]


@pytest.mark.parametrize(("newer", "reason"), AHEAD)
def test_a_service_runs_on_a_newer_database_only_where_it_was_only_added_to(
    shop: Shop, newer: Callable[[], list[Table]], reason: str | None
) -> None:
    old = [thing(name=(str, ""))]
    shop.change(*old)
    planned = shop.change(*newer())
    for revision in planned.revisions:
        revision.path.unlink()  # the older version has no such file
    if reason is None:
        check_compatible(shop.target, shop.files, old)
    else:
        with pytest.raises(MigrationFault, match=reason) as raised:
            check_compatible(shop.target, shop.files, old)
        assert f"is at revision {planned.revisions[-1].name}, which this version does not know" in str(raised.value)
    with pytest.raises(MigrationFault, match="in no file of"):
        migrate(shop.target, shop.files)
    with pytest.raises(MigrationFault, match="in no file of"):
        rollback(shop.target, shop.files)


def test_a_schema_that_was_changed_by_hand_is_told(shop: Shop) -> None:
    shop.change(thing(name=(str, field(default="", index=True))))
    shop.sql("DROP INDEX ix_thing_name")
    shop.sql("ALTER TABLE thing ADD COLUMN extra TEXT")
    shop.sql("ALTER TABLE thing ADD COLUMN must TEXT NOT NULL DEFAULT 'x'")
    found = status(shop.target, shop.files, [thing(name=(str, field(default="", index=True)))])
    assert set(found.drift) == {
        "the index ix_thing_name of thing is missing",
        "the column thing.extra is in no model",
        "the column thing.must is in no model",
    }


def test_files_that_are_no_chain_are_refused(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    _write(shop, "pass", "0002_a")
    _write(shop, "pass", "0002_b")
    with pytest.raises(MigrationFault, match="both follow 0001_initial_schema: set down_revision of one"):
        migrate(shop.target, shop.files)
    _write(shop, "pass", "0002_b", follows="0001_gone")
    with pytest.raises(MigrationFault, match="follows 0001_gone, which is no revision"):
        shop.plan(thing())
    (shop.files / "0002_b.py").write_text("x = 1\n", "utf-8")
    with pytest.raises(MigrationFault, match="a revision file has the lines"):
        shop.plan(thing())


def test_there_is_nothing_to_take_back(shop: Shop) -> None:
    with pytest.raises(MigrationFault, match="nothing to take back"):
        rollback(shop.target, shop.files)
    shop.change(thing())
    with pytest.raises(MigrationFault, match="1 migrations to take back, not 2"):
        rollback(shop.target, shop.files, 2)
    with pytest.raises(MigrationFault, match="at least 1"):
        rollback(shop.target, shop.files, 0)
    rollback(shop.target, shop.files)
    with pytest.raises(MigrationFault, match="the database is empty"):
        rollback(shop.target, shop.files)


def test_a_file_that_is_no_database_is_told(shop: Shop) -> None:
    shop.plan(thing())
    shop.database.write_text("no database at all, but long enough to be looked at" * 40)
    with pytest.raises(MigrationFault, match="is no SQLite database"):
        check_compatible(shop.target, shop.files, [thing()])


def test_the_start_of_a_service_does_not_import_alembic(shop: Shop) -> None:
    heavy = "{'alembic', 'sqlalchemy'} & set(sys.modules)"
    code = f"import sys; import mainstay.adapters.sql.migrations, mainstay.sql; print({heavy})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "set()"
