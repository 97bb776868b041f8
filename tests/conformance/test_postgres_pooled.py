"""The PostgreSQL store does what every store must behind a transaction pooler too, which keeps no session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgres_schemas import SchemaStore, drop_schemas, server_url

from mainstay.ports.store import Store
from mainstay.testing.conformance.bulk import BulkConformance
from mainstay.testing.conformance.claims import ClaimsConformance
from mainstay.testing.conformance.constraints import ConstraintsConformance
from mainstay.testing.conformance.isolation import IsolationConformance
from mainstay.testing.conformance.relations import RelationsConformance
from mainstay.testing.conformance.repository import RepositoryConformance
from mainstay.testing.conformance.store import StoreConformance
from mainstay.testing.conformance.unit_of_work import UnitOfWorkConformance
from mainstay.testing.conformance.world import StoreSuite, World


class _Pooled:
    @pytest.fixture(autouse=True)
    async def schemas(self) -> AsyncIterator[None]:
        self.made: set[str] = set()
        yield
        await drop_schemas(self.made)

    def make_store(self, folder: Path) -> Store:
        store = SchemaStore(folder, pooler=True)
        self.made.add(store.schema)
        return store


class TestBulk(_Pooled, BulkConformance):
    pass


class TestClaims(_Pooled, ClaimsConformance):
    def make_store(self, folder: Path) -> Store:
        store = SchemaStore(folder, pooler=True, direct_url=server_url())
        self.made.add(store.schema)
        return store


class TestClaimsWithoutASession(_Pooled, StoreSuite):
    """Where only the pooler can be reached, each claim holds a transaction open."""

    async def test_a_claim_is_held_by_one_and_seen_by_others(self, world: World, tmp_path: Path) -> None:
        other = self.make_store(tmp_path)
        await other.start([])
        claims, others = world.store.claims, other.claims
        assert await claims.take(b"k")
        assert not await claims.take(b"k")
        assert not await others.take(b"k")
        assert await others.take(b"l")
        await claims.drop(b"k")
        assert await others.take(b"k")
        await other.stop()
        assert await claims.take(b"k")
        assert await claims.take(b"l")

    async def test_more_than_there_are_connections_have_to_wait(self, world: World) -> None:
        claims = world.store.claims
        for number in range(4):
            assert await claims.take(b"%d" % number)
        waiting = asyncio.ensure_future(claims.take(b"4"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        await claims.drop(b"0")
        assert await waiting


class TestConstraints(_Pooled, ConstraintsConformance):
    pass


class TestIsolation(_Pooled, IsolationConformance):
    pass


class TestRelations(_Pooled, RelationsConformance):
    pass


class TestRepository(_Pooled, RepositoryConformance):
    pass


class TestStore(_Pooled, StoreConformance):
    pass


class TestUnitOfWork(_Pooled, UnitOfWorkConformance):
    pass
