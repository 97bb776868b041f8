"""Upserts in stores that look for the row first, and what is not asked of them."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.memory.transaction import MemoryRows
from mainstay.model.conditions import TRUE
from mainstay.model.problem import SerializationConflict
from mainstay.ports.rows import Merge, Query
from mainstay.testing.conformance.model import Shelf
from mainstay.testing.conformance.world import opened


async def test_who_adds_the_row_between_is_met_and_the_command_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def saw_nothing(self: MemoryRows, query: Query) -> list[Any]:
        return []

    async with opened(MemoryStore(), (Shelf,)) as world:
        await world.add(Shelf(name="a"))
        monkeypatch.setattr(MemoryRows, "fetch", saw_nothing)
        with pytest.raises(SerializationConflict, match="another call has added this Shelf"):
            async with world.command() as hands:
                await hands.rows(Shelf).upsert(Shelf(name="a"), on="name")


async def test_a_store_that_does_not_say_so_merges_nothing() -> None:
    async with opened(MemoryStore(), (Shelf,)) as world, world.abandoned() as hands:
        rows = hands.unit.transaction().rows(Shelf)
        with pytest.raises(NotImplementedError):
            await rows.merge(Merge(rows=(), on="name", changes=(), kept=(), where=TRUE))
