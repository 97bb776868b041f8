"""Fixtures for the tests of a service: ``pytest_plugins = ["mainstay.testing.plugin"]`` in the root conftest.py.

The team says which service it is, by a fixture of its own::

    @pytest.fixture
    def service() -> Service:
        return shop

and has ``client`` (on memory), ``sqlite_client`` (on a file of the test's own), ``each_client`` (the test runs on
both), and ``clock``, the time of all of them. They need pytest-asyncio.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

if "mainstay.testing.conformance" not in sys.modules:  # whoever has imported it has done without
    pytest.register_assert_rewrite("mainstay.testing.conformance")

from mainstay.testing.client import Client
from mainstay.testing.fixed import FixedClock

if TYPE_CHECKING:
    from mainstay.model.service import Service
    from mainstay.ports.store import Store


@pytest.fixture
def service() -> Service:
    """The service under test: the team's own fixture of this name takes the place of this one."""
    raise pytest.UsageError("which service is tested? Write a fixture named service in conftest.py that returns it")


@pytest.fixture
def clock() -> FixedClock:
    """The time of the service under test."""
    return FixedClock()


@pytest.fixture
def sqlite_store(tmp_path: Path, clock: FixedClock) -> Store:
    """A store on a SQLite file of the test's own, not yet started."""
    from mainstay.adapters.sql.sqlite_store import SqliteStore

    return SqliteStore(tmp_path / "test.sqlite3", create=True, synchronous="off", clock=clock.monotonic)


class RepeatedReadsWarning(UserWarning):
    """One call ran the same read again and again, with other values each time: N+1."""


def warn_of_repeated_reads(client: Client) -> None:
    """Warn of what the service under test was seen to do, with the lines of its code."""
    for notice in client.recorder.notices:
        if notice.event == "n_plus_one":
            warnings.warn(notice.message, RepeatedReadsWarning, stacklevel=2)


@pytest_asyncio.fixture
async def client(service: Service, clock: FixedClock) -> AsyncIterator[Client]:
    """A client of the service on memory."""
    async with Client(service, clock=clock) as opened:
        yield opened
    warn_of_repeated_reads(opened)


@pytest_asyncio.fixture
async def sqlite_client(service: Service, clock: FixedClock, sqlite_store: Store) -> AsyncIterator[Client]:
    """A client of the service on SQLite."""
    async with Client(service, clock=clock, store=sqlite_store) as opened:
        yield opened
    warn_of_repeated_reads(opened)


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def each_client(
    request: pytest.FixtureRequest, service: Service, clock: FixedClock, sqlite_store: Store
) -> AsyncIterator[Client]:
    """A client of the service on memory, and in a second run of the test on SQLite."""
    store = sqlite_store if request.param == "sqlite" else None
    async with Client(service, clock=clock, store=store) as opened:
        yield opened
    warn_of_repeated_reads(opened)
