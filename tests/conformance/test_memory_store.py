"""The memory store does what every store must."""

from __future__ import annotations

from pathlib import Path

from mainstay.adapters.memory.store import MemoryStore
from mainstay.ports.store import Store
from mainstay.testing.conformance.constraints import ConstraintsConformance
from mainstay.testing.conformance.filters import FiltersConformance
from mainstay.testing.conformance.paging import PagingConformance
from mainstay.testing.conformance.repository import RepositoryConformance
from mainstay.testing.conformance.values import ValuesConformance


class _Memory:
    def make_store(self, folder: Path) -> Store:
        return MemoryStore()


class TestRepository(_Memory, RepositoryConformance):
    pass


class TestConstraints(_Memory, ConstraintsConformance):
    pass


class TestFilters(_Memory, FiltersConformance):
    pass


class TestPaging(_Memory, PagingConformance):
    pass


class TestValues(_Memory, ValuesConformance):
    pass
