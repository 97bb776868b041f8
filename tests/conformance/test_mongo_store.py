"""The MongoDB store does what every store must, on the server that MAINSTAY_TEST_MONGO names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pymongo import MongoClient
from tests.conformance.servers import PREFIX, name_of, server

from mainstay.adapters.mongo.store import MongoStore
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


@pytest.fixture(autouse=True)
def _databases() -> Iterator[None]:
    """Take away what a test made in the server."""
    url = server("MAINSTAY_TEST_MONGO")
    yield
    with MongoClient(url) as client:
        for name in client.list_database_names():
            if name.startswith(PREFIX):
                client.drop_database(name)


class _Mongo:
    def make_store(self, folder: Path) -> Store:
        return MongoStore(server("MAINSTAY_TEST_MONGO").replace("/?", f"/{name_of(folder)}?"))


class TestAggregates(_Mongo, AggregatesConformance):
    pass


class TestAudit(_Mongo, AuditConformance):
    pass


class TestBulk(_Mongo, BulkConformance):
    pass


class TestClaims(_Mongo, ClaimsConformance):
    pass


class TestConstraints(_Mongo, ConstraintsConformance):
    pass


class TestEncryption(_Mongo, EncryptionConformance):
    pass


class TestFilters(_Mongo, FiltersConformance):
    pass


# The driver leaves the socket of a connection that is cancelled while it is made to the collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
class TestIsolation(_Mongo, IsolationConformance):
    pass


class TestPaging(_Mongo, PagingConformance):
    pass


class TestPolicies(_Mongo, PoliciesConformance):
    pass


class TestPreconditions(_Mongo, PreconditionsConformance):
    pass


class TestRandomOperations(_Mongo, RandomOperationsConformance):
    pass


class TestRandomPolicies(_Mongo, RandomPoliciesConformance):
    pass


class TestRandomPages(_Mongo, RandomPagesConformance):
    pass


class TestRelations(_Mongo, RelationsConformance):
    pass


class TestRepository(_Mongo, RepositoryConformance):
    pass


class TestSoftDeletion(_Mongo, SoftDeletionConformance):
    pass


class TestSearch(_Mongo, SearchConformance):
    pass


class TestEvents(_Mongo, EventsConformance):
    pass


class TestStore(_Mongo, StoreConformance):
    pass


class TestTenants(_Mongo, TenantsConformance):
    pass


class TestUnitOfWork(_Mongo, UnitOfWorkConformance):
    pass


class TestUpserts(_Mongo, UpsertsConformance):
    pass


class TestValues(_Mongo, ValuesConformance):
    pass
