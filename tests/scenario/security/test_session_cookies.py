"""Sessions of browsers: the cookie, its end, and that no page of another site can use it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from logged_in import bearer, cookie_of, logged_in, make_service, signed_up

from mainstay.adapters.memory.store import MemoryStore
from mainstay.identity.sessions.entities import Session
from mainstay.inbound.http.options import SessionCookie
from mainstay.testing import Client
from mainstay.testing.answer import Answer

SAME = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service(), store=MemoryStore()) as opened:
        await signed_up(opened, role="manager")
        yield opened


async def enter(client: Client, **headers: str) -> Answer:
    """Log in by cookie. The client's own jar is left out: each test says what it sends."""
    body = {"email": "ann@shop.example", "means": "cookie"}
    answer = await client.post("/auth/test/log-in", json=body, headers=headers)
    forget(client)
    assert answer.status == 200
    return answer


def forget(client: Client) -> None:
    assert client._http is not None
    client._http.cookies.clear()


async def write(client: Client, cookie: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/notes", json={"text": "x"}, headers={"cookie": cookie, **named})


async def test_a_browser_gets_a_cookie_and_no_token(client: Client) -> None:
    answer = await enter(client)
    assert (answer.json["access_token"], answer.json["refresh_token"]) == (None, None)
    value, *attributes = answer.headers["set-cookie"].split("; ")
    assert value.startswith("session=mst_")
    assert attributes == ["Max-Age=7776000", "Path=/", "HttpOnly", "SameSite=Lax"]
    got = await client.get("/me", headers={"cookie": f"theme=dark; {value}; a=b"})
    assert (got.status, got.json["roles"]) == (200, ["manager"])
    assert got.headers["cache-control"] == "no-store"
    assert "set-cookie" not in got.headers


def test_the_cookie_of_production_is_for_this_host_and_tls_only() -> None:
    from mainstay.inbound.http.sessions import Sessions
    from mainstay.ports.answering import Keep

    line = Sessions(SessionCookie(same_site="Strict"), None).line(Keep("mst_x", 60)).decode()
    assert line == "Set-Cookie: __Host-session=mst_x; Max-Age=60; Path=/; Secure; HttpOnly; SameSite=Strict\r\n"
    for name, secure in (("session", True), ("__Host-session", False)):
        with pytest.raises(ValueError, match="__Host-"):
            SessionCookie(name=name, secure=secure)


async def test_what_is_repeated_sets_no_cookie(client: Client) -> None:
    body = {"email": "ann@shop.example", "means": "cookie"}
    first = await client.post("/auth/test/log-in", json=body, key="once")
    forget(client)
    again = await client.post("/auth/test/log-in", json=body, key="once")
    assert "set-cookie" in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert "set-cookie" not in again.headers


async def test_logging_out_takes_the_cookie_away(client: Client) -> None:
    cookie = cookie_of(await enter(client))
    answer = await client.post("/auth/log-out", headers={"cookie": cookie, **SAME})
    assert answer.status == 204
    assert answer.headers["set-cookie"].startswith("session=; Max-Age=0; Path=/")
    assert (await client.get("/me", headers={"cookie": cookie})).status == 401
    assert (await client.get("/open", headers={"cookie": cookie})).json["subject"] == "anonymous"


async def test_a_session_that_ended_keeps_nobody_from_logging_in(client: Client) -> None:
    cookie = cookie_of(await enter(client))
    await client.post("/auth/test/lock", json={"email": "ann@shop.example"})
    answer = await client.get("/me", headers={"cookie": cookie})
    assert (answer.status, answer.json["code"]) == (401, "credentials_missing")
    await signed_up(client, "bob@shop.example")
    body = {"email": "bob@shop.example", "means": "cookie"}
    assert (await client.post("/auth/test/log-in", json=body, headers={"cookie": cookie, **SAME})).status == 200


async def test_a_log_in_ends_the_session_that_the_browser_had(client: Client) -> None:
    old = cookie_of(await enter(client))
    new = cookie_of(await enter(client, cookie=old, **SAME))
    assert new != old
    assert (await client.get("/me", headers={"cookie": old})).status == 401
    assert (await client.get("/me", headers={"cookie": new})).status == 200
    assert len(await client.stored(Session, ended_at=None)) == 1


async def test_a_cookie_that_was_planted_becomes_no_session(client: Client) -> None:
    from mainstay.identity.sessions import opaque
    from mainstay.model.values import UNASSIGNED

    planted = "session=" + opaque.write("mst_", UNASSIGNED, b"x" * 32)
    mine = cookie_of(await enter(client, cookie=planted, **SAME))
    assert mine != planted
    assert (await client.get("/me", headers={"cookie": planted})).status == 401


async def test_more_proof_gives_the_session_another_secret(client: Client) -> None:
    old = cookie_of(await enter(client))
    answer = await client.post("/auth/test/prove-more", headers={"cookie": old, **SAME})
    new = cookie_of(answer)
    assert (await client.get("/me", headers={"cookie": old})).status == 401
    got = await client.get("/auth/session", headers={"cookie": new})
    assert got.status == 200
    assert len(await client.stored(Session)) == 1


async def test_a_browser_that_is_left_alone_is_logged_out(client: Client) -> None:
    cookie = cookie_of(await enter(client))
    for _ in range(3):
        client.clock.advance(11 * 3600)
        assert (await client.get("/me", headers={"cookie": cookie})).status == 200
        await client._sessions.uses.write(client._sessions._opened)  # type: ignore[union-attr]
    client.clock.advance(12 * 3600)
    assert (await client.get("/me", headers={"cookie": cookie})).status == 401


async def test_a_role_that_was_taken_is_gone_from_the_session(client: Client) -> None:
    cookie = cookie_of(await enter(client))
    assert (await client.get("/managed", headers={"cookie": cookie})).status == 200
    await client.post("/auth/test/strip", json={"email": "ann@shop.example", "role": "manager"})
    assert (await client.get("/managed", headers={"cookie": cookie})).status == 403
    assert (await client.get("/me", headers={"cookie": cookie})).status == 200


MADE_BY = {
    "a page of ours": ({"sec-fetch-site": "same-origin", "origin": "http://testserver"}, 201),
    "a page of ours, of an old browser": ({"origin": "http://testserver"}, 201),
    "a page of ours behind a proxy that ends TLS": ({"origin": "https://testserver"}, 201),
    "a page of another site": ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
    "a page of another site, of an old browser": ({"origin": "https://evil.example"}, 403),
    "a page of another host of the site": ({"sec-fetch-site": "same-site", "origin": "https://blog.testserver"}, 403),
    "a page of nobody": ({"sec-fetch-site": "cross-site", "origin": "null"}, 403),
    "a page of nobody, of an old browser": ({"origin": "null"}, 403),
    "another port": ({"origin": "http://testserver:8080"}, 403),
    "a host that begins alike": ({"origin": "http://testserver.evil.example"}, 403),
    "the address bar": ({"sec-fetch-site": "none"}, 403),
    "a frame that hides its origin": ({"sec-fetch-site": "cross-site"}, 403),
    "something that says nothing": ({}, 403),
    "two who say that they are one": ({"sec-fetch-site": "same-origin, same-origin"}, 403),
    "something that makes the token up": ({"x-csrf-token": "0" * 64}, 403),
    "an empty token": ({"x-csrf-token": ""}, 403),
}


@pytest.mark.parametrize("who", MADE_BY)
async def test_only_pages_of_ours_change_anything(client: Client, who: str) -> None:
    headers, status = MADE_BY[who]
    answer = await write(client, cookie_of(await enter(client)), **headers)
    assert answer.status == status
    assert status == 201 or answer.json["code"] == "cross_site_refused"


async def test_who_says_nothing_shows_the_token_of_its_session(client: Client) -> None:
    mine, other = await enter(client), await enter(client)
    cookie = cookie_of(mine)
    assert (await write(client, cookie, x_csrf_token=mine.json["csrf_token"])).status == 201
    assert (await write(client, cookie, x_csrf_token=other.json["csrf_token"])).status == 403
    told = await client.get("/auth/session", headers={"cookie": cookie})
    assert told.json["csrf_token"] == mine.json["csrf_token"]
    cross = {"sec-fetch-site": "cross-site", "x-csrf-token": mine.json["csrf_token"]}
    assert (await write(client, cookie, **cross)).status == 403


async def test_a_cookie_says_nothing_beside_an_authorization(client: Client) -> None:
    cookie = cookie_of(await enter(client))
    await signed_up(client, "bob@shop.example")
    bob = await logged_in(client, "bob@shop.example")
    both = {"cookie": cookie, "sec-fetch-site": "cross-site", **bearer(bob["access_token"])}
    assert (await client.post("/notes", json={"text": "x"}, headers=both)).status == 201
    assert (await client.get("/me", headers=both)).json["subject"] != "anonymous"
    assert (await client.get("/managed", headers=both)).status == 403
    for field in ("Basic YTpi", "Bearer nonsense", ""):
        wrong = {"cookie": cookie, "authorization": field, **SAME}
        assert (await client.get("/me", headers=wrong)).status == 401


@pytest.mark.parametrize("put", ["access token", "API key", "refresh token", "twice", "other name", "quoted"])
async def test_nothing_else_counts_in_a_cookie(client: Client, put: str) -> None:
    session = cookie_of(await enter(client)).partition("=")[2]
    opened = await logged_in(client)
    made = await client.post("/auth/api-keys", json={"name": "k"}, headers=bearer(opened["access_token"]))
    cookie: dict[str, Any] = {
        "access token": f"session={opened['access_token']}",
        "API key": f"session={made.json['key']}",
        "refresh token": f"session={opened['refresh_token']}",
        "twice": f"session={session}; session={session}",
        "other name": f"__Host-session={session}",
        "quoted": f'session="{session}"',
    }
    answer = await client.get("/me", headers={"cookie": cookie[put]})
    assert (answer.status, answer.json["code"]) == (401, "credentials_missing")


async def test_a_service_without_accounts_takes_no_cookie() -> None:
    from mainstay import Module, Service, authenticated

    plain = Module("plain")

    @plain.query("GET /mine", allow=authenticated)
    async def mine() -> str:
        return "yours"

    async with Client(Service("plain", modules=[plain])) as client:
        answer = await client.get("/mine", headers={"cookie": "session=mst_x"})
        assert (answer.status, answer.json["code"]) == (401, "credentials_missing")
