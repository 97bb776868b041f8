"""One shop for all tests of who may see and do what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres_schemas import drop_schema
from shop_served import Client, Running, run_shop
from two_people import TwoPeople


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
