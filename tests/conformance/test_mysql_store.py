"""The store on MariaDB and MySQL does what every store must."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from mysql_databases import DatabaseStore, drop_databases

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


class _Mysql:
    @pytest.fixture(autouse=True)
    async def databases(self) -> AsyncIterator[None]:
        self.made: set[str] = set()
        yield
        await drop_databases(self.made)

    def make_store(self, folder: Path) -> Store:
        store = DatabaseStore(folder)
        self.made.add(store.database)
        return store


class TestAggregates(_Mysql, AggregatesConformance):
    pass


class TestAudit(_Mysql, AuditConformance):
    pass


class TestBulk(_Mysql, BulkConformance):
    pass


class TestClaims(_Mysql, ClaimsConformance):
    pass


class TestConstraints(_Mysql, ConstraintsConformance):
    pass


class TestEncryption(_Mysql, EncryptionConformance):
    pass


class TestFilters(_Mysql, FiltersConformance):
    pass


class TestIsolation(_Mysql, IsolationConformance):
    pass


class TestPaging(_Mysql, PagingConformance):
    pass


class TestPolicies(_Mysql, PoliciesConformance):
    pass


class TestPreconditions(_Mysql, PreconditionsConformance):
    pass


class TestRandomOperations(_Mysql, RandomOperationsConformance):
    pass


class TestRandomPolicies(_Mysql, RandomPoliciesConformance):
    pass


class TestRandomPages(_Mysql, RandomPagesConformance):
    pass


class TestRelations(_Mysql, RelationsConformance):
    pass


class TestRepository(_Mysql, RepositoryConformance):
    pass


class TestSoftDeletion(_Mysql, SoftDeletionConformance):
    pass


class TestSearch(_Mysql, SearchConformance):
    pass


class TestEvents(_Mysql, EventsConformance):
    pass


class TestStore(_Mysql, StoreConformance):
    pass


class TestTenants(_Mysql, TenantsConformance):
    pass


class TestUnitOfWork(_Mysql, UnitOfWorkConformance):
    pass


class TestUpserts(_Mysql, UpsertsConformance):
    pass


class TestValues(_Mysql, ValuesConformance):
    pass
