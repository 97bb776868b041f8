"""Migrations on MariaDB that are killed or fail half-way: they are taken up where they were stopped."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import mysql_killed_runner
import pytest
from mysql_databases import drop_database, make_database
from mysql_killed_runner import held, sql
from sql_shop import entity, thing

from mainstay.adapters.sql.migrations import MigrationFault, migrate, plan, rollback
from mainstay.adapters.sql.migrations.mysql_journal import TABLE
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.model.fields import field

MAKER = entity("Maker", name=(str, field(default="", unique=True, max_length=40)))
OLD = [
    MAKER,
    thing(
        maker_id=(UUID | None, None),
        code=(str, field(default="")),
        gone=(int, field(default=5, index=True)),
        note=(str | None, None),
    ),
]
NEW = [
    MAKER,
    thing(
        maker_id=(UUID | None, field(default=None, references=MAKER.shape.type)),
        code=(UUID, field(default=UUID(int=1))),
        note=(str, "it's"),
        size=(int, field(default=7, unique=False, index=True)),
    ),
    entity("Other", name=(str, field(default="", unique=True))),
]
ROWS = [
    "INSERT INTO maker VALUES (x'00000000000000000000000000000001', 1, now(6), now(6), 'a')",
    *(
        "INSERT INTO thing (id, version, created_at, updated_at, maker_id, code, gone)"
        f" VALUES (x'{n:032x}', 1, now(6), now(6), x'00000000000000000000000000000001', '{UUID(int=n << 70)}', {n})"
        for n in range(1, 4)
    ),
]


class Shop:
    """Two databases, one at the first revision and one to work in, and a folder of two revisions."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "migrations"
        self.source, self.work = make_database(folder / "source"), make_database(folder / "work")
        plan(self.files, OLD)
        migrate(MysqlTarget(self.source), self.files)
        sql(self.source, *ROWS)
        plan(self.files, NEW)
        mysql_killed_runner.copy(self.source, self.work)
        self.target = MysqlTarget(self.work)

    def killed(self, act: str, *starts: int) -> list[dict[str, Any]]:
        arguments = [mysql_killed_runner.__file__, self.source, self.work, str(self.files), act, *map(str, starts)]
        ended = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True, timeout=600)
        return [json.loads(line) for line in ended.stdout.splitlines()]

    def own(self, body: str) -> None:
        """Put a revision of the team's own in the place of those behind the first one."""
        for each in self.files.glob("000[23]*.py"):
            each.unlink()
        lines = "".join(f"    {line}\n" for line in body.splitlines())
        head = 'from alembic import op\n\nrevision = "0002_own"\ndown_revision = "0001_initial_schema"\n'
        (self.files / "0002_own.py").write_text(f"{head}\n\ndef upgrade() -> None:\n{lines}", "utf-8")


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)
    for name in ("source", "work"):
        drop_database(tmp_path / name)


def test_runners_that_are_killed_anywhere_are_taken_up_and_the_end_is_the_same(shop: Shop) -> None:
    whole, *others = shop.killed("migrate", 0, 3)
    assert (whole.pop("kills"), whole["journal"]) == (0, False)
    assert whole["rows"]["mainstay_migration"] == ["('0003_change_thing_code_note_gone',)"]
    assert len(whole["rows"]["thing"]) == 3
    assert sum(each.pop("kills") for each in others) > 18
    assert others == [whole] * len(others)


def test_rollbacks_that_are_killed_anywhere_are_taken_up_too(shop: Shop) -> None:
    migrate(MysqlTarget(shop.source), shop.files)
    whole, *others = shop.killed("rollback", 1)
    assert (whole.pop("kills"), whole.pop("journal")) == (0, False)
    assert sum(each.pop("kills") for each in others) > 8
    for each in others:
        each.pop("journal")  # where the last one was killed behind its end, an empty one is left
        assert each == whole


COUNTS = "UPDATE thing SET gone = gone + 1"


def test_a_statement_that_fails_is_told_mended_and_run_again_and_those_before_it_are_not(shop: Shop) -> None:
    shop.own(
        f'op.execute("{COUNTS}")\nop.execute("CREATE TABLE half (id INT)")\nop.execute("UPDATE nowhere SET a = 1")'
    )
    with pytest.raises(
        MigrationFault, match=r"nowhere' doesn't exist: 2 statements of the revision are done.*run this"
    ):
        migrate(shop.target, shop.files)
    assert shop.target.revision() == "0001_initial_schema"
    with pytest.raises(MigrationFault, match="0002_own was begun and has not come to its end: run mainstay db migrate"):
        rollback(shop.target, shop.files)
    shop.own(f'op.execute("{COUNTS}")\nop.execute("CREATE TABLE half (id INT)")\nop.execute("{COUNTS}")')
    assert migrate(shop.target, shop.files) == ["0002_own"]
    assert sql(shop.work, "SELECT gone FROM thing ORDER BY 1") == [[(3,), (4,), (5,)]]
    assert not held(shop.work)["journal"]


def test_a_revision_that_became_another_one_is_not_taken_up(shop: Shop) -> None:
    shop.own(f'op.execute("{COUNTS}")\nop.execute("UPDATE nowhere SET a = 1")')
    with pytest.raises(MigrationFault, match="nowhere"):
        migrate(shop.target, shop.files)
    shop.own('op.execute("DELETE FROM thing")')
    with pytest.raises(MigrationFault, match="in the place of which is DELETE FROM thing"):
        migrate(shop.target, shop.files)
    for each in shop.files.glob("0002*.py"):
        each.unlink()
    with pytest.raises(MigrationFault, match=r"run mainstay db migrate first, with the files that it had"):
        migrate(shop.target, shop.files)
    assert sql(shop.work, "SELECT count(*) FROM thing") == [[(3,)]]


def test_what_only_reads_is_asked_each_time(shop: Shop) -> None:
    asked = 'op.get_bind().exec_driver_sql("SELECT count(*) FROM maker").scalar()'
    body = f'if {asked}:\n    op.execute("{COUNTS}")\n    op.execute("{COUNTS}")\n'
    shop.own(f'{body}op.execute("UPDATE nowhere SET a = 1")')
    with pytest.raises(MigrationFault, match="2 statements of the revision are done"):
        migrate(shop.target, shop.files)
    shop.own(body)
    assert migrate(shop.target, shop.files) == ["0002_own"]
    assert sql(shop.work, "SELECT gone FROM thing ORDER BY 1") == [[(3,), (4,), (5,)]]


def test_rows_are_put_in_many_at_once_just_once(shop: Shop) -> None:
    rows = "[{'name': 'b'}, {'name': 'c'}]"
    body = (
        "import sqlalchemy as sa\n"
        'op.create_table("plain", sa.Column("name", sa.String(9)))\n'
        f'op.bulk_insert(sa.table("plain", sa.column("name", sa.String())), {rows})\n'
    )
    shop.own(f'{body}op.execute("UPDATE nowhere SET a = 1")')
    for _ in range(2):
        with pytest.raises(MigrationFault, match="2 statements of the revision are done"):
            migrate(shop.target, shop.files)
    assert sql(shop.work, "SELECT name FROM plain ORDER BY 1") == [[("b",), ("c",)]]


def test_an_empty_journal_that_a_killed_runner_left_is_taken_away(shop: Shop) -> None:
    migrate(shop.target, shop.files)
    sql(shop.work, f"CREATE TABLE {TABLE} (number INT, statement LONGTEXT, schema_before CHAR(32), done TINYINT)")
    assert migrate(shop.target, shop.files) == []
    assert not held(shop.work)["journal"]
