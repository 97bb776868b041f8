"""The token endpoint and what goes with it: codes and refresh tokens are good once, for who they were given to."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from oauth_world import ADMIN, AUDIENCE, BACK, GRANT_SECONDS, ISSUER, VERIFIER, OAuthWorld, Registered, refused

from mainstay.identity.oauth.entities import AuthorizationCode, RefreshToken, RegisteredClient


async def introspect(world: OAuthWorld, client: Registered, token: str) -> dict[str, Any]:
    answer = await world.form("introspect", {"token": token}, client)
    assert answer.status == 200, answer.json
    return dict(answer.json)


async def test_a_code_gives_tokens_and_says_who_has_logged_in(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    answer = await world.redeem(client, await world.code(client, ann))
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    given = answer.json
    assert set(given) == {"access_token", "token_type", "expires_in", "scope", "refresh_token", "id_token"}
    assert (given["token_type"], given["expires_in"]) == ("Bearer", 600)
    who = await world.whom(given["access_token"])
    assert who is not None
    assert (who.id, who.claims["client_id"], who.claims["aud"]) == (ann.id, client.id, AUDIENCE)
    assert who.scopes == {"openid", "offline_access", "orders:read"}
    assert who.roles == frozenset()
    told = base64.urlsafe_b64decode(given["id_token"].split(".")[1] + "==")
    for part in (f'"iss":"{ISSUER}"', f'"aud":"{client.id}"', f'"sub":"{ann.id}"', '"nonce":"n-1"'):
        assert part.encode() in told


async def test_an_id_token_is_no_access_token(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    tokens = await world.tokens(client, ann)
    assert await world.whom(tokens["id_token"]) is None
    assert (await world.get("/parcels-for-clients", tokens["id_token"])).status == 401


async def test_only_what_was_asked_for_is_given(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    assert set(await world.tokens(client, ann, scope="orders:read")) == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
    }
    web = await world.register(grants=["authorization_code"])
    assert "refresh_token" not in await world.tokens(web, ann)
    every = await world.tokens(client, ann, scope=...)
    assert every["scope"] == "openid email profile offline_access orders:read"


async def test_a_code_is_good_once_and_used_again_ends_what_it_gave(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    code = await world.code(client, ann)
    first = await world.redeem(client, code)
    assert (await introspect(world, client, first.json["access_token"]))["active"] is True
    assert refused(await world.redeem(client, code)) == "invalid_grant"
    assert refused(await world.refresh(client, first.json["refresh_token"])) == "invalid_grant"
    assert await introspect(world, client, first.json["access_token"]) == {"active": False}
    assert (await world.get("/parcels-for-clients", first.json["access_token"])).status == 401
    assert (await world.kinds())[-2:] == ["oauth.code_reuse", "oauth.grant_ended"]


async def test_a_code_is_good_for_a_minute(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    code = await world.code(client, ann)
    world.client.clock.advance(60)
    assert refused(await world.redeem(client, code)) == "invalid_grant"
    code = await world.code(client, ann)
    world.client.clock.advance(59)
    assert (await world.redeem(client, code)).status == 200


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"code": ...}, "invalid_request"),
        ({"code": "made-up"}, "invalid_grant"),
        ({"code_verifier": ...}, "invalid_request"),
        ({"code_verifier": VERIFIER[:-1] + "x"}, "invalid_grant"),
        ({"code_verifier": VERIFIER + "\n"}, "invalid_grant"),
        ({"code_verifier": "short"}, "invalid_grant"),
        ({"redirect_uri": ...}, "invalid_request"),
        ({"redirect_uri": BACK + "/"}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example"}, "invalid_grant"),
        ({"grant_type": ...}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unauthorized_client"),
        ({"resource": "https://other.example"}, "invalid_target"),
    ],
)
async def test_a_code_without_what_it_is_bound_to_is_worth_nothing(
    world: OAuthWorld, changes: dict[str, Any], error: str
) -> None:
    client, ann = await world.register(), await world.account()
    code = await world.code(client, ann)
    assert refused(await world.redeem(client, code, **changes)) == error
    assert (await world.redeem(client, code)).status == 200


async def test_a_code_of_one_client_is_worth_nothing_to_another_and_ends_nothing(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    thief = await world.register(name="Thief")
    code = await world.code(client, ann)
    assert refused(await world.redeem(thief, code)) == "invalid_grant"
    assert (await world.redeem(client, code)).status == 200
    assert refused(await world.redeem(thief, code)) == "invalid_grant"
    assert "oauth.grant_ended" not in await world.kinds()


async def test_the_challenge_of_one_request_does_not_open_the_code_of_another(world: OAuthWorld) -> None:
    client, ann, eve = await world.register(), await world.account(), await world.account("eve")
    injected = await world.code(client, eve, code_challenge="e" * 43)
    await world.code(client, ann)
    assert refused(await world.redeem(client, injected)) == "invalid_grant"


async def test_a_locked_account_gives_nothing(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    tokens, code = await world.tokens(client, ann), await world.code(client, ann)
    answer = await world.client.post(f"/auth/accounts/{ann.id}/lock", who=ADMIN, json={"reason": "lost"})
    assert answer.status == 204
    assert refused(await world.redeem(client, code)) == "invalid_grant"
    assert refused(await world.refresh(client, tokens["refresh_token"])) == "invalid_grant"
    for name in ("access_token", "refresh_token"):
        assert await introspect(world, client, tokens[name]) == {"active": False}


async def test_a_refresh_token_is_good_once_and_leads_to_the_next(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    tokens = await world.tokens(client, ann)
    for _ in range(3):
        answer = await world.refresh(client, tokens["refresh_token"])
        assert answer.status == 200
        assert "id_token" not in answer.json
        assert answer.json["refresh_token"] != tokens["refresh_token"]
        tokens = answer.json
    who = await world.whom(tokens["access_token"])
    assert who is not None
    assert who.id == ann.id


async def test_a_refresh_token_in_two_hands_ends_all(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    stolen = (await world.tokens(client, ann))["refresh_token"]
    latest = (await world.refresh(client, stolen)).json
    assert refused(await world.refresh(client, stolen)) == "invalid_grant"
    assert refused(await world.refresh(client, latest["refresh_token"])) == "invalid_grant"
    assert await introspect(world, client, latest["access_token"]) == {"active": False}
    assert (await world.get("/parcels-for-clients", latest["access_token"])).status == 401
    ended = [(one.kind, one.outcome, one.facts.get("reason")) for one in await world.noted()][-2:]
    assert ended == [("oauth.refresh_reuse", "denied", None), ("oauth.grant_ended", "success", "refresh_reuse")]


async def test_a_refresh_token_ends_where_it_is_not_used(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    token = (await world.tokens(client, ann))["refresh_token"]
    world.client.clock.advance(3600)
    assert refused(await world.refresh(client, token)) == "invalid_grant"


async def test_what_an_authorization_gives_ends_however_much_it_is_used(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    token = (await world.tokens(client, ann))["refresh_token"]
    for _ in range(GRANT_SECONDS // 3000 - 1):
        world.client.clock.advance(3000)
        token = (await world.refresh(client, token)).json["refresh_token"]
    world.client.clock.advance(3000)
    assert refused(await world.refresh(client, token)) == "invalid_grant"


async def test_spent_refresh_tokens_are_let_go_of_in_time(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    token = (await world.tokens(client, ann))["refresh_token"]
    for _ in range(60):
        world.client.clock.advance(3000)
        token = (await world.refresh(client, token)).json["refresh_token"]
    assert len(await world.client.stored(RefreshToken)) < 40


async def test_a_refresh_token_is_its_clients_alone(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    thief = await world.register(name="Thief")
    token = (await world.tokens(client, ann))["refresh_token"]
    assert refused(await world.refresh(thief, token)) == "invalid_grant"
    assert (await world.refresh(client, token)).status == 200
    assert refused(await world.refresh(client, "made-up")) == "invalid_grant"


async def test_a_refresh_may_ask_for_less_and_never_for_more(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    token = (await world.tokens(client, ann))["refresh_token"]
    assert refused(await world.refresh(client, token, scope="orders:read email")) == "invalid_scope"
    less = await world.refresh(client, token, scope="orders:read")
    assert less.json["scope"] == "orders:read"
    again = await world.refresh(client, less.json["refresh_token"])
    assert again.json["scope"] == "openid offline_access orders:read"


async def test_a_machine_acts_in_its_own_name(world: OAuthWorld) -> None:
    machine = await world.register(
        grants=["client_credentials"], redirect_uris=[], scopes=["orders:read", "orders:write"], name="Machine"
    )
    answer = await world.form("token", {"grant_type": "client_credentials", "scope": "orders:read"}, machine)
    assert set(answer.json) == {"access_token", "token_type", "expires_in", "scope"}
    who = await world.whom(answer.json["access_token"])
    assert who is not None
    assert (str(who.id), who.scopes, who.roles) == (machine.id, {"orders:read"}, frozenset())
    every = await world.form("token", {"grant_type": "client_credentials"}, machine)
    assert every.json["scope"] == "orders:read orders:write"
    wrong = await world.form("token", {"grant_type": "client_credentials", "scope": "openid"}, machine)
    assert refused(wrong) == "invalid_scope"


async def test_people_are_none_of_a_machines(world: OAuthWorld) -> None:
    both = await world.register(grants=["authorization_code", "client_credentials"], scopes=["openid", "email"])
    assert refused(await world.form("token", {"grant_type": "client_credentials"}, both)) == "invalid_scope"


async def test_a_secret_is_proven_by_basic_or_in_the_form(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    fields = {"grant_type": "authorization_code", "redirect_uri": BACK, "code_verifier": VERIFIER}
    in_form = {**fields, "client_id": client.id, "client_secret": str(client.secret)}
    answer = await world.form("token", {**in_form, "code": await world.code(client, ann)})
    assert answer.status == 200
    assert (await world.redeem(client, await world.code(client, ann), client_id=...)).status == 200
    both = await world.form("token", {**in_form, "code": "x"}, client)
    assert refused(both) == "invalid_request"
    other = await world.form("token", {**fields, "code": "x", "client_id": "another"}, client)
    assert refused(other) == "invalid_request"


@pytest.mark.parametrize("place", ["token", "revoke", "introspect"])
async def test_who_does_not_prove_itself_is_nobody(world: OAuthWorld, place: str) -> None:
    client = await world.register()
    fields = {"grant_type": "authorization_code", "code": "x", "token": "x"}
    for wrong in (Registered(client.id, "wrong"), Registered(client.id, ""), Registered("nobody", client.secret)):
        answer = await world.form(place, fields, wrong)
        assert refused(answer, 401) == "invalid_client"
        assert answer.headers["www-authenticate"].startswith("Basic ")
        assert str(client.secret) not in answer.body.decode()
    for given in ({}, {"client_id": client.id}, {"client_id": client.id, "client_secret": "wrong"}):
        assert refused(await world.form(place, {**fields, **given}), 401) == "invalid_client"


@pytest.mark.parametrize(
    "field",
    ["Bearer abc", "Basic", "Basic !", "Basic YWJj", "Basic w7w6w7w=", "Digest a=b", "basic  ", "Basic OnNlY3JldA"],
)
async def test_another_authorization_is_none(world: OAuthWorld, field: str) -> None:
    headers = {"authorization": field, "content-type": "application/x-www-form-urlencoded"}
    answer = await world.client.post("/auth/oauth/token", body=b"grant_type=client_credentials", headers=headers)
    assert refused(answer, 401) == "invalid_client"


async def test_a_public_client_has_no_secret_and_no_name_of_its_own(world: OAuthWorld) -> None:
    app, ann = await world.register(confidential=False), await world.account()
    assert app.secret is None
    tokens = await world.tokens(app, ann)
    assert (await world.refresh(app, tokens["refresh_token"])).status == 200
    code = await world.code(app, ann)
    assert refused(await world.redeem(app, code, client_secret="guess"), 401) == "invalid_client"
    machine = {"grant_type": "client_credentials", "client_id": app.id}
    assert refused(await world.form("token", machine)) == "unauthorized_client"
    told = await world.form("introspect", {"token": tokens["access_token"], "client_id": app.id})
    assert refused(told, 401) == "invalid_client"


HOSTILE: list[bytes] = [
    b"grant_type=authorization_code&grant_type=client_credentials",
    b"grant_type=%zz",
    b"grant_type=%ff",
    b"grant_type=\xff",
    b"grant_type=a%00b",
    b"a=b&" * 51 + b"grant_type=x",
    b"grant_type=" + b"a" * 20_000,
    b"{}",
    b"",
    b"&&&",
    b"=x",
]


@pytest.mark.parametrize("body", HOSTILE)
async def test_a_hostile_form_is_an_invalid_request(world: OAuthWorld, body: bytes) -> None:
    client = await world.register()
    answer = await world.form("token", body, client)
    assert refused(answer) == "invalid_request"


@pytest.mark.parametrize("media", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""])
async def test_a_body_that_is_no_form_is_refused(world: OAuthWorld, media: str) -> None:
    answer = await world.client.post("/auth/oauth/token", body=b"grant_type=x", headers={"content-type": media})
    assert (answer.status, answer.code) == (415, "unsupported_media")


async def test_a_form_may_say_its_charset(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    code = await world.code(client, ann)
    headers = {
        "content-type": "application/x-www-form-urlencoded; charset=UTF-8",
        "authorization": client.basic,
    }
    body = f"grant_type=authorization_code&code={code}&redirect_uri={BACK}&code_verifier={VERIFIER}"
    assert (await world.client.post("/auth/oauth/token", body=body.encode(), headers=headers)).status == 200


async def test_a_token_is_given_back(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    for name in ("refresh_token", "access_token"):
        tokens = await world.tokens(client, ann)
        assert (await world.form("revoke", {"token": tokens[name]}, client)).status == 200
        assert refused(await world.refresh(client, tokens["refresh_token"])) == "invalid_grant"
        assert await introspect(world, client, tokens["access_token"]) == {"active": False}
        assert (await world.form("revoke", {"token": tokens[name]}, client)).status == 200
    assert (await world.form("revoke", {"token": "made-up"}, client)).status == 200
    assert refused(await world.form("revoke", {}, client)) == "invalid_request"


async def test_nobody_gives_back_what_is_anothers(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    thief = await world.register(name="Thief")
    tokens = await world.tokens(client, ann)
    for name in ("refresh_token", "access_token"):
        assert refused(await world.form("revoke", {"token": tokens[name]}, thief)) == "unauthorized_client"
    assert (await world.refresh(client, tokens["refresh_token"])).status == 200


async def test_the_token_of_a_machine_ends_by_itself(world: OAuthWorld) -> None:
    machine = await world.register(grants=["client_credentials"], redirect_uris=[], scopes=["orders:read"])
    token = (await world.form("token", {"grant_type": "client_credentials"}, machine)).json["access_token"]
    assert refused(await world.form("revoke", {"token": token}, machine)) == "unsupported_token_type"


async def test_what_a_token_is_is_told_to_who_may_know(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    other = await world.register(name="Other")
    server = await world.register(name="Server", grants=["client_credentials"], redirect_uris=[], introspects=True)
    tokens = await world.tokens(client, ann)
    for asker in (client, server):
        told = await introspect(world, asker, tokens["access_token"])
        assert (told["active"], told["sub"], told["client_id"]) == (True, str(ann.id), client.id)
        assert (told["iss"], told["aud"]) == (ISSUER, AUDIENCE)
        assert set(told["scope"].split()) == {"openid", "offline_access", "orders:read"}
        assert told["exp"] - told["iat"] == 600
        assert (await introspect(world, asker, tokens["refresh_token"]))["sub"] == str(ann.id)
    for token in (*(tokens[name] for name in ("access_token", "refresh_token")), "made-up", tokens["id_token"]):
        assert await introspect(world, other, token) == {"active": False}
    forged = tokens["access_token"][:-4] + "AAAA"
    assert await introspect(world, server, forged) == {"active": False}
    world.client.clock.advance(3600)
    for name in ("access_token", "refresh_token"):
        assert await introspect(world, server, tokens[name]) == {"active": False}


async def test_a_spent_refresh_token_is_not_active(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    token = (await world.tokens(client, ann))["refresh_token"]
    await world.refresh(client, token)
    assert await introspect(world, client, token) == {"active": False}


async def test_no_secret_is_kept(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    code = await world.code(client, ann)
    refresh = (await world.redeem(client, code)).json["refresh_token"]
    rows = [
        row
        for entity in (RegisteredClient, AuthorizationCode, RefreshToken)
        for row in await world.client.stored(entity)
    ]
    kept = [str(getattr(row, name)) for row in rows for name in row.__struct_fields__]
    for secret in (client.secret, code, refresh):
        assert not any(str(secret) in text for text in kept)
    assert not any(
        digest in repr(row) for row in rows for digest in [getattr(row, "digest", None) or "-"] if digest != "-"
    )
