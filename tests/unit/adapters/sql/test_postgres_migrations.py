"""The same migration files on PostgreSQL: the schema is the model's, and values mean what they meant."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from postgres_schemas import drop_schema
from postgres_shop import NOW, Shop
from sql_samples import TABLES, Colour, Rank
from sql_shop import entity, thing

from mainstay.adapters.sql.migrations import MigrationFault, check_compatible, migrate, plan, rollback, status
from mainstay.adapters.sql.migrations.postgres_target import LOCK, PostgresTarget
from mainstay.model.fields import field
from mainstay.model.schema import shape_of
from mainstay.model.structs import Entity
from mainstay.ports.store import Table


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    yield Shop(tmp_path)
    drop_schema(tmp_path)


def test_the_schema_of_every_kind_of_field_is_the_models(shop: Shop) -> None:
    assert not shop.target.exists()
    shop.change(*TABLES)
    assert shop.target.exists()
    assert "sample" in shop.target.schema()
    assert shop.target.revision() == "0001_initial_schema"
    check_compatible(shop.target, shop.files, TABLES)
    assert rollback(shop.target, shop.files) == ["0001_initial_schema"]
    assert set(shop.target.schema()) <= {"mainstay_migration"}


DEFAULTS: list[tuple[Any, Any, Any]] = [
    (Decimal, field(digits=9, places=2, default=Decimal("10.5")), Decimal("10.50")),
    (bool, True, True),
    (int, 7, 7),
    (float, 1.5, 1.5),
    (str, "it's", "it's"),
    (UUID, field(default=UUID(int=5)), UUID(int=5)),
    (datetime, field(default=NOW), NOW),
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
    (str, field(), str(UUID(int=1)), (UUID, field()), UUID(int=1)),
    (UUID, field(), UUID(int=1), (str, field()), str(UUID(int=1))),
    (str, field(), "2026-03-01T12:30:15.123456Z", (datetime, field()), NOW),
    (datetime, field(), NOW, (str, field()), "2026-03-01T12:30:15.123456Z"),
    (int, field(), 1, (bool, field()), True),
    (bool, field(), True, (int, field()), 1),
]


@pytest.mark.parametrize(("kind", "spec", "stored", "then", "expected"), CHANGES)
def test_a_change_of_type_brings_values_over(
    shop: Shop, kind: Any, spec: Any, stored: Any, then: Any, expected: Any
) -> None:
    shop.change(thing(it=(kind, spec)))
    shop.insert(it=stored)
    shop.change(thing(it=then))
    [(found,)] = shop.sql("SELECT it FROM thing")
    assert (found, str(found)) == (expected, str(expected))


def test_more_digits_need_no_migration(shop: Shop) -> None:
    shop.change(thing(price=(Decimal, field(digits=9, places=2))))
    wider = thing(price=(Decimal, field(digits=15, places=2)))
    assert plan(shop.files, [wider]) is None
    assert status(shop.target, shop.files, [wider]).drift == ()


def test_a_field_that_may_be_null_no_more_gets_its_default(shop: Shop) -> None:
    shop.change(thing(note=(str | None, None)))
    shop.insert(note=None)
    shop.change(thing(note=(str, "it's")))
    assert shop.sql("SELECT note FROM thing") == [("it's",)]


def test_null_comes_first_in_an_index_too(shop: Shop) -> None:
    shop.change(thing(rank=(int | None, field(default=None, index=True))))
    [(text,)] = shop.sql(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = $1 AND indexname = 'ix_thing_rank'", shop.schema
    )
    assert "(rank NULLS FIRST, id)" in text


def test_of_two_runners_one_works_and_one_waits(shop: Shop) -> None:
    plan(shop.files, [thing(name=(str, ""))])
    results: list[Any] = []

    def run() -> None:
        results.append(migrate(shop.target, shop.files, wait_seconds=20))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(results) == [[], ["0001_initial_schema"]]


def test_a_runner_that_waits_too_long_says_so(shop: Shop) -> None:
    plan(shop.files, [thing(name=(str, ""))])

    async def held() -> None:
        connection = await asyncpg.connect(shop.url, server_settings={"search_path": shop.schema})
        try:
            await connection.fetch(f"SELECT pg_advisory_lock({LOCK})")
            with pytest.raises(MigrationFault, match="nothing was changed: another migration"):
                await asyncio.to_thread(migrate, shop.target, shop.files, wait_seconds=0.1)
        finally:
            await connection.close()

    asyncio.run(held())
    assert migrate(shop.target, shop.files) == ["0001_initial_schema"]


def test_a_migration_that_fails_changes_nothing(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    (shop.files / "0002_own.py").write_text(
        'from alembic import op\nrevision = "0002_own"\ndown_revision = "0001_initial_schema"\n'
        'def upgrade() -> None:\n    op.execute("UPDATE thing SET version = 9")\n    raise ZeroDivisionError\n'
    )
    shop.insert(name="a")
    with pytest.raises(ZeroDivisionError):
        migrate(shop.target, shop.files)
    assert shop.sql("SELECT version FROM thing") == [(1,)]
    assert shop.target.revision() == "0001_initial_schema"


def test_a_database_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    target = PostgresTarget("postgresql://someone:hunter2@127.0.0.1:1/shop")
    with pytest.raises(MigrationFault, match=r"postgresql://127.0.0.1:1/shop cannot be reached") as raised:
        target.revision()
    assert "hunter2" not in str(raised.value)


def test_what_is_missing_is_told(shop: Shop) -> None:
    shop.change(thing(name=(str, "")))
    found = status(shop.target, shop.files, [thing(name=(str, ""), size=(int, 5)), entity("Other")])
    assert any("thing.size is missing" in each for each in found.drift)
    assert any("other is missing" in each for each in found.drift)


def test_options_of_entities_come_and_go(shop: Shop) -> None:
    def made(**options: Any) -> Table:
        class Thing(Entity, **options):
            name: str = field(unique=True)
            code: str | None = field(default=None, unique=True)
            rank: int = field(default=0, index=True)

        return Table(shape=shape_of(Thing), name="thing", module="shop")

    where = "schemaname = current_schema() AND tablename = 'thing'"
    names = f"SELECT indexname, indexdef FROM pg_indexes WHERE {where} ORDER BY indexname"
    shop.change(made())
    shop.insert(name="a", rank=1)
    before = shop.sql(names)
    planned = shop.change(made(tenant="tenant_id", soft_delete=True))
    found = {name: text.partition("USING btree ")[2] for name, text in shop.sql(names)}
    assert found["uq_thing_code"] == "(tenant_id, code) WHERE (deleted_at IS NULL)"
    assert found["uq_thing_name"] == "(tenant_id, name) WHERE (deleted_at IS NULL)"
    assert found["ix_thing_rank"] == "(tenant_id, rank, id)"
    rollback(shop.target, shop.files, len(planned.revisions))
    assert shop.sql(names) == before
