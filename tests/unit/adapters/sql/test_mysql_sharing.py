"""Commands on MariaDB that share a statement: what is wrong with one of them is told to that one alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from mysql_databases import DatabaseStore, drop_databases

from mainstay.adapters.sql.writes import Insert
from mainstay.model.problem import UniqueConflict
from mainstay.testing.conformance.model import Reader, Shelf
from mainstay.testing.conformance.world import World, opened


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    store = DatabaseStore(tmp_path)
    async with opened(store, (Shelf, Reader)) as world:
        yield world
    await drop_databases([store.database])


async def fill_all(world: World, names: Sequence[str]) -> list[BaseException | None]:
    """Add a shelf and a reader of each name, all at once; return what each was told."""

    async def fill(name: str) -> None:
        async with world.command() as hands:
            await hands.rows(Shelf).add(Shelf(name=name))
            await hands.rows(Reader).add(Reader(name=name))

    return await asyncio.gather(*map(fill, names), return_exceptions=True)


async def stored(world: World) -> tuple[list[str], list[str]]:
    """Return the names of the shelves and of the readers that are there."""
    shelves, readers = await world.all(Shelf), await world.all(Reader)
    return sorted(row.name for row in shelves), sorted(row.name for row in readers)


async def test_many_at_once_are_committed_together(world: World) -> None:
    names = [f"shelf {n:02}" for n in range(60)]
    assert await fill_all(world, names) == [None] * 60
    assert await stored(world) == (names, names)
    assert world.store.statistics()["commits_shared"] > 30


async def test_one_that_is_refused_refuses_no_other(world: World) -> None:
    await fill_all(world, ["there"])
    names = [f"shelf {n:02}" for n in range(30)]
    told = await fill_all(world, [*names[:15], "there", *names[15:], "twice", "twice"])
    assert told[:15] == told[16:31] == [None] * 15
    assert isinstance(told[15], UniqueConflict)
    assert sorted(type(one) is UniqueConflict for one in told[31:]) == [False, True]
    every = [*names, "there", "twice"]
    assert await stored(world) == (every, every)


async def test_an_entity_of_too_many_fields_goes_by_itself(world: World) -> None:
    store = world.store
    assert isinstance(store, DatabaseStore)
    statements = store.catalog[Reader]
    wide = SimpleNamespace(columns=SimpleNamespace(by_name=dict.fromkeys(range(118))))
    assert store.shares(Insert(statements, []))
    assert not store.shares(Insert(cast("Any", wide), []))
