"""Searches look into indexes: of words, and of the ids that they lead to. No table is read as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postgres_schemas import SchemaStore, drop_schemas

from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import having
from mainstay.model.inputs import Sort
from mainstay.ports.rows import Query
from mainstay.testing.conformance.model import PLANS, Book, Leaf, Sheet, Shelf
from mainstay.testing.conformance.world import World, opened

ROWS = 3_000
TABLE = PLANS[Sheet].table


async def filled(world: World) -> None:
    """Add rows of which each word is in few."""
    await world.fill([Sheet(number=f"{n}", title=f"a{n:05} b{n // 3:05}", text=f"c{n:05}") for n in range(ROWS)])


def asked(begun: Any) -> tuple[str, Any]:
    """Return a search of two words in two fields, in the order of the ids."""
    where = having(("a0001", "b000"), PLANS[Sheet].searchable)
    made: tuple[str, Any] = begun.rows(Sheet)._statements.select(Query(where=where, sort=(Sort("id"),), limit=50))
    return made


async def found(rows: Any) -> list[Any]:
    """Return the rows of a read, which may have to wait for a thread."""
    made: list[Any] = rows if isinstance(rows, list) else await rows
    return made


async def test_on_sqlite(tmp_path: Path) -> None:
    async with opened(SqliteStore(tmp_path / "s.sqlite", create=True), (Shelf, Book, Leaf, Sheet)) as world:
        await filled(world)
        begun: Any = world.store.begin(write=False)
        sql, bindings = asked(begun)
        told = "\n".join(step[3] for step in await found(begun.read(f"EXPLAIN QUERY PLAN {sql}", bindings)))
        assert len(await found(begun.read(sql, bindings))) == 10
        await begun.rollback()
    assert told.count(f"INDEX ix_{TABLE}_words_word (word>? AND word<?)") == 4
    assert f"SEARCH {TABLE} USING INDEX sqlite_autoindex_{TABLE}_1 (id=?)" in told
    assert "SCAN" not in told.replace("SCAN CONSTANT ROW", "")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = SchemaStore(tmp_path)
    async with opened(store, (Shelf, Book, Leaf, Sheet)) as world:
        yield world
    await drop_schemas({store.schema})


async def test_on_postgresql(world: World) -> None:
    await filled(world)
    store: Any = world.store
    link = await store.engine.writers.take()
    await link.execute("ANALYZE")
    store.engine.writers.give(link)
    begun: Any = store.begin(write=False)
    sql, bindings = asked(begun)
    told = "\n".join(step[0] for step in await begun.read(f"EXPLAIN {sql}", bindings))
    assert len(await begun.read(sql, bindings)) == 10
    await begun.rollback()
    assert f"ix_{TABLE}_words_word" in told
    assert f"Seq Scan on {TABLE}" not in told
