"""The session cookie and pages of other origins: those that are allowed with credentials, and no other."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from logged_in import make_service, signed_up

from mainstay.inbound.http.asgi import AsgiApp
from mainstay.inbound.http.door import Door
from mainstay.inbound.http.options import Cors, HttpOptions, SessionCookie
from mainstay.kernel.dispatch import dispatch
from mainstay.testing import Client

FRIEND = "https://app.shop.example"
PREVIEW = "https://next.preview.example"


def opened_to(client: Client, *, credentials: bool) -> AsgiApp:
    """Return the client's service behind a door that pages of some origins may call."""
    ports = client.bound.ports
    served = [one for one in client.bound.operations if one.operation.method]
    cors = Cors(origins=(FRIEND, "https://*.preview.example"), credentials=credentials)
    options = HttpOptions(cors=cors, session=SessionCookie())
    return AsgiApp(Door(served, dispatch, ids=ports.ids, clock=ports.clock, observer=ports.observer, options=options))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service()) as made:
        await signed_up(made)
        yield made


async def asked(app: AsgiApp, cookie: str, origin: str, **more: str) -> tuple[int, dict[str, str]]:
    import httpx2

    headers = {"cookie": cookie, "origin": origin, **{name.replace("_", "-"): value for name, value in more.items()}}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://shop.example") as http:
        answer = await http.post("/notes", json={"text": "x"}, headers=headers)
    return answer.status_code, dict(answer.headers.items())


async def entered(app: AsgiApp) -> str:
    import httpx2

    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="https://shop.example") as http:
        body = {"email": "ann@shop.example", "means": "cookie"}
        answer = await http.post("/auth/test/log-in", json=body)
    line = answer.headers["set-cookie"]
    assert line.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    return line.partition(";")[0]


@pytest.mark.parametrize("site", ["cross-site", "same-site", ""])
@pytest.mark.parametrize("origin", [FRIEND, PREVIEW])
async def test_an_allowed_origin_calls_with_the_cookie(client: Client, origin: str, site: str) -> None:
    app = opened_to(client, credentials=True)
    more = {"sec_fetch_site": site} if site else {}
    status, headers = await asked(app, await entered(app), origin, **more)
    assert status == 201
    assert headers["access-control-allow-origin"] == origin
    assert headers["access-control-allow-credentials"] == "true"


@pytest.mark.parametrize("origin", [FRIEND, PREVIEW])
async def test_an_origin_that_is_allowed_without_credentials_does_not(client: Client, origin: str) -> None:
    app = opened_to(client, credentials=False)
    status, headers = await asked(app, await entered(app), origin, sec_fetch_site="cross-site")
    assert status == 403
    assert "access-control-allow-credentials" not in headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://a.b.preview.example",
        "http://app.shop.example",
        "null",
        "https://preview.example",
    ],
)
async def test_no_other_origin_does(client: Client, origin: str) -> None:
    app = opened_to(client, credentials=True)
    cookie = await entered(app)
    for more in ({}, {"sec_fetch_site": "cross-site"}, {"sec_fetch_site": "same-site"}):
        status, headers = await asked(app, cookie, origin, **more)
        assert status == 403
        assert "access-control-allow-origin" not in headers


async def test_over_tls_an_origin_in_the_clear_is_not_ours(client: Client) -> None:
    app = opened_to(client, credentials=True)
    cookie = await entered(app)
    assert (await asked(app, cookie, "https://shop.example"))[0] == 201
    assert (await asked(app, cookie, "http://shop.example"))[0] == 403
