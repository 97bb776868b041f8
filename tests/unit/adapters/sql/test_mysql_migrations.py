"""The same migration files on MariaDB: the schema is the model's, and values mean what they meant."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncmy
import pytest
from mysql_databases import drop_database
from mysql_shop import BARE, NOW, Shop, created
from sql_samples import TABLES, Colour, Rank
from sql_shop import entity, thing

from mainstay.adapters.sql.migrations import (
    MigrationFault,
    check_compatible,
    migrate,
    plan,
    rollback,
    status,
)
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.adapters.sql.mysql.options import address
from mainstay.app.importing import import_service
from mainstay.model.fields import field


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)
    drop_database(tmp_path)


def test_the_schema_of_every_kind_of_field_is_what_the_store_makes(shop: Shop, tmp_path: Path) -> None:
    assert not shop.target.exists()
    shop.change(*TABLES)
    assert shop.target.exists()
    assert shop.target.revision() == "0001_initial_schema"
    check_compatible(shop.target, shop.files, TABLES)
    assert shop.layout() == created(tmp_path / "own", TABLES)
    assert rollback(shop.target, shop.files) == ["0001_initial_schema"]
    assert set(shop.target.schema()) <= {"mainstay_migration"}


DEFAULTS: list[tuple[Any, Any, Any]] = [
    (Decimal, field(digits=9, places=2, default=Decimal("10.5")), Decimal("10.50")),
    (bool, True, 1),
    (int, -7, -7),
    (float, 1.5, 1.5),
    (str, "it's 5% of :a \\ {}", "it's 5% of :a \\ {}"),
    (str, field(default="it's", unique=True, max_length=9), "it's"),
    (UUID, field(default=UUID(int=5)), UUID(int=5).bytes),
    (datetime, field(default=NOW), BARE),
    (date, field(default=NOW.date()), NOW.date()),
    (time, field(default=time(12, 30, 15, 5)), timedelta(hours=12, minutes=30, seconds=15, microseconds=5)),
    (Colour, Colour.BLUE, "blue"),
    (Rank, Rank.HIGH, 10),
    (list[str], field(default_factory=list), "[]"),
]


@pytest.mark.parametrize(("kind", "default", "expected"), DEFAULTS)
def test_rows_that_are_there_get_the_default(shop: Shop, kind: Any, default: Any, expected: Any) -> None:
    shop.change(thing())
    shop.insert()
    shop.change(thing(it=(kind, default)))
    assert shop.sql("SELECT it FROM thing") == [(expected,)]
    rollback(shop.target, shop.files)
    assert shop.sql("SELECT version FROM thing") == [(1,)]


CHANGES: list[tuple[Any, Any, Any, Any, Any]] = [
    (Decimal, field(digits=9, places=2), Decimal("10.50"), (Decimal, field(digits=12, places=4)), Decimal("10.5000")),
    (Decimal, field(digits=9, places=4), Decimal("-1.2399"), (Decimal, field(digits=9, places=2)), Decimal("-1.23")),
    (int, field(), 7, (Decimal, field(digits=9, places=2)), Decimal("7.00")),
    (Decimal, field(digits=9, places=2), Decimal("7.99"), (int, field()), 7),
    (int, field(), 7, (str, field()), "7"),
    (int, field(), 7, (float, field()), 7.0),
    (str, field(), 'a"b', (list[str], field()), '"a\\"b"'),
    (str, field(), str(UUID(int=1 << 70)), (UUID, field()), UUID(int=1 << 70).bytes),
    (UUID, field(), UUID(int=1 << 70).bytes, (str, field()), str(UUID(int=1 << 70))),
    (UUID, field(index=True), UUID(int=1).bytes, (str, field(index=True)), str(UUID(int=1))),
    (str, field(), "2026-03-01T12:30:15.123456Z", (datetime, field()), BARE),
    (datetime, field(), BARE, (str, field()), "2026-03-01T12:30:15.123456Z"),
    (str, field(), "2026-03-01", (date, field()), date(2026, 3, 1)),
    (date, field(), date(2026, 3, 1), (str, field()), "2026-03-01"),
    (time, field(), "12:30:15.000005", (str, field()), "12:30:15.000005"),
    (int, field(), 5, (bool, field()), 1),
    (bool, field(), True, (int, field()), 1),
]


@pytest.mark.parametrize(("kind", "spec", "stored", "then", "expected"), CHANGES)
def test_a_change_of_type_brings_values_over(
    shop: Shop, tmp_path: Path, kind: Any, spec: Any, stored: Any, then: Any, expected: Any
) -> None:
    shop.change(thing(it=(kind, spec)))
    shop.insert(it=stored)
    shop.change(thing(it=then))
    [(found,)] = shop.sql("SELECT it FROM thing")
    assert (found, str(found)) == (expected, str(expected))
    assert shop.layout() == created(tmp_path / "own", [thing(it=then)])


@pytest.mark.parametrize("then", [UUID, datetime, date, time])
def test_a_value_that_is_none_of_the_new_type_is_found_before_anything_is_changed(shop: Shop, then: Any) -> None:
    old = thing(it=(str, field()))
    shop.change(old)
    shop.insert(it="no Tuesday at all")
    shop.insert(it="Zither")
    before = shop.layout()
    with pytest.raises(MigrationFault, match=r"change the type of thing.it: 2 rows: their value is no \w+: \w+, \w+$"):
        shop.change(thing(it=(then, field())))
    assert shop.layout() == before
    [file] = shop.files.glob("0002*.py")
    file.write_text(file.read_text("utf-8").replace('phase = "contract"\n', ""), "utf-8")
    with pytest.raises(MigrationFault, match=r"2 values of thing.it are not what its new type reads"):
        shop.migrate(thing(it=(then, field())))
    assert shop.layout().pop("thing") == before["thing"]
    assert sorted(shop.sql("SELECT it FROM thing")) == [("Zither",), ("no Tuesday at all",)]


def test_a_default_of_any_text_fills_what_is_null(shop: Shop) -> None:
    text = "it's 5% of :a \\ {}"
    shop.change(thing(note=(str | None, None)))
    shop.insert(note=None)
    shop.change(thing(note=(str, text)))
    assert shop.sql("SELECT note FROM thing") == [(text,)]


def test_more_digits_need_no_migration(shop: Shop) -> None:
    shop.change(thing(price=(Decimal, field(digits=9, places=2))))
    wider = thing(price=(Decimal, field(digits=15, places=2)))
    assert plan(shop.files, [wider]) is None
    assert status(shop.target, shop.files, [wider]).drift == ()


def test_a_field_that_may_be_null_no_more_gets_its_default(shop: Shop, tmp_path: Path) -> None:
    shop.change(thing(note=(str | None, None)))
    shop.insert(note=None)
    shop.change(thing(note=(str, "it's")))
    assert shop.sql("SELECT note FROM thing") == [("it's",)]
    assert shop.layout() == created(tmp_path / "own", [thing(note=(str, "it's"))])


SHORT = field(default="", max_length=40)
BOUNDS: list[tuple[Any, Any]] = [
    (field(default="", unique=True, max_length=40), field(default="", unique=True, max_length=60)),
    (field(default="", unique=True, max_length=40), field(default="", unique=True)),
    (field(default="", index=True, max_length=40), field(default="", index=True, max_length=300)),
    (field(default="", index=True, max_length=40), field(default="", index=True)),
    (field(default="", index=True), field(default="", index=True, max_length=40)),
    (field(default="", index=True, max_length=40), field(default="", max_length=40)),
    (field(default="", max_length=40), field(default="", index=True, max_length=40)),
    (field(default=""), field(default="", unique=True)),
    (field(default=""), field(default="", unique=True, max_length=40)),
    (field(default="", unique=True), field(default="")),
    (field(default="", unique=True), field(default="", index=True)),
]


@pytest.mark.parametrize(("before", "after"), BOUNDS)
def test_a_text_that_an_index_holds_has_the_bound_of_the_model(
    shop: Shop, tmp_path: Path, before: Any, after: Any
) -> None:
    old, new = thing(name=(str, before)), thing(name=(str, after))
    shop.change(old)
    shop.insert(name="it's")
    if plan(shop.files, [new]) is None:
        check_compatible(shop.target, shop.files, [new])
    shop.migrate(new)
    assert shop.layout() == created(tmp_path / "own", [new])
    assert shop.sql("SELECT name FROM thing") == [("it's",)]
    if len(list(shop.files.glob("*.py"))) == 2:
        rollback(MysqlTarget(shop.url, [old]), shop.files)
        assert shop.layout() == created(tmp_path / "own", [old])


def test_a_column_that_holds_less_than_the_model_allows_is_told(shop: Shop) -> None:
    shop.change(thing(name=(str, field(default="", unique=True, max_length=40))))
    wider = [thing(name=(str, field(default="", unique=True, max_length=60)))]
    assert MysqlTarget(shop.url, wider).unfit() == ["room in thing.name (it holds 40 of 60)"]
    narrower = MysqlTarget(shop.url, [thing(name=(str, field(default="", unique=True, max_length=20)))])
    assert narrower.unfit() == []


def test_a_reference_and_its_index_come_and_go(shop: Shop) -> None:
    maker = entity("Maker")
    plain = thing(maker_id=(UUID | None, None))
    shop.change(maker, plain)
    before = shop.layout()
    shop.change(maker, thing(maker_id=(UUID | None, field(default=None, references=maker.shape.type))))
    assert any("FOREIGN KEY" in line for line in shop.layout()["thing"])
    shop.change(maker, plain)
    assert shop.layout() == before
    rollback(shop.target, shop.files, 2)
    assert any("FOREIGN KEY" in line for line in shop.layout()["thing"])


def test_of_two_runners_one_works_and_one_waits(shop: Shop) -> None:
    plan(shop.files, [thing(name=(str, ""))])
    results: list[Any] = []

    def run() -> None:
        results.append(migrate(MysqlTarget(shop.url), shop.files, wait_seconds=20))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == [[], ["0001_initial_schema"]]


def test_a_runner_that_waits_too_long_says_so(shop: Shop) -> None:
    plan(shop.files, [thing(name=(str, ""))])

    async def held() -> None:
        connection: Any = await asyncmy.connect(**address(shop.url))
        try:
            await connection.query(f"DO GET_LOCK('{shop.target.lock}', 0)")
            with pytest.raises(MigrationFault, match="nothing was changed: another migration"):
                await asyncio.to_thread(migrate, shop.target, shop.files, wait_seconds=0.1)
        finally:
            await connection.ensure_closed()

    asyncio.run(held())
    assert migrate(shop.target, shop.files) == ["0001_initial_schema"]


def test_a_table_that_stays_in_use_is_not_waited_for_and_the_rest_is_done_later(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    wider = [thing(name=(str, ""), size=(int, 5))]
    plan(shop.files, wider)

    async def held() -> None:
        connection: Any = await asyncmy.connect(**address(shop.url))
        try:
            await connection.query("SELECT * FROM thing")
            with pytest.raises(MigrationFault, match=r"took too long: nothing of it is done: run this again"):
                await asyncio.to_thread(migrate, shop.target, shop.files)
        finally:
            await connection.ensure_closed()

    asyncio.run(held())
    assert shop.migrate(*wider) == ["0002_add_thing_size"]


def test_a_database_that_cannot_be_reached_is_named_without_its_password() -> None:
    target = MysqlTarget("mariadb://someone:hunter2@127.0.0.1:1/shop")
    with pytest.raises(MigrationFault, match=r"mariadb://127.0.0.1:1/shop cannot be reached") as raised:
        target.revision()
    assert "hunter2" not in str(raised.value)


def test_what_is_missing_is_told(shop: Shop) -> None:
    shop.change(thing(name=(str, field(default="", unique=True))))
    found = status(shop.target, shop.files, [thing(name=(str, ""), size=(int, 5)), entity("Other")])
    assert any("thing.size is missing" in each for each in found.drift)
    assert any("other is missing" in each for each in found.drift)
    shop.sql("ALTER TABLE thing MODIFY name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL")
    found = status(shop.target, shop.files, [thing(name=(str, field(default="", unique=True)))])
    assert found.drift == ("the column thing.name is of another type",)


def test_the_files_of_the_shop_make_what_its_store_makes(shop: Shop, tmp_path: Path) -> None:
    from shop_served import SHOP, settings_for

    from mainstay.app.checking import inspect

    tables = inspect(import_service(settings_for(shop.url))).tables
    target = MysqlTarget(shop.url, tables)
    assert migrate(target, SHOP / "migrations") == ["0001_initial_schema"]
    assert shop.layout() == created(tmp_path / "own", tables)
    assert status(target, SHOP / "migrations", tables).drift == ()
    check_compatible(target, SHOP / "migrations", tables)
    rollback(target, SHOP / "migrations")
    assert set(target.schema()) == {"mainstay_migration"}
