"""Rows that are only added: nothing of the product changes one, and in a SQL database no statement does."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import asyncmy.errors
import asyncpg
import pytest
from mysql_databases import drop_database
from mysql_shop import Shop as MysqlShop
from postgres_schemas import SchemaStore, drop_schema, drop_schemas, execute
from postgres_shop import Shop as PostgresShop
from sql_samples import table
from sql_shop import Shop, insert

from mainstay.adapters.sql.keeping import MESSAGE
from mainstay.adapters.sql.migrations import rollback
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.fields import field
from mainstay.model.structs import Entity
from mainstay.ports.store import Table

CHANGES = ("UPDATE thing SET text = 'other'", "DELETE FROM thing", "UPDATE thing SET version = 2 WHERE text = 'a'")


def entries(name: str = "thing", **more: tuple[Any, Any]) -> Table:
    """Return the table of entries, with more fields where they are given as name=(type, default)."""
    body: dict[str, Any] = {
        "__module__": __name__,
        "__annotations__": {"text": str, **{n: kind for n, (kind, _) in more.items()}},
        "text": field(max_length=50),
        **{n: default for n, (_, default) in more.items()},
    }
    meta: Any = type(Entity)
    return table(meta("Entry", (Entity,), body, append_only=True), name)


def kept(shop: Any, error: type[Exception]) -> None:
    """Check that the one row stays as it is."""
    for statement in CHANGES:
        with pytest.raises(error, match=MESSAGE):
            shop.sql(statement)
    assert shop.sql("SELECT text FROM thing") == [("a",)]


def test_on_sqlite_by_migrations(tmp_path: Path) -> None:
    shop = Shop(tmp_path)
    shop.change(entries())
    assert 'steps.append_only("thing")' in shop.texts()
    insert(shop, "thing", text="a")
    kept(shop, sqlite3.IntegrityError)
    before = shop.schema()
    shop.change(entries(note=(str, "none")))
    assert shop.sql("SELECT note FROM thing") == [("none",)]
    kept(shop, sqlite3.IntegrityError)
    rollback(shop.target, shop.files, 1)
    assert shop.schema() == before
    kept(shop, sqlite3.IntegrityError)
    rollback(shop.target, shop.files, 1)
    assert [text for text in shop.schema() if "thing" in text] == []


async def test_on_sqlite_by_the_store(tmp_path: Path) -> None:
    for _ in range(2):  # what is there is left alone
        store = SqliteStore(tmp_path / "shop.db", create=True)
        await store.start([entries()])
        await store.stop()
    shop = Shop(tmp_path)
    insert(shop, "thing", text="a")
    kept(shop, sqlite3.IntegrityError)


def test_on_postgresql(tmp_path: Path) -> None:
    shop = PostgresShop(tmp_path)
    try:
        shop.change(entries())
        shop.insert(text="a")
        kept(shop, asyncpg.PostgresError)
        with pytest.raises(asyncpg.PostgresError, match=MESSAGE):
            shop.sql("TRUNCATE thing")
        shop.change(entries(note=(str, "none")))
        assert shop.sql("SELECT note FROM thing") == [("none",)]
        kept(shop, asyncpg.PostgresError)
        rollback(shop.target, shop.files, 2)
        assert shop.sql("SELECT count(*) FROM pg_proc WHERE proname = 'keep_thing_u'") == [(0,)]
    finally:
        drop_schema(tmp_path)


async def test_on_postgresql_by_the_store(tmp_path: Path) -> None:
    for _ in range(2):
        store = SchemaStore(tmp_path)
        await store.start([entries()])
        await store.stop()
    with pytest.raises(asyncpg.PostgresError, match=MESSAGE):
        await execute(f"DELETE FROM {store.schema}.thing")
    await drop_schemas([store.schema])


def test_on_mariadb(tmp_path: Path) -> None:
    shop = MysqlShop(tmp_path)
    try:
        shop.change(entries())
        shop.insert(text="a")
        kept(shop, asyncmy.errors.Error)
        shop.change(entries(note=(str, "none")))
        assert shop.sql("SELECT note FROM thing") == [("none",)]
        kept(shop, asyncmy.errors.Error)
        rollback(shop.target, shop.files, 2)
    finally:
        drop_database(tmp_path)


def test_names_that_are_long_get_a_trigger_too(tmp_path: Path) -> None:
    shop, name = Shop(tmp_path), "entry_" + "x" * 60
    shop.change(entries(name))
    insert(shop, name, text="a")
    with pytest.raises(sqlite3.IntegrityError, match=MESSAGE):
        shop.sql(f"DELETE FROM {name}")
