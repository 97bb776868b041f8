"""The memory store does what every store must."""

from __future__ import annotations

from pathlib import Path

from mainstay.adapters.memory.store import MemoryStore
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


class _Memory:
    def make_store(self, folder: Path) -> Store:
        return MemoryStore()


class TestRepository(_Memory, RepositoryConformance):
    pass


class TestConstraints(_Memory, ConstraintsConformance):
    pass


class TestEncryption(_Memory, EncryptionConformance):
    pass


class TestFilters(_Memory, FiltersConformance):
    pass


class TestPaging(_Memory, PagingConformance):
    pass


class TestValues(_Memory, ValuesConformance):
    pass


class TestPolicies(_Memory, PoliciesConformance):
    pass


class TestRelations(_Memory, RelationsConformance):
    pass


class TestAudit(_Memory, AuditConformance):
    pass


class TestBulk(_Memory, BulkConformance):
    pass


class TestAggregates(_Memory, AggregatesConformance):
    pass


class TestUnitOfWork(_Memory, UnitOfWorkConformance):
    pass


class TestUpserts(_Memory, UpsertsConformance):
    pass


class TestIsolation(_Memory, IsolationConformance):
    pass


class TestPreconditions(_Memory, PreconditionsConformance):
    pass


class TestSoftDeletion(_Memory, SoftDeletionConformance):
    pass


class TestSearch(_Memory, SearchConformance):
    pass


class TestEvents(_Memory, EventsConformance):
    pass


class TestStore(_Memory, StoreConformance):
    pass


class TestTenants(_Memory, TenantsConformance):
    pass


class TestClaims(_Memory, ClaimsConformance):
    pass


class TestRandomOperations(_Memory, RandomOperationsConformance):
    pass


class TestRandomPolicies(_Memory, RandomPoliciesConformance):
    pass


class TestRandomPages(_Memory, RandomPagesConformance):
    pass
