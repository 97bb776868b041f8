"""The SQLite store does what every store must."""

from __future__ import annotations

from pathlib import Path

from mainstay.adapters.sql.store import SqliteStore
from mainstay.ports.store import Store
from mainstay.testing.conformance.aggregates import AggregatesConformance
from mainstay.testing.conformance.bulk import BulkConformance
from mainstay.testing.conformance.constraints import ConstraintsConformance
from mainstay.testing.conformance.filters import FiltersConformance
from mainstay.testing.conformance.paging import PagingConformance
from mainstay.testing.conformance.policies import PoliciesConformance
from mainstay.testing.conformance.relations import RelationsConformance
from mainstay.testing.conformance.repository import RepositoryConformance
from mainstay.testing.conformance.values import ValuesConformance


class OnSqlite:
    def make_store(self, folder: Path) -> Store:
        return SqliteStore(folder / "test.db", create=True, synchronous="off")


class TestRepository(OnSqlite, RepositoryConformance):
    pass


class TestConstraints(OnSqlite, ConstraintsConformance):
    pass


class TestFilters(OnSqlite, FiltersConformance):
    pass


class TestPaging(OnSqlite, PagingConformance):
    pass


class TestValues(OnSqlite, ValuesConformance):
    pass


class TestPolicies(OnSqlite, PoliciesConformance):
    pass


class TestBulk(OnSqlite, BulkConformance):
    pass


class TestAggregates(OnSqlite, AggregatesConformance):
    pass


class TestRelations(OnSqlite, RelationsConformance):
    pass
