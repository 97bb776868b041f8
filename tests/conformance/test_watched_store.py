"""A store that is watched does what it does unwatched: to rows, and to those who look at its answers."""

from __future__ import annotations

from pathlib import Path

from mainstay.adapters.observe.statements import RepeatedReads, WatchedStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.ports.store import Store
from mainstay.testing import Recorder
from mainstay.testing.conformance.aggregates import AggregatesConformance
from mainstay.testing.conformance.bulk import BulkConformance
from mainstay.testing.conformance.claims import ClaimsConformance
from mainstay.testing.conformance.constraints import ConstraintsConformance
from mainstay.testing.conformance.policies import PoliciesConformance
from mainstay.testing.conformance.preconditions import PreconditionsConformance
from mainstay.testing.conformance.random_operations import RandomOperationsConformance
from mainstay.testing.conformance.relations import RelationsConformance
from mainstay.testing.conformance.repository import RepositoryConformance
from mainstay.testing.conformance.store import StoreConformance
from mainstay.testing.conformance.unit_of_work import UnitOfWorkConformance


class _Watched:
    def make_store(self, folder: Path) -> Store:
        return WatchedStore(SqliteStore(folder / "test.db", create=True, synchronous="off"), RepeatedReads(Recorder()))


class TestAggregates(_Watched, AggregatesConformance):
    pass


class TestBulk(_Watched, BulkConformance):
    pass


class TestClaims(_Watched, ClaimsConformance):
    pass


class TestConstraints(_Watched, ConstraintsConformance):
    pass


class TestPolicies(_Watched, PoliciesConformance):
    pass


class TestPreconditions(_Watched, PreconditionsConformance):
    pass


class TestRandomOperations(_Watched, RandomOperationsConformance):
    pass


class TestRelations(_Watched, RelationsConformance):
    pass


class TestRepository(_Watched, RepositoryConformance):
    pass


class TestStore(_Watched, StoreConformance):
    pass


class TestUnitOfWork(_Watched, UnitOfWorkConformance):
    pass
