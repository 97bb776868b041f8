"""The DynamoDB store does what every store must, on the server that MAINSTAY_TEST_DYNAMO names."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiobotocore.session import get_session
from tests.conformance.servers import PREFIX, name_of, server

from mainstay.adapters.dynamo import store as dynamo_store
from mainstay.adapters.dynamo.store import DynamoStore, place_of
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

CREDENTIALS = ("test", "test")


@pytest.fixture(scope="module", autouse=True)
def _descriptions() -> Iterator[Any]:
    """Read the description of the service once: it takes a second, and each test opens a store of its own."""
    session = get_session()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dynamo_store, "get_session", lambda: session)
        yield session


@pytest_asyncio.fixture(autouse=True)
async def _tables(_descriptions: Any) -> AsyncIterator[None]:
    """Take away what a test made in the server."""
    place = place_of(server("MAINSTAY_TEST_DYNAMO"))
    yield
    store = DynamoStore(place.region, place.table, endpoint=place.endpoint, credentials=CREDENTIALS)
    async with store._client() as client:
        for name in (await client.list_tables())["TableNames"]:
            if name.startswith(PREFIX):
                await client.delete_table(TableName=name)


class _Dynamo:
    def make_store(self, folder: Path) -> Store:
        place = place_of(server("MAINSTAY_TEST_DYNAMO"))
        # moto does not know a request that is sent again: none shall be.
        return DynamoStore(
            place.region, name_of(folder), endpoint=place.endpoint, credentials=CREDENTIALS, timeout=120.0
        )


@pytest.mark.long
class TestAggregates(_Dynamo, AggregatesConformance):
    pass


@pytest.mark.long
class TestAudit(_Dynamo, AuditConformance):
    pass


class TestBulk(_Dynamo, BulkConformance):
    pass


class TestClaims(_Dynamo, ClaimsConformance):
    pass


class TestConstraints(_Dynamo, ConstraintsConformance):
    pass


class TestEncryption(_Dynamo, EncryptionConformance):
    pass


@pytest.mark.long
class TestFilters(_Dynamo, FiltersConformance):
    pass


class TestIsolation(_Dynamo, IsolationConformance):
    pass


@pytest.mark.long
class TestPaging(_Dynamo, PagingConformance):
    pass


@pytest.mark.long
class TestPolicies(_Dynamo, PoliciesConformance):
    pass


@pytest.mark.long
class TestPreconditions(_Dynamo, PreconditionsConformance):
    pass


@pytest.mark.long
class TestRandomOperations(_Dynamo, RandomOperationsConformance):
    pass


class TestRandomPolicies(_Dynamo, RandomPoliciesConformance):
    pass


@pytest.mark.long
class TestRandomPages(_Dynamo, RandomPagesConformance):
    pass


class TestRelations(_Dynamo, RelationsConformance):
    pass


class TestRepository(_Dynamo, RepositoryConformance):
    pass


@pytest.mark.long
class TestSoftDeletion(_Dynamo, SoftDeletionConformance):
    pass


class TestSearch(_Dynamo, SearchConformance):
    pass


class TestEvents(_Dynamo, EventsConformance):
    pass


class TestStore(_Dynamo, StoreConformance):
    pass


@pytest.mark.long
class TestTenants(_Dynamo, TenantsConformance):
    pass


class TestUnitOfWork(_Dynamo, UnitOfWorkConformance):
    pass


class TestUpserts(_Dynamo, UpsertsConformance):
    pass


@pytest.mark.long
class TestValues(_Dynamo, ValuesConformance):
    pass
