"""Issuers that are called: they count as calls to the outside, and are allowed on this machine by being named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from kernel_world import Ear

from mainstay import Identity, Provider, Service
from mainstay.app.checking import inspect
from mainstay.app.outgoing import make_http, uses_http
from mainstay.app.settings import Settings
from mainstay.app.settings.model import Auth, Issuer
from mainstay.ports.http import AddressRefused, HttpFailed
from mainstay.testing import FixedClock

PLAIN = Service("shop", modules=[])


def with_provider(issuer: str) -> Service:
    acme = Provider("acme", issuer=issuer, client_id="x", redirect=["https://shop.example/in"])
    return Service("shop", modules=[], identity=Identity(providers=[acme]))


def trusting(issuer: str, profile: str = "test") -> Settings:
    return Settings(profile=profile, auth=Auth(issuers=[Issuer(url=issuer, audience=["shop"])]))


async def refused(service: Service, settings: Settings, url: str) -> bool:
    """Whether an address is refused, of a place where nobody listens."""
    http = make_http(service, settings, FixedClock(datetime(2026, 6, 1, tzinfo=UTC)), Ear())
    try:
        await http.request("GET", url)
    except AddressRefused:
        return True
    except HttpFailed:
        return False
    finally:
        await http.aclose()
    raise AssertionError("nobody answers there")


def test_a_service_that_asks_issuers_for_their_keys_calls_others() -> None:
    bound = inspect(PLAIN)
    assert not uses_http(bound, Settings(profile="test"))
    assert uses_http(bound, trusting("https://id.example"))
    assert uses_http(inspect(with_provider("https://id.example")), Settings(profile="test"))


@pytest.mark.parametrize(
    "issuer", ["http://127.0.0.1:9", "http://localhost:9", "http://[::1]:9", "http://127.0.0.1:9/x"]
)
async def test_an_issuer_on_this_machine_may_be_called_by_being_named(issuer: str) -> None:
    assert not await refused(PLAIN, trusting(issuer), issuer)
    assert not await refused(with_provider(issuer), Settings(profile="test"), issuer)
    assert await refused(PLAIN, Settings(profile="test"), issuer)


async def test_another_port_of_this_machine_stays_closed() -> None:
    assert await refused(PLAIN, trusting("http://127.0.0.1:9"), "http://127.0.0.1:10/")


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:99999", "http://[::1", "http://10.0.0.1:9", "no url"])
async def test_what_names_no_issuer_on_this_machine_allows_nothing(issuer: str) -> None:
    for url in ("http://127.0.0.1:9/", "http://10.0.0.1:9/"):
        assert await refused(PLAIN, trusting(issuer), url)


async def test_production_calls_no_issuer_on_this_machine() -> None:
    issuer = "https://127.0.0.1:9"
    assert await refused(with_provider(issuer), trusting(issuer, "production"), issuer)
