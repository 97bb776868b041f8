"""Revisions with a phase on MariaDB: two versions serve between them, and what is in the way is told before."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from mysql_databases import drop_database
from mysql_shop import Shop, created
from sql_samples import TABLES
from sql_shop import thing

from mainstay.adapters.sql.migrations import (
    MigrationFault,
    check,
    check_compatible,
    migrate,
    plan,
    rollback,
    status,
)
from mainstay.adapters.sql.migrations.forecast import forecast
from mainstay.adapters.sql.migrations.mysql_journal import Journal
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.model.fields import field


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)
    drop_database(tmp_path)


def undefaulted(shop: Shop) -> list[str]:
    """Return the layout of the table without the defaults that revisions leave there for rows of the other version."""
    return sorted(re.sub(" DEFAULT (?!NULL|CHARSET)[^ ,]+", "", line) for line in shop.layout()["thing"])


def test_two_versions_serve_between_the_phases(shop: Shop, tmp_path: Path) -> None:
    old = [thing(title=(str, field(default="", unique=True)), note=(str | None, None), gone=(int, 3))]
    text = "5% of :a {}"
    new = [thing(name=(str, field(default="", max_length=40, index=True)), note=(str, text), size=(int, 7))]
    shop.change(*old)
    shop.insert(title="first", note=None, gone=1)
    planned = plan(shop.files, new, renames=["thing.title=name"])
    assert planned is not None
    expand, contract = planned.revisions
    target = MysqlTarget(shop.url, new)
    assert migrate(target, shop.files, phase="expand") == [expand.name]
    assert status(target, shop.files, new).held == (contract.name,)
    check_compatible(target, shop.files, new)
    for version in (old, new):
        assert migrate(MysqlTarget(shop.url, version), shop.files, phase="expand") == []

    shop.insert(title="a title of the old version", note=None, gone=2)
    shop.insert(name="new", note="n", size=1)
    shop.sql("UPDATE thing SET title = 'First' WHERE title = 'first'")
    rows = "SELECT name, note, size FROM thing ORDER BY name"
    between = [("First", text, 7), ("a title of the old version", text, 7), ("new", "n", 1)]
    assert shop.sql(rows) == between
    assert shop.sql("SELECT title, gone FROM thing WHERE name = 'new'") == [("new", 0)]

    shop.sql("UPDATE thing SET name = 'second' WHERE size = 7 AND name <> 'First'")
    assert shop.sql("SELECT title FROM thing ORDER BY title") == [("First",), ("new",), ("second",)]
    assert migrate(target, shop.files, phase="contract") == [contract.name]
    assert undefaulted(shop) == created(tmp_path / "own", new)["thing"]
    assert shop.sql("SHOW TRIGGERS") == []
    assert status(target, shop.files, new).drift == ()
    assert rollback(target, shop.files) == [contract.name]
    shop.insert(title="third", note=None, gone=4)
    assert ("third", text, 7) in shop.sql(rows)
    assert rollback(MysqlTarget(shop.url, old), shop.files) == [expand.name]
    assert undefaulted(shop) == created(tmp_path / "other", old)["thing"]


def test_rows_in_the_way_are_told_by_the_plan_and_before_anything_is_done(shop: Shop) -> None:
    shop.change(thing(code=(str, "")))
    for code in ("a", "a", "b"):
        shop.insert(code=code)
    new = [thing(code=(str, field(default="", unique=True)))]
    planned = plan(shop.files, new)
    assert planned is not None
    target = MysqlTarget(shop.url, new)
    outlook = forecast(target, shop.files, [(each.name, each.text) for each in planned.revisions], new)
    assert outlook.unseen == ""
    [effect] = [each for told in outlook.forecasts for each in told.effects if each.kind == "add unique"]
    assert (effect.breach and effect.breach.rows, effect.size and effect.size.rows) == (2, 3)
    with pytest.raises(MigrationFault, match=r"of which nothing was done:\n.*2 rows: they hold a value that another"):
        migrate(target, shop.files)
    check_compatible(target, shop.files, new)
    shop.sql("UPDATE thing SET code = uuid() WHERE code = 'a'")
    assert migrate(target, shop.files) == [each.name for each in planned.revisions]
    assert check(target, shop.files, new).agree


def test_what_was_changed_by_hand_is_told(shop: Shop) -> None:
    shop.change(*TABLES)
    assert check(shop.target, shop.files, TABLES).agree
    shop.change(thing(name=(str, field(default="", unique=True)), size=(int, 1)))
    shop.sql("ALTER TABLE thing MODIFY size DOUBLE, ADD other INT, DROP INDEX uq_thing_name")
    found = check(shop.target, shop.files, [thing(name=(str, field(default="", unique=True)), size=(int, 1))])
    assert found.schema == (
        "the column thing.other is made by no file",
        "the column thing.size is of another type",
        "the column thing.size may be null",
        "the constraint of thing, uq_thing_name, is missing",
    )


def test_bytes_of_any_value_are_given_to_statements(shop: Shop) -> None:
    """An id may hold the bytes of a quote and of a backslash."""
    given = bytes(range(256)) + b"'\\'"

    def echoed(connection: sa.Connection) -> Any:
        return connection.execute(sa.text("SELECT :given, :text"), {"given": given, "text": "it's \\"}).one()

    assert tuple(MysqlTarget(shop.url, [thing()])._run(echoed, lambda text, _: text)) == (given, "it's \\")


def test_rows_are_changed_in_batches_that_stay_done(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stops one batch takes nothing away from those before."""
    monkeypatch.setattr("mainstay.adapters.sql.migrations.stepping.BATCH", 10)
    shop.change(thing(note=(str | None, None)))
    for _ in range(35):
        shop.insert(note=None)
    new = [thing(note=(str, "5% of :a"))]
    assert plan(shop.files, new) is not None
    beside, begun = Journal.beside, count()

    def stopped(journal: Journal, work: Callable[[], Any]) -> None:
        if next(begun) == 2:
            raise RuntimeError("stopped in the third batch")
        beside(journal, work)

    target = MysqlTarget(shop.url, new)
    with monkeypatch.context() as patched, pytest.raises(RuntimeError, match="third batch"):
        patched.setattr(Journal, "beside", stopped)
        migrate(target, shop.files)
    assert shop.sql("SELECT count(*) FROM thing WHERE note IS NULL") == [(15,)]
    migrate(target, shop.files)
    assert shop.sql("SELECT DISTINCT note FROM thing") == [("5% of :a",)]
    assert status(target, shop.files, new).drift == ()
