"""The PostgreSQL store does what every store must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postgres_schemas import SchemaStore, drop_schemas

from mainstay.ports.store import Store
from mainstay.testing.conformance.aggregates import AggregatesConformance
from mainstay.testing.conformance.audit import AuditConformance
from mainstay.testing.conformance.bulk import BulkConformance
from mainstay.testing.conformance.claims import ClaimsConformance
from mainstay.testing.conformance.constraints import ConstraintsConformance
from mainstay.testing.conformance.encryption import EncryptionConformance
from mainstay.testing.conformance.filters import FiltersConformance
from mainstay.testing.conformance.flow import EventsConformance
from mainstay.testing.conformance.isolation import IsolationConformance
from mainstay.testing.conformance.paging import PagingConformance
from mainstay.testing.conformance.policies import PoliciesConformance
from mainstay.testing.conformance.preconditions import PreconditionsConformance
from mainstay.testing.conformance.random_operations import RandomOperationsConformance
from mainstay.testing.conformance.random_pages import RandomPagesConformance
from mainstay.testing.conformance.random_policies import RandomPoliciesConformance
from mainstay.testing.conformance.relations import RelationsConformance
from mainstay.testing.conformance.repository import RepositoryConformance
from mainstay.testing.conformance.search import SearchConformance
from mainstay.testing.conformance.soft_deletion import SoftDeletionConformance
from mainstay.testing.conformance.store import StoreConformance
from mainstay.testing.conformance.tenants import TenantsConformance
from mainstay.testing.conformance.unit_of_work import UnitOfWorkConformance
from mainstay.testing.conformance.upserts import UpsertsConformance
from mainstay.testing.conformance.values import ValuesConformance


class _Postgres:
    @pytest.fixture(autouse=True)
    async def schemas(self) -> AsyncIterator[None]:
        self.made: set[str] = set()
        yield
        await drop_schemas(self.made)

    def make_store(self, folder: Path) -> Store:
        store = SchemaStore(folder)
        self.made.add(store.schema)
        return store


class TestAggregates(_Postgres, AggregatesConformance):
    pass


class TestAudit(_Postgres, AuditConformance):
    pass


class TestBulk(_Postgres, BulkConformance):
    pass


class TestClaims(_Postgres, ClaimsConformance):
    pass


class TestConstraints(_Postgres, ConstraintsConformance):
    pass


class TestEncryption(_Postgres, EncryptionConformance):
    pass


class TestFilters(_Postgres, FiltersConformance):
    pass


class TestIsolation(_Postgres, IsolationConformance):
    pass


class TestPaging(_Postgres, PagingConformance):
    pass


class TestPolicies(_Postgres, PoliciesConformance):
    pass


class TestPreconditions(_Postgres, PreconditionsConformance):
    pass


class TestRandomOperations(_Postgres, RandomOperationsConformance):
    pass


class TestRandomPolicies(_Postgres, RandomPoliciesConformance):
    pass


class TestRandomPages(_Postgres, RandomPagesConformance):
    pass


class TestRelations(_Postgres, RelationsConformance):
    pass


class TestRepository(_Postgres, RepositoryConformance):
    pass


class TestSoftDeletion(_Postgres, SoftDeletionConformance):
    pass


class TestSearch(_Postgres, SearchConformance):
    pass


class TestEvents(_Postgres, EventsConformance):
    pass


class TestStore(_Postgres, StoreConformance):
    pass


class TestTenants(_Postgres, TenantsConformance):
    pass


class TestUnitOfWork(_Postgres, UnitOfWorkConformance):
    pass


class TestUpserts(_Postgres, UpsertsConformance):
    pass


class TestValues(_Postgres, ValuesConformance):
    pass
