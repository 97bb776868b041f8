"""Processes that share a database wake each other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from postgres_schemas import SchemaStore, drop_schemas, execute

from mainstay.adapters.sql.postgres import Link, wire


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[SchemaStore, SchemaStore]]:
    pair = SchemaStore(tmp_path), SchemaStore(tmp_path)
    for store in pair:
        await store.start([])
    yield pair
    for store in pair:
        await store.stop()
    await drop_schemas([pair[0].schema])


class Ear:
    def __init__(self) -> None:
        self.heard = 0
        self.now = asyncio.Event()

    def __call__(self) -> None:
        self.heard += 1
        self.now.set()

    async def rung(self, by: SchemaStore) -> None:
        """Wait until it has heard a ring: who begins to listen misses those before."""
        async with asyncio.timeout(20):
            while not self.now.is_set():
                by.ring()
                await asyncio.sleep(0.05)
        self.now.clear()


async def test_a_ring_is_heard_by_the_others_only(stores: tuple[SchemaStore, SchemaStore]) -> None:
    one, other = stores
    ours, theirs = Ear(), Ear()
    one.listen(ours)
    other.listen(theirs)
    await theirs.rung(one)
    await ours.rung(other)
    await asyncio.sleep(0.2)
    heard = ours.heard
    await theirs.rung(one)
    await asyncio.sleep(0.2)
    assert ours.heard == heard


async def test_who_listens_to_nobody_can_ring(stores: tuple[SchemaStore, SchemaStore]) -> None:
    one, other = stores
    theirs = Ear()
    other.listen(theirs)
    await theirs.rung(one)


async def test_it_listens_again_after_its_connection_was_lost(stores: tuple[SchemaStore, SchemaStore]) -> None:
    one, other = stores
    ear = Ear()
    one.listen(Ear())
    other.listen(ear)
    await ear.rung(one)
    await execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE pid <> pg_backend_pid() AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify%')"
    )
    await asyncio.sleep(0.2)
    ear.now.clear()
    await ear.rung(one)


async def test_whatever_keeps_it_from_its_connection_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "RETRY_SECONDS", 0.001)
    tries = asyncio.Event()

    async def refused() -> Link:
        if made.lost >= 3:
            tries.set()
        raise asyncpg.CannotConnectNowError("the database system is starting up")

    made = wire.Wire(refused, "c")
    made.listen(Ear())
    async with asyncio.timeout(10):
        await tries.wait()
    await made.stop()
    assert made.lost >= 3
