"""Changes that share a statement on PostgreSQL: all are met, or each is told by itself what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgres_world import Replica, World, clean, opened

from mainstay import Dto, Entity, Module, Repository, anyone, field
from mainstay.model.conditions import Compare
from mainstay.model.inputs import Sort
from mainstay.model.problem import Problem
from mainstay.ports.rows import Change, Query

shelf = Module("shelf")


class Jar(Entity):
    label: str = field(unique=True, max_length=40)


class Fill(Dto):
    label: str = field(max_length=40)


@shelf.command("POST /jars", status=201, allow=anyone)
async def fill(wanted: Fill, jars: Repository[Jar]) -> Jar:
    return await jars.add(Jar(label=wanted.label))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with opened(shelf, tmp_path) as one:
        yield one


async def changed(here: Replica, jar: Jar, label: str, *, version: int = 1) -> str:
    """Give a jar a label, and tell what became of it."""
    told = {"label": label, "version": version + 1, "updated_at": jar.updated_at}
    by_id = Compare("id", "eq", jar.id)
    change = Change(where=by_id, changes=told, id=jar.id, version=version, expected=1, shared=True)
    transaction = here.store.begin(write=True)
    transaction.rows(Jar).enqueue(change)
    try:
        await transaction.commit()
    except Problem as problem:
        await transaction.rollback()
        return problem.code
    return "changed"


async def test_changes_that_may_be_shared_are_committed_together(world: World) -> None:
    here = await world.replica()
    await asyncio.gather(*(here.send("fill", b'{"label": "jar %02d"}' % n) for n in range(20)))
    jars = await jars_of(here)
    assert len(jars) == 20
    before = here.store.statistics()["commits_shared"]
    calls = (changed(here, jar, f"new {n:02}", version=1 + (n == 7)) for n, jar in enumerate(jars))
    told = await asyncio.gather(*calls)
    assert [n for n, one in enumerate(told) if one != "changed"] == [7]
    assert told[7] == "stale_version"
    assert here.store.statistics()["commits_shared"] > before + 10
    found = {jar.id: (jar.label, jar.version) for jar in await jars_of(here)}
    expected = {jar.id: (f"new {n:02}", 2) for n, jar in enumerate(jars)}
    assert found == {**expected, jars[7].id: (jars[7].label, 1)}
    await clean(here.store)


async def jars_of(here: Replica) -> list[Jar]:
    transaction = here.store.begin(write=False)
    try:
        found: list[Jar] = await transaction.rows(Jar).fetch(Query(sort=(Sort("id"),)))
        return found
    finally:
        await transaction.rollback()
