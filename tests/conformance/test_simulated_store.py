"""The simulated store does what every store must, while nothing befalls it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainstay.ports.store import Store
from mainstay.testing.conformance.aggregates import AggregatesConformance
from mainstay.testing.conformance.audit import AuditConformance
from mainstay.testing.conformance.bulk import BulkConformance
from mainstay.testing.conformance.claims import ClaimsConformance
from mainstay.testing.conformance.constraints import ConstraintsConformance
from mainstay.testing.conformance.isolation import IsolationConformance
from mainstay.testing.conformance.paging import PagingConformance
from mainstay.testing.conformance.preconditions import PreconditionsConformance
from mainstay.testing.conformance.random_operations import RandomOperationsConformance
from mainstay.testing.conformance.repository import RepositoryConformance
from mainstay.testing.conformance.soft_deletion import SoftDeletionConformance
from mainstay.testing.conformance.store import StoreConformance
from mainstay.testing.conformance.unit_of_work import UnitOfWorkConformance
from mainstay.testing.conformance.upserts import UpsertsConformance
from mainstay.testing.conformance.values import ValuesConformance
from mainstay.testing.simulation.database import Database
from mainstay.testing.simulation.store import SimulatedStore


class _Simulated:
    @pytest.fixture(autouse=True)
    def _servers(self) -> None:
        self.servers: dict[Path, Database] = {}

    def make_store(self, folder: Path) -> Store:
        return SimulatedStore(self.servers.setdefault(folder, Database()))


class TestRepository(_Simulated, RepositoryConformance):
    pass


class TestConstraints(_Simulated, ConstraintsConformance):
    pass


class TestPaging(_Simulated, PagingConformance):
    pass


class TestValues(_Simulated, ValuesConformance):
    pass


class TestUnitOfWork(_Simulated, UnitOfWorkConformance):
    pass


class TestIsolation(_Simulated, IsolationConformance):
    pass


class TestPreconditions(_Simulated, PreconditionsConformance):
    pass


class TestBulk(_Simulated, BulkConformance):
    pass


class TestAggregates(_Simulated, AggregatesConformance):
    pass


class TestAudit(_Simulated, AuditConformance):
    pass


class TestClaims(_Simulated, ClaimsConformance):
    pass


class TestStore(_Simulated, StoreConformance):
    pass


class TestSoftDeletion(_Simulated, SoftDeletionConformance):
    pass


class TestUpserts(_Simulated, UpsertsConformance):
    pass


class TestRandomOperations(_Simulated, RandomOperationsConformance):
    pass
