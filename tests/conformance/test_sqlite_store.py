"""The SQLite store does what every store must."""

from __future__ import annotations

from pathlib import Path

from mainstay.adapters.sql.sqlite_store import SqliteStore
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


class _Sqlite:
    def make_store(self, folder: Path) -> Store:
        return SqliteStore(folder / "test.db", create=True, synchronous="off")


class TestAggregates(_Sqlite, AggregatesConformance):
    pass


class TestAudit(_Sqlite, AuditConformance):
    pass


class TestBulk(_Sqlite, BulkConformance):
    pass


class TestClaims(_Sqlite, ClaimsConformance):
    pass


class TestConstraints(_Sqlite, ConstraintsConformance):
    pass


class TestEncryption(_Sqlite, EncryptionConformance):
    pass


class TestFilters(_Sqlite, FiltersConformance):
    pass


class TestIsolation(_Sqlite, IsolationConformance):
    pass


class TestPaging(_Sqlite, PagingConformance):
    pass


class TestPolicies(_Sqlite, PoliciesConformance):
    pass


class TestPreconditions(_Sqlite, PreconditionsConformance):
    pass


class TestRandomOperations(_Sqlite, RandomOperationsConformance):
    pass


class TestRandomPolicies(_Sqlite, RandomPoliciesConformance):
    pass


class TestRandomPages(_Sqlite, RandomPagesConformance):
    pass


class TestRelations(_Sqlite, RelationsConformance):
    pass


class TestRepository(_Sqlite, RepositoryConformance):
    pass


class TestSoftDeletion(_Sqlite, SoftDeletionConformance):
    pass


class TestSearch(_Sqlite, SearchConformance):
    pass


class TestEvents(_Sqlite, EventsConformance):
    pass


class TestStore(_Sqlite, StoreConformance):
    pass


class TestTenants(_Sqlite, TenantsConformance):
    pass


class TestUnitOfWork(_Sqlite, UnitOfWorkConformance):
    pass


class TestUpserts(_Sqlite, UpsertsConformance):
    pass


class TestValues(_Sqlite, ValuesConformance):
    pass
