"""The shop, fresh for each file of tests, and a client for each form of the door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from postgres_schemas import drop_schema
from shop_served import Client, Running, run_shop


@pytest.fixture(scope="module", params=["sqlite", "memory", "postgresql"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("shop")
    running = run_shop(folder, store=request.param)
    yield running
    running.stop()
    if request.param == "postgresql":
        drop_schema(folder)
    assert running.troubles.seen == []


@pytest.fixture(params=["socket", "asgi", "uvicorn", "granian"])
def client(request: pytest.FixtureRequest, shop: Running) -> Client:
    if request.param == "asgi":
        return shop.asgi_client()
    return shop.socket_client() if request.param == "socket" else shop.other_client(request.param)
