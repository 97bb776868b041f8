"""The same migration files on MariaDB: the schema is the model's, and values mean what they meant."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncmy
import pytest
from mysql_databases import drop_database, make_database
from sql_samples import TABLES, Colour, Rank
from sql_shop import entity, thing

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
from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget
from mainstay.adapters.sql.mysql.options import address
from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.app.importing import import_service
from mainstay.model.fields import field
from mainstay.ports.store import Table

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
BARE = NOW.replace(tzinfo=None)


class Shop:
    """A folder of migrations, and the database that they are run on."""

    def __init__(self, folder: Path) -> None:
        self.files = folder / "migrations"
        self.url = make_database(folder)
        self.target = MysqlTarget(self.url)

    def change(self, *tables: Table) -> Any:
        planned = plan(self.files, tables)
        assert planned is not None
        self.migrate(*tables)
        return planned

    def migrate(self, *tables: Table) -> list[str]:
        self.target = MysqlTarget(self.url, tables)
        done = migrate(self.target, self.files)
        assert status(self.target, self.files, tables).drift == ()
        assert self.target.unfit() == []
        return done

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        async def run() -> list[tuple[Any, ...]]:
            connection: Any = await asyncmy.connect(**address(self.url), autocommit=True)
            try:
                cursor = connection.cursor()
                await cursor.execute(statement, values or None)
                return [tuple(row) for row in await cursor.fetchall()] if cursor.description else []
            finally:
                await connection.ensure_closed()

        return asyncio.run(run())

    def insert(self, **values: Any) -> None:
        given = {"id": uuid4().bytes, "version": 1, "created_at": BARE, "updated_at": BARE, **values}
        signs = ", ".join(["%s"] * len(given))
        self.sql(f"INSERT INTO thing ({', '.join(given)}) VALUES ({signs})", *given.values())

    def layout(self) -> dict[str, list[str]]:
        """Return the lines of each table as the server tells them, without their order."""
        names = [name for (name,) in self.sql("SHOW TABLES") if name != "mainstay_migration"]
        return {
            name: sorted(line.strip(" ,") for line in self.sql(f"SHOW CREATE TABLE `{name}`")[0][1].splitlines())
            for name in names
        }


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)
    drop_database(tmp_path)


async def made_by_the_store(url: str, tables: Any) -> None:
    store = MysqlStore(url, create=True, durable=False, pool=1)
    await store.start(tables)
    await store.stop()


def created(folder: Path, tables: Any) -> dict[str, list[str]]:
    """Return the layout that the store makes of entities by itself."""
    other = Shop(folder)
    try:
        asyncio.run(made_by_the_store(other.url, tables))
        return other.layout()
    finally:
        drop_database(folder)


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


def test_two_versions_serve_between_the_phases(shop: Shop, tmp_path: Path) -> None:
    old = [thing(title=(str, field(default="", unique=True, max_length=40)), note=(str | None, None), gone=(int, 3))]
    text = "it's 5% of :a \\ {}"
    new = [thing(name=(str, field(default="", max_length=20, index=True)), note=(str, text), size=(int, 7))]
    shop.change(*old)
    shop.insert(title="first", note=None)
    planned = plan(shop.files, new, renames=["thing.title=name"])
    assert planned is not None
    expand, contract = planned.revisions
    target = MysqlTarget(shop.url, new)
    assert migrate(target, shop.files, phase="expand") == [expand.name]
    assert status(target, shop.files, new).held == (contract.name,)
    check_compatible(target, shop.files, new)
    for version in (old, new):
        assert migrate(MysqlTarget(shop.url, version), shop.files, phase="expand") == []

    shop.insert(title="a title of the old version", note=None)
    shop.insert(name="new", note="n", size=1)
    shop.sql("UPDATE thing SET title = 'First' WHERE title = 'first'")
    rows = "SELECT name, note, size FROM thing ORDER BY name"
    between = [("First", text, 7), ("a title of the old version", text, 7), ("new", "n", 1)]
    assert shop.sql(rows) == between
    assert shop.sql("SELECT title, gone FROM thing WHERE name = 'new'") == [("new", 3)]

    shop.sql("UPDATE thing SET name = 'second' WHERE name LIKE 'a title%%'")
    assert migrate(target, shop.files, phase="contract") == [contract.name]
    assert shop.layout() == created(tmp_path / "own", new)
    assert shop.sql("SHOW TRIGGERS") == []
    assert status(target, shop.files, new).drift == ()
    assert rollback(target, shop.files) == [contract.name]
    shop.insert(title="third", note=None)
    assert ("third", text, 7) in shop.sql(rows)
    assert rollback(MysqlTarget(shop.url, old), shop.files) == [expand.name]
    assert shop.layout() == created(tmp_path / "other", old)


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
