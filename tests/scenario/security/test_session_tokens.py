"""Sessions by tokens at the door: refreshed, ended, and void with their family where a spent token comes again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
from logged_in import bearer, logged_in, make_service, refreshed, signed_up

from mainstay.identity.sessions.entities import Session
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Client


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service()) as opened:
        await signed_up(opened, role="manager")
        yield opened


async def me(client: Client, token: str, path: str = "/me") -> int:
    return (await client.get(path, headers=bearer(token))).status


async def test_an_access_token_says_who_it_is_of(client: Client) -> None:
    opened = await logged_in(client)
    answer = await client.get("/me", headers=bearer(opened["access_token"]))
    assert answer.json["roles"] == ["manager"]
    assert answer.json["id"] == answer.json["subject"]
    assert opened["token_type"] == "Bearer"
    assert opened["expires_in"] == 600
    assert opened["csrf_token"] is None
    assert await me(client, opened["access_token"], "/managed") == 200


async def test_an_access_token_ends(client: Client) -> None:
    opened = await logged_in(client)
    client.clock.advance(599)
    assert await me(client, opened["access_token"]) == 200
    client.clock.advance(1)
    answer = await client.get("/me", headers=bearer(opened["access_token"]))
    assert (answer.status, answer.json["code"]) == (401, "token_expired")


async def test_an_access_token_ends_though_it_was_asked_about_just_before(client: Client) -> None:
    opened = await logged_in(client)
    client.clock.advance(599.5)
    assert await me(client, opened["access_token"]) == 200
    client.clock.advance(0.6)
    answer = await client.get("/me", headers=bearer(opened["access_token"]))
    assert (answer.status, answer.json["code"]) == (401, "token_expired")


async def test_no_secret_is_stored_or_kept_for_a_repetition(client: Client) -> None:
    body = {"email": "ann@shop.example"}
    first = await client.post("/auth/test/log-in", json=body, key="once")
    again = await client.post("/auth/test/log-in", json=body, key="once")
    assert first.json["refresh_token"]
    assert first.headers["cache-control"] == "no-store"
    assert (again.headers["idempotency-replayed"], again.body) == ("true", b"")
    (session,) = await client.stored(Session)
    held = repr(session) + "".join(str(getattr(session, name)) for name in session.__struct_fields__)
    assert first.json["refresh_token"] not in held
    assert first.json["access_token"] not in held


async def test_a_refresh_token_is_followed_by_the_next(client: Client) -> None:
    opened = await logged_in(client)
    seen = {opened["refresh_token"]}
    token = opened["refresh_token"]
    for _ in range(5):
        client.clock.advance(3600)
        answer = await refreshed(client, token)
        assert answer.status == 200
        assert answer.json["session_id"] == opened["session_id"]
        assert await me(client, answer.json["access_token"]) == 200
        token = answer.json["refresh_token"]
        assert token not in seen
        seen.add(token)


async def test_a_spent_token_that_comes_again_ends_its_family(client: Client) -> None:
    opened = await logged_in(client)
    other = await logged_in(client)
    following = (await refreshed(client, opened["refresh_token"])).json
    client.clock.advance(11)
    stolen = await refreshed(client, opened["refresh_token"])
    assert (stolen.status, stolen.json["code"]) == (401, "refresh_token_refused")
    assert (await refreshed(client, following["refresh_token"])).status == 401
    assert await me(client, following["access_token"]) == 401
    assert await me(client, other["access_token"]) == 200
    (noted,) = await client.stored(SecurityRecord, kind="session.refresh_reused")
    assert (noted.facts["session"], noted.outcome) == (opened["session_id"], "denied")
    ended = await client.stored(Session, end_reason="refresh_token_reused")
    assert [str(one.id) for one in ended] == [opened["session_id"]]


async def test_a_grandparent_ends_the_family_even_within_the_grace(client: Client) -> None:
    first = (await logged_in(client))["refresh_token"]
    second = (await refreshed(client, first)).json["refresh_token"]
    third = (await refreshed(client, second)).json["refresh_token"]
    assert (await refreshed(client, first)).status == 401
    assert (await refreshed(client, third)).status == 401


async def test_a_lost_answer_is_given_again_within_the_grace(client: Client) -> None:
    spent = (await logged_in(client))["refresh_token"]
    first = (await refreshed(client, spent)).json
    client.clock.advance(9)
    again = (await refreshed(client, spent)).json
    assert again["refresh_token"] == first["refresh_token"]
    assert (await refreshed(client, again["refresh_token"])).status == 200
    (session,) = await client.stored(Session)
    assert session.ended_at is None


@pytest.mark.parametrize("changed", ["cut", "grown", "another digit", "another kind", "empty", "no token at all"])
async def test_a_token_that_was_not_given_out_is_refused_and_ends_nothing(client: Client, changed: str) -> None:
    token = (await logged_in(client))["refresh_token"]
    digit = "0" if token[40] != "0" else "1"
    forged = {
        "cut": token[:-1],
        "grown": token + "0",
        "another digit": token[:40] + digit + token[41:],
        "another kind": "mak_" + token[4:],
        "empty": "",
        "no token at all": "let me in",
    }[changed]
    answer = await refreshed(client, forged)
    assert (answer.status, answer.json["code"]) == (401, "refresh_token_refused")
    assert (await refreshed(client, token)).status == 200


async def test_who_knows_the_session_only_cannot_end_it(client: Client) -> None:
    from mainstay.identity.sessions import opaque

    opened = await logged_in(client)
    forged = opaque.write(opaque.REFRESH_MARK, UUID(opened["session_id"]), opaque.new_secret(48))
    assert (await refreshed(client, forged)).status == 401
    assert (await refreshed(client, opened["refresh_token"])).status == 200


async def test_a_refresh_token_ends_when_it_is_not_used(client: Client) -> None:
    token = (await logged_in(client))["refresh_token"]
    client.clock.advance(14 * 86_400 - 1)
    token = (await refreshed(client, token)).json["refresh_token"]
    client.clock.advance(14 * 86_400)
    assert (await refreshed(client, token)).status == 401


async def test_a_log_in_ends_however_much_it_is_used(client: Client) -> None:
    token = (await logged_in(client))["refresh_token"]
    for _ in range(8):
        client.clock.advance(11 * 86_400)
        token = (await refreshed(client, token)).json["refresh_token"]
    client.clock.advance(2 * 86_400)
    assert (await refreshed(client, token)).status == 401


async def test_logging_out_voids_what_the_session_had(client: Client) -> None:
    opened, other = await logged_in(client), await logged_in(client)
    assert (await client.post("/auth/log-out", headers=bearer(opened["access_token"]))).status == 204
    answer = await client.get("/me", headers=bearer(opened["access_token"]))
    assert (answer.status, answer.json["code"]) == (401, "token_revoked")
    assert (await refreshed(client, opened["refresh_token"])).status == 401
    assert await me(client, other["access_token"]) == 200


async def test_logging_out_everywhere_leaves_nothing(client: Client) -> None:
    opened = [await logged_in(client) for _ in range(3)]
    assert (await client.post("/auth/log-out-everywhere", headers=bearer(opened[0]["access_token"]))).status == 204
    for one in opened:
        assert await me(client, one["access_token"]) == 401
        assert (await refreshed(client, one["refresh_token"])).status == 401
    assert await me(client, (await logged_in(client))["access_token"]) == 200


async def test_a_role_that_was_taken_is_gone_from_what_was_issued_before(client: Client) -> None:
    opened = await logged_in(client)
    assert await me(client, opened["access_token"], "/managed") == 200
    await client.post("/auth/test/strip", json={"email": "ann@shop.example", "role": "manager"})
    assert await me(client, opened["access_token"], "/managed") == 401
    after = (await refreshed(client, opened["refresh_token"])).json
    assert await me(client, after["access_token"], "/managed") == 403
    assert await me(client, after["access_token"]) == 200


async def test_a_log_in_with_fewer_roles_never_has_more(client: Client) -> None:
    opened = await logged_in(client, roles=["nothing"])
    assert await me(client, opened["access_token"], "/managed") == 403
    after = (await refreshed(client, opened["refresh_token"])).json
    assert await me(client, after["access_token"], "/managed") == 403


async def test_a_locked_account_has_nothing_left(client: Client) -> None:
    opened = await logged_in(client)
    await client.post("/auth/test/lock", json={"email": "ann@shop.example"})
    assert await me(client, opened["access_token"]) == 401
    assert (await refreshed(client, opened["refresh_token"])).status == 401


async def test_sessions_are_listed_and_ended_by_their_account_only(client: Client) -> None:
    mine, also = await logged_in(client), await logged_in(client)
    await signed_up(client, "bob@shop.example")
    bob = await logged_in(client, "bob@shop.example")
    listed = (await client.get("/auth/sessions", headers=bearer(mine["access_token"]))).json
    assert {one["id"]: one["current"] for one in listed} == {mine["session_id"]: True, also["session_id"]: False}
    path = f"/auth/sessions/{also['session_id']}"
    assert (await client.delete(path, headers=bearer(bob["access_token"]))).status == 404
    assert await me(client, also["access_token"]) == 200
    assert (await client.delete(path, headers=bearer(mine["access_token"]))).status == 204
    assert await me(client, also["access_token"]) == 401
    assert (await client.delete(path, headers=bearer(mine["access_token"]))).status == 404
    own = await client.get("/auth/session", headers=bearer(mine["access_token"]))
    assert (own.json["session"]["id"], own.json["roles"], own.json["csrf_token"]) == (
        mine["session_id"],
        ["manager"],
        None,
    )


async def test_the_least_used_session_ends_for_one_too_many(client: Client) -> None:
    opened = []
    for _ in range(101):
        opened.append(await logged_in(client))
        client.clock.advance(1)
    assert (await refreshed(client, opened[0]["refresh_token"])).status == 401
    assert (await refreshed(client, opened[1]["refresh_token"])).status == 200
    assert len(await client.stored(Session, ended_at=None)) == 100
