"""Backups: one moment of the database, and the same rows again."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import pytest
from postgres_schemas import server_url
from sql_shop import Shop, insert, thing

from mainstay.adapters.sql.backups import BackupFault, sqlite
from mainstay.adapters.sql.backups.postgres import PostgresBackups, without_password
from mainstay.adapters.sql.migrations import migrate, plan
from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.change(thing(name=(str, "")))
    for number in range(3):
        insert(made, "thing", id=f"{number}", name="it's")
    return made


def test_a_file_is_copied_while_it_is_in_use_and_comes_back(shop: Shop, tmp_path: Path) -> None:
    open_one = sqlite3.connect(shop.database, isolation_level=None)
    open_one.execute("PRAGMA journal_mode=WAL")
    open_one.execute("BEGIN IMMEDIATE")
    open_one.execute("DELETE FROM thing")
    made = sqlite.backup(shop.database, tmp_path / "backup.db")
    open_one.execute("COMMIT")
    open_one.close()
    assert (made.revision, made.rows) == ("0001_initial_schema", {"mainstay_migration": 1, "thing": 3})
    assert shop.sql("SELECT count(*) FROM thing") == [(0,)]
    with pytest.raises(BackupFault, match="--replace"):
        sqlite.restore(tmp_path / "backup.db", shop.database, replace=False)
    assert sqlite.restore(tmp_path / "backup.db", shop.database, replace=True) == made
    assert shop.sql("SELECT name FROM thing") == [("it's",)] * 3
    fresh = tmp_path / "fresh.db"
    assert sqlite.restore(tmp_path / "backup.db", fresh, replace=False) == made
    assert sqlite.rows_of(fresh) == made.rows
    assert not list(tmp_path.glob("*.unfinished"))


def test_what_is_in_the_way_is_told(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(BackupFault, match="is there already"):
        sqlite.backup(shop.database, shop.database)
    with pytest.raises(BackupFault, match="there is no such folder"):
        sqlite.backup(shop.database, tmp_path / "nowhere" / "backup.db")
    with pytest.raises(BackupFault, match="there is no such database"):
        sqlite.backup(tmp_path / "nothing.db", tmp_path / "backup.db")
    with pytest.raises(BackupFault, match="there is no such file"):
        sqlite.restore(tmp_path / "backup.db", tmp_path / "new.db", replace=False)
    (tmp_path / "other.db").write_bytes(b"x" * 5000)
    with pytest.raises(BackupFault, match="does not tell what is in the backup"):
        sqlite.restore(tmp_path / "other.db", tmp_path / "new.db", replace=False)
    (tmp_path / "other.db.json").write_text('{"store": "postgresql", "revision": null, "rows": {}}')
    with pytest.raises(BackupFault, match="is a backup of a postgresql database, and this one is sqlite"):
        sqlite.restore(tmp_path / "other.db", tmp_path / "new.db", replace=False)
    (tmp_path / "other.db.json").write_text('{"store": "sqlite", "revision": null, "rows": {}}')
    with pytest.raises(BackupFault, match="cannot be copied"):
        sqlite.restore(tmp_path / "other.db", tmp_path / "new.db", replace=False)


def test_a_copy_with_other_rows_is_no_restore(shop: Shop, tmp_path: Path) -> None:
    made = sqlite.backup(shop.database, tmp_path / "backup.db")
    text = (tmp_path / "backup.db.json").read_text()
    (tmp_path / "backup.db.json").write_text(text.replace('"thing": 3', '"thing": 4'))
    with pytest.raises(BackupFault, match="thing: 3 rows, 4 in the backup"):
        sqlite.restore(tmp_path / "backup.db", tmp_path / "new.db", replace=False)
    assert made.differences({"other": 1, "thing": 3, "mainstay_migration": 1}) == ["other: 1 rows, None in the backup"]


async def execute(statement: str) -> None:
    connection = await asyncpg.connect(server_url())
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
def database() -> Iterator[str]:
    name = f"mainstay_{uuid4().hex}"
    asyncio.run(execute(f"CREATE DATABASE {name}"))
    yield urlsplit(server_url())._replace(path=f"/{name}").geturl()
    asyncio.run(execute(f"DROP DATABASE {name}"))


def on(url: str, *statements: str) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [await connection.fetch(statement) for statement in statements]
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_postgresql_database_is_dumped_and_comes_back(database: str, tmp_path: Path) -> None:
    plan(tmp_path / "migrations", [thing(name=(str, ""))])
    migrate(PostgresTarget(database), tmp_path / "migrations")
    insertion = "INSERT INTO thing SELECT gen_random_uuid(), 1, now(), now(), 'a' FROM generate_series(1, 50)"
    on(database, insertion)
    backups = PostgresBackups(database)
    made = backups.backup(tmp_path / "dump")
    assert (made.revision, made.rows) == ("0001_initial_schema", {"mainstay_migration": 1, "thing": 50})
    on(database, insertion)
    with pytest.raises(BackupFault, match="--replace"):
        backups.restore(tmp_path / "dump", replace=False)
    assert backups.restore(tmp_path / "dump", replace=True) == made
    on(database, "DROP TABLE thing", "DROP TABLE mainstay_migration")
    assert backups.restore(tmp_path / "dump", replace=False) == made
    [[(count,)]] = on(database, "SELECT count(*) FROM thing")
    assert count == 50


def test_one_schema_is_dumped_by_itself(database: str, tmp_path: Path) -> None:
    on(
        database,
        'CREATE SCHEMA "a b"',
        'CREATE TABLE "a b".t (n int)',
        'INSERT INTO "a b".t VALUES (1)',
        "CREATE TABLE o ()",
    )
    backups = PostgresBackups(database, "a b")
    made = backups.backup(tmp_path / "dump")
    assert (made.revision, made.rows) == (None, {"t": 1})
    on(database, 'DELETE FROM "a b".t')
    assert backups.restore(tmp_path / "dump", replace=True).rows == {"t": 1}


def test_a_dump_that_fails_leaves_nothing_and_tells_no_password(tmp_path: Path) -> None:
    address, environment = without_password("postgresql://me:p%40ss@db.example:1/shop?sslmode=require")
    assert (address, environment) == ("postgresql://me@db.example:1/shop?sslmode=require", {"PGPASSWORD": "p@ss"})
    assert without_password("postgresql://me@db/shop") == ("postgresql://me@db/shop", {})
    backups = PostgresBackups(server_url())
    with pytest.raises(BackupFault, match="pg_restore failed"):
        (tmp_path / "dump").write_bytes(b"x")
        (tmp_path / "dump.json").write_text('{"store": "postgresql", "revision": null, "rows": {}}')
        backups.restore(tmp_path / "dump", replace=True)
