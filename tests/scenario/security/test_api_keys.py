"""API keys at the door: shown once, no more than what their account may, and gone when they are revoked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from logged_in import bearer, logged_in, make_service, signed_up

from mainstay.identity.sessions import opaque
from mainstay.identity.sessions.entities import ApiKey
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service()) as opened:
        await signed_up(opened, role="manager")
        yield opened


async def made(client: Client, **wanted: Any) -> dict[str, Any]:
    opened = await logged_in(client)
    answer = await client.post(
        "/auth/api-keys", json={"name": "robot", **wanted}, headers=bearer(opened["access_token"])
    )
    assert answer.status == 201, answer.body
    assert answer.headers["cache-control"] == "no-store"
    key: dict[str, Any] = answer.json
    return key


async def status(client: Client, key: str, path: str = "/me") -> int:
    return (await client.get(path, headers=bearer(key))).status


async def test_a_key_calls_in_its_accounts_name_with_what_it_was_given(client: Client) -> None:
    plain, manager = await made(client), await made(client, roles=["manager"])
    reader = await made(client, scopes=["notes:read"])
    assert [await status(client, k["key"]) for k in (plain, manager, reader)] == [200, 200, 200]
    assert [await status(client, k["key"], "/managed") for k in (plain, manager, reader)] == [403, 200, 403]
    assert [await status(client, k["key"], "/scoped") for k in (plain, manager, reader)] == [403, 403, 200]


async def test_nobody_gives_a_key_more_than_there_is_to_give(client: Client) -> None:
    opened = await logged_in(client)
    for wanted, code in (
        ({"roles": ["admin"]}, "role_not_held"),
        ({"scopes": ["notes:write"]}, "scope_not_given"),
    ):
        body = {"name": "robot", **wanted}
        answer = await client.post("/auth/api-keys", json=body, headers=bearer(opened["access_token"]))
        assert (answer.status, answer.json["code"]) == (403, code)
    assert await client.stored(ApiKey) == []


async def test_a_key_is_kept_as_a_digest_and_listed_by_its_start(client: Client) -> None:
    key = await made(client, expires_in_days=None)
    (stored,) = await client.stored(ApiKey)
    assert key["key"].startswith(stored.start)
    assert all(key["key"] not in str(getattr(stored, name)) for name in stored.__struct_fields__)
    opened = await logged_in(client)
    (listed,) = (await client.get("/auth/api-keys", headers=bearer(opened["access_token"]))).json
    assert (listed["name"], listed["expires_at"], listed["used_at"]) == ("robot", None, None)
    assert "secret" not in listed
    assert "key" not in listed


async def test_a_revoked_key_is_void_at_once(client: Client) -> None:
    key = await made(client)
    assert await status(client, key["key"]) == 200
    opened = await logged_in(client)
    path, headers = f"/auth/api-keys/{key['id']}", bearer(opened["access_token"])
    assert (await client.delete(path, headers=headers)).status == 204
    answer = await client.get("/me", headers=bearer(key["key"]))
    assert (answer.status, answer.json["code"]) == (401, "api_key_refused")
    assert (await client.get("/auth/api-keys", headers=headers)).json == []
    assert (await client.delete(path, headers=headers)).status == 404


async def test_a_key_is_its_accounts_alone(client: Client) -> None:
    key = await made(client)
    await signed_up(client, "bob@shop.example")
    bob = bearer((await logged_in(client, "bob@shop.example"))["access_token"])
    assert (await client.delete(f"/auth/api-keys/{key['id']}", headers=bob)).status == 404
    assert (await client.get("/auth/api-keys", headers=bob)).json == []
    assert await status(client, key["key"]) == 200


async def test_a_key_ends_with_its_time(client: Client) -> None:
    key = await made(client, expires_in_days=1)
    client.clock.advance(86_400 - 1)
    assert await status(client, key["key"]) == 200
    client.clock.advance(1)
    assert await status(client, key["key"]) == 401


async def test_a_key_has_no_role_that_its_account_has_lost(client: Client) -> None:
    key = await made(client, roles=["manager"])
    assert await status(client, key["key"], "/managed") == 200
    await client.post("/auth/test/strip", json={"email": "ann@shop.example", "role": "manager"})
    assert await status(client, key["key"], "/managed") == 403


async def test_keys_of_a_locked_account_are_void(client: Client) -> None:
    key = await made(client)
    assert await status(client, key["key"]) == 200
    await client.post("/auth/test/lock", json={"email": "ann@shop.example"})
    assert await status(client, key["key"]) == 401


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/auth/api-keys"),
        ("GET", "/auth/api-keys"),
        ("GET", "/auth/sessions"),
        ("GET", "/auth/session"),
        ("POST", "/auth/log-out"),
        ("POST", "/auth/log-out-everywhere"),
    ],
)
async def test_a_key_makes_no_other_and_ends_no_session(client: Client, method: str, path: str) -> None:
    key = await made(client)
    body = {"name": "another"} if path == "/auth/api-keys" and method == "POST" else None
    more = {} if body is None else {"json": body}
    answer = await client.request(method, path, headers=bearer(key["key"]), **more)
    assert (answer.status, answer.json["code"]) == (403, "forbidden")


async def test_a_key_that_was_mistyped_is_refused_without_a_look(client: Client) -> None:
    key = (await made(client))["key"]
    for wrong in (
        key[:-1],
        key + "x",
        "mak_" + key[4:].swapcase(),
        "mak_",
        "mak_" + "0" * 71,
        key[:30] + "-" + key[31:],
    ):
        answer = await client.get("/me", headers=bearer(wrong))
        assert (answer.status, answer.json["code"]) == (401, "api_key_refused")
    (stored,) = await client.stored(ApiKey)
    guessed = opaque.write(opaque.API_KEY_MARK, stored.id, opaque.new_secret())
    assert await status(client, guessed) == 401


async def test_the_use_of_a_key_is_noted_to_the_minute(client: Client) -> None:
    key = (await made(client))["key"]
    client.clock.advance(3600)
    assert await status(client, key) == 200
    parts = client._sessions
    assert parts is not None
    await parts.uses.write(parts._opened)
    (stored,) = await client.stored(ApiKey)
    assert stored.used_at == client.clock.now()
    assert await status(client, key) == 200


async def test_each_hour_in_which_a_key_is_used_stands_in_the_record(client: Client) -> None:
    key = await made(client)
    parts = client._sessions
    assert parts is not None
    for minutes, uses in ((5, 1), (5, 1), (60, 2)):
        client.clock.advance(minutes * 60)
        assert await status(client, key["key"]) == 200
        await parts.uses.write(parts._opened)
        noted = await client.stored(SecurityRecord, kind="api_key.used")
        assert len(noted) == uses
    (stored,) = await client.stored(ApiKey)
    assert {(one.actor, one.facts["key"]) for one in noted} == {(stored.account_id, key["id"])}


async def test_an_account_has_a_bounded_number_of_keys(client: Client) -> None:
    opened = await logged_in(client)
    (key,) = [await made(client)]
    (stored,) = await client.stored(ApiKey)
    more = [ApiKey(account_id=stored.account_id, name="k", start="", secret="", scopes=[], roles=[]) for _ in range(99)]
    await client.given(*more)
    answer = await client.post("/auth/api-keys", json={"name": "k"}, headers=bearer(opened["access_token"]))
    assert (answer.status, answer.json["code"]) == (409, "too_many_api_keys")
    assert await status(client, key["key"]) == 200
