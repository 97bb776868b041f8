"""Pages walked while rows come and go: no row twice, and none missing that was there all the time."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mainstay.ports.store import Store
from mainstay.testing.conformance.model import Item
from mainstay.testing.conformance.paging import in_order
from mainstay.testing.conformance.world import World, opened

KEYS = st.tuples(st.sampled_from([None, "a", "b"]), st.one_of(st.none(), st.integers(0, 3)))
ACTIONS = st.lists(st.one_of(KEYS, st.integers(0, 40)), max_size=3)
"""Between two pages: a row with this bin and amount is added, or the row of this number is deleted."""


class RandomPagesConformance:
    """Keyset cursors under concurrent changes."""

    def make_store(self, folder: Path) -> Store:
        """Return a new store, not yet started, that may keep its files in ``folder``: a subclass says how."""
        raise TypeError(f"{type(self).__name__} does not say how a store is made (in {folder}): give it make_store")

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        first=st.lists(KEYS, max_size=12),
        order=st.sampled_from(["bin", "-bin", "amount,bin", "-amount,bin", "bin,-amount,-id", "-bin,-amount", "-name"]),
        size=st.integers(1, 4),
        between=st.lists(ACTIONS, max_size=10),
    )
    def test_a_walk_meets_each_lasting_row_once(
        self, first: list[Any], order: str, size: int, between: list[list[Any]]
    ) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(self._walk(Path(folder), first, order, size, between))

    async def _walk(self, folder: Path, first: list[Any], order: str, size: int, between: list[list[Any]]) -> None:
        async with opened(self.make_store(folder), (Item,)) as world:
            lasting = await world.add(*(Item(name=f"{n}", bin=b, amount=a) for n, (b, a) in enumerate(first)))
            seen: list[Item] = []
            cursor, added, gone = None, 0, set()
            actions = iter(between)
            while True:
                async with world.query() as hands:
                    page = await hands.rows(Item).page(sort=order, limit=size, cursor=cursor)
                seen += page.items
                if page.next is None:
                    break
                cursor = page.next
                for action in next(actions, []):
                    added += 1
                    gone |= await _act(world, action, f"new {added}")
            ids = [row.id for row in seen]
            assert len(ids) == len(set(ids))
            assert in_order(seen, order) == seen
            missed = [row for row in lasting if row.id not in ids and row.id not in gone]
            assert missed == []


async def _act(world: World, action: Any, name: str) -> set[Any]:
    """Add a row or delete one; return the ids of what was deleted."""
    if isinstance(action, tuple):
        await world.add(Item(name=name, bin=action[0], amount=action[1]))
        return set()
    rows = await world.all(Item)
    if not rows:
        return set()
    victim = rows[action % len(rows)].id
    async with world.command() as hands:
        await hands.rows(Item).delete(victim)
    return {victim}
