"""Claims: one holder at a time, free again when it lets go."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from mainstay.testing.conformance.model import Shelf
from mainstay.testing.conformance.world import Entities, StoreSuite, World


class ClaimsConformance(StoreSuite):
    """take and drop."""

    entities: ClassVar[Entities] = (Shelf,)

    async def test_a_claim_has_one_holder(self, world: World) -> None:
        claims = world.store.claims
        assert await claims.take(b"a")
        assert not await claims.take(b"a")
        assert await claims.take(b"b")
        await claims.drop(b"a")
        assert await claims.take(b"a")
        await claims.drop(b"a")
        await claims.drop(b"b")

    async def test_of_many_that_ask_at_once_one_takes_it(self, world: World) -> None:
        claims = world.store.claims
        for key in (b"", b"k", b"\x00" * 20, bytes(range(256))):
            taken = await asyncio.gather(*(claims.take(key) for _ in range(20)))
            assert sum(taken) == 1
            await claims.drop(key)

    async def test_letting_go_of_what_is_not_held_is_no_fault(self, world: World) -> None:
        await world.store.claims.drop(b"never taken")
        assert await world.store.claims.take(b"never taken")
        await world.store.claims.drop(b"never taken")

    async def test_many_claims_are_held_apart(self, world: World) -> None:
        claims = world.store.claims
        keys = [f"key {n}".encode() for n in range(200)]
        assert all([await claims.take(key) for key in keys])
        for key in keys[::2]:
            await claims.drop(key)
        assert [await claims.take(key) for key in keys] == [n % 2 == 0 for n in range(200)]
        for key in keys:
            await claims.drop(key)
