"""A service that takes anything, and the shop, both on SQLite, behind both forms of the door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hostile_service import module
from shop_served import Client, Running, run_shop, settings_for

from mainstay import Service


def ended(running: Running) -> None:
    """Stop a service, which nothing may have troubled."""
    running.stop()
    assert running.troubles.seen == []


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("hostile")
    settings = settings_for(
        f"sqlite:///{root / 'rows.sqlite'}", root, **{"auth.issuer": "hostile", "auth.audience": ["hostile"]}
    )
    running = Running(settings, Service("hostile", modules=[module]))
    yield running
    ended(running)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    running = run_shop(tmp_path_factory.mktemp("shop"))
    yield running
    ended(running)


@pytest.fixture(scope="session", params=["socket", "asgi"])
def client(request: pytest.FixtureRequest, hostile: Running) -> Client:
    return hostile.socket_client() if request.param == "socket" else hostile.asgi_client()


@pytest.fixture(scope="session", params=["socket", "asgi"])
def buyer(request: pytest.FixtureRequest, shop: Running) -> Client:
    """A client of the shop."""
    return shop.socket_client() if request.param == "socket" else shop.asgi_client()


@pytest.fixture(scope="session")
def wired(hostile: Running) -> Client:
    """A client on a socket: for what is beyond the two forms of the door."""
    return hostile.socket_client()
