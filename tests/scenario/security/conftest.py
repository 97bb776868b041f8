"""One shop for all tests of who may see and do what."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from shop_served import Client, Running, run_shop
from two_people import TwoPeople


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = run_shop(tmp_path_factory.mktemp("shop"))
    yield running
    running.stop()
    assert running.troubles.seen == []


@pytest.fixture(scope="module")
def world(shop: Running) -> TwoPeople:
    return TwoPeople(shop)


@pytest.fixture(scope="module")
def client(world: TwoPeople) -> Client:
    return world.client
