"""One shop for all tests of who may see and do what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from accounts_service import NotedSessions, undeclared
from accounts_service import shop as shop_with_accounts
from postgres_schemas import drop_schema
from shop_served import Client, Running, run_shop
from two_people import TwoPeople

from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.testing import Client as AccountsClient
from mainstay.testing import FixedClock


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("shop")
    running = run_shop(folder, store=request.param)
    yield running
    running.stop()
    if request.param == "postgresql":
        drop_schema(folder)
    assert running.troubles.seen == []


@pytest.fixture(scope="module")
def world(shop: Running) -> TwoPeople:
    return TwoPeople(shop)


@pytest.fixture(scope="module")
def client(world: TwoPeople) -> Client:
    return world.client


@pytest.fixture
def sessions() -> NotedSessions:
    return NotedSessions()


@pytest_asyncio.fixture(params=["memory", "sqlite"])
async def accounts(
    request: pytest.FixtureRequest, sessions: NotedSessions, tmp_path: Path
) -> AsyncIterator[AccountsClient]:
    """A service with accounts, of which each has the role "customer"."""
    clock = FixedClock()
    file = tmp_path / "accounts.sqlite3"
    store = SqliteStore(file, create=True, synchronous="off", clock=clock.monotonic)
    service = shop_with_accounts(sessions, default_roles=["customer"])
    async with AccountsClient(service, clock=clock, store=store if request.param == "sqlite" else None) as opened:
        yield opened
        assert undeclared(opened) == set()
