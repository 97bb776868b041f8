"""Asking accounts for their consent: who asks, where the answer goes, and what nobody is led to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import pytest
from oauth_world import ADMIN, AUDIENCE, BACK, ISSUER, OAuthWorld, answered, bearing, of_account, refused

from mainstay import Principal
from mainstay.identity.oauth.entities import AuthorizationCode, ClientGrant
from mainstay.testing import as_principal


async def describe(world: OAuthWorld, query: str, who: Principal | None = None) -> Any:
    return await world.client.get("/auth/oauth/authorizations", query={"request": query}, who=who)


async def test_a_page_is_told_who_asks_for_what(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    answer = await describe(world, world.query(client), of_account(ann))
    assert answer.status == 200
    assert (answer.json["client"], answer.json["client_id"]) == ("Parcel tracker", client.id)
    assert answer.json["scopes"][-1] == {"name": "orders:read", "text": "See your orders"}
    assert (answer.json["consented"], answer.json["location"]) == (False, None)
    await world.code(client, ann)
    assert (await describe(world, world.query(client), of_account(ann))).json["consented"] is True
    assert (await describe(world, world.query(client, prompt="consent"), of_account(ann))).json["consented"] is False
    wider = world.query(client, scope="openid email")
    assert (await describe(world, wider, of_account(ann))).json["consented"] is False


async def test_the_answer_goes_to_the_client_with_its_state_and_our_name(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    found = answered(await world.decide(world.query(client, state="a b&c=ü"), ann))
    assert set(found) == {"code", "state", "iss"}
    assert (found["state"], found["iss"]) == ("a b&c=ü", ISSUER)
    assert set(answered(await world.decide(world.query(client, state=...), ann))) == {"code", "iss"}


async def test_a_question_mark_in_front_and_parameters_of_others_do_not_matter(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    query = "?" + world.query(client) + "&utm_source=letter&display=page&empty="
    assert "code" in answered(await world.decide(query, ann))


async def test_the_query_of_a_redirect_stays_as_it_is(world: OAuthWorld) -> None:
    back = BACK + "?a=%41&b"
    client, ann = await world.register(redirect_uris=[back]), await world.account()
    answer = await world.decide(world.query(client, redirect_uri=back), ann)
    assert answer.json["location"].startswith(back + "&code=")


async def test_a_no_is_told_to_the_client(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    found = answered(await world.decide(world.query(client), ann, approve=False))
    assert (found["error"], found["state"], found["iss"]) == ("access_denied", "s-1", ISSUER)
    assert await world.client.stored(AuthorizationCode) == []


TRICKS = [
    "//evil.example/back",
    "https://evil.example/back",
    "https://client.example.evil.example/back",
    "https://client.example@evil.example/back",
    "https://client.example:443/back",
    "https://CLIENT.example/back",
    "https://client.example/back/",
    "https://client.example/back/../evil",
    "https://client.example/back?next=https://evil.example",
    "https://client.example/back#fragment",
    "https://client.example/Back",
    "https://client.example/bac%6B",
    "https://client.example/back%00",
    "https://client.example/back\\@evil.example",
    "https://client.example",
    "https://sub.client.example/back",
    "http://client.example/back",
    "javascript:alert(1)",
    "data:text/html,x",
    " https://client.example/back",
    "https://client.example/back ",
    "https://client.example/back\r\nX: y",
    "/back",
    "",
]


@pytest.mark.parametrize("redirect", TRICKS)
async def test_nobody_is_led_anywhere_but_to_what_was_listed(world: OAuthWorld, redirect: str) -> None:
    client, ann = await world.register(), await world.account()
    query = world.query(client, redirect_uri=redirect)
    assert refused(await describe(world, query, of_account(ann))) == "invalid_request"
    assert refused(await world.decide(query, ann)) == "invalid_request"
    assert refused(await world.decide(query, ann, approve=False)) == "invalid_request"
    assert await world.client.stored(AuthorizationCode) == []


async def test_a_redirect_must_be_said(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    assert refused(await world.decide(world.query(client, redirect_uri=...), ann)) == "invalid_request"


async def test_another_clients_redirect_is_none_of_ours(world: OAuthWorld) -> None:
    other = "https://other.example/back"
    await world.register(name="Other", redirect_uris=[other])
    client, ann = await world.register(), await world.account()
    assert refused(await world.decide(world.query(client, redirect_uri=other), ann)) == "invalid_request"


async def test_an_app_on_a_persons_machine_has_any_port(world: OAuthWorld) -> None:
    client = await world.register(redirect_uris=["http://127.0.0.1/back", "http://[::1]/back"], confidential=False)
    ann = await world.account()
    for back in ("http://127.0.0.1:51004/back", "http://[::1]:61023/back", "http://127.0.0.1/back"):
        found = answered(await world.decide(world.query(client, redirect_uri=back), ann), back)
        assert "code" in found
    for trick in (
        "http://127.0.0.1:51004/other",
        "http://127.0.0.2:51004/back",
        "http://localhost:51004/back",
        "http://127.0.0.1:51004@evil.example/back",
        "https://127.0.0.1:51004/back",
        "http://127.0.0.1:x/back",
    ):
        assert refused(await world.decide(world.query(client, redirect_uri=trick), ann)) == "invalid_request"


@pytest.mark.parametrize("id_", ["", "unknown", "00000000-0000-7000-8000-000000000000", "'; --", "{}"])
async def test_an_unknown_client_leads_nowhere(world: OAuthWorld, id_: str) -> None:
    client, ann = await world.register(), await world.account()
    assert refused(await world.decide(world.query(client, client_id=id_), ann), 401) == "invalid_client"
    spelled = client.id.upper() if client.id != client.id.upper() else client.id.replace("-", "")
    assert refused(await world.decide(world.query(client, client_id=spelled), ann), 401) == "invalid_client"


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"response_type": ...}, "invalid_request"),
    ({"response_type": "token"}, "unsupported_response_type"),
    ({"response_type": "code id_token"}, "unsupported_response_type"),
    ({"response_mode": "fragment"}, "invalid_request"),
    ({"code_challenge": ...}, "invalid_request"),
    ({"code_challenge_method": ...}, "invalid_request"),
    ({"code_challenge_method": "plain"}, "invalid_request"),
    ({"code_challenge_method": "s256"}, "invalid_request"),
    ({"code_challenge": "short"}, "invalid_request"),
    ({"code_challenge": "a" * 42 + "\n"}, "invalid_request"),
    ({"code_challenge": "a" * 42 + "="}, "invalid_request"),
    ({"scope": "openid admin"}, "invalid_scope"),
    ({"scope": "orders:write"}, "invalid_scope"),
    ({"scope": " "}, "invalid_scope"),
    ({"state": "s" * 1001}, "invalid_request"),
    ({"nonce": "n" * 1001}, "invalid_request"),
    ({"request": "e30.e30."}, "request_not_supported"),
    ({"request_uri": "https://evil.example/request"}, "request_uri_not_supported"),
    ({"resource": "https://other.example"}, "invalid_target"),
    ({"prompt": "none login"}, "invalid_request"),
    ({"max_age": "soon"}, "invalid_request"),
    ({"max_age": "-1"}, "invalid_request"),
    ({"max_age": "٣"}, "invalid_request"),
]


@pytest.mark.parametrize(("changes", "error"), REFUSALS)
async def test_what_is_wrong_beside_that_is_told_to_the_client(
    world: OAuthWorld, changes: dict[str, Any], error: str
) -> None:
    client, ann = await world.register(), await world.account()
    query = world.query(client, **changes)
    for answer in (await world.decide(query, ann), await describe(world, query, of_account(ann))):
        found = answered(answer)
        assert (found["error"], found["iss"]) == (error, ISSUER)
        assert "code" not in found
    assert await world.client.stored(AuthorizationCode) == []


async def test_a_parameter_that_is_there_twice_leads_nowhere(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    for name, value in (("redirect_uri", "https://evil.example"), ("client_id", client.id), ("scope", "openid")):
        query = world.query(client) + "&" + urlencode({name: value})
        assert refused(await world.decide(query, ann)) == "invalid_request"


@pytest.mark.parametrize(
    "query", ["%", "client_id=%zz", "client_id=%ff", "client_id=ü", "a&" * 60, "state=%00", "x" * 20_000]
)
async def test_what_is_no_query_leads_nowhere(world: OAuthWorld, query: str) -> None:
    answer = await world.decide(query, as_principal("ann"))
    if len(query) > 8000:
        assert answer.status == 422
    else:
        assert refused(answer, answer.status) in ("invalid_request", "invalid_client")


async def test_a_client_without_the_grant_asks_for_nothing(world: OAuthWorld) -> None:
    client = await world.register(grants=["client_credentials"], redirect_uris=[], scopes=["orders:read"])
    assert refused(await world.decide(world.query(client), await world.account())) == "invalid_request"


async def test_a_client_that_was_revoked_asks_for_nothing(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    assert (await world.client.delete(f"/auth/oauth/clients/{client.id}", who=ADMIN)).status == 204
    assert refused(await world.decide(world.query(client), ann), 401) == "invalid_client"


async def test_resource_may_be_this_service(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    for resource in (AUDIENCE, ISSUER):
        assert "code" in answered(await world.decide(world.query(client, resource=resource), ann))


async def test_only_an_account_in_good_order_consents(world: OAuthWorld) -> None:
    client = await world.register()
    locked = await world.account("bob", locked_at=world.client.clock.now())
    query = world.query(client)
    for who in (of_account(locked), as_principal("a machine"), ADMIN):
        answer = await world.decide(query, who)
        assert (answer.status, answer.code) == (403, "accounts_only")
    body = {"request": query, "approve": True}
    assert (await world.client.post("/auth/oauth/authorizations", json=body)).status == 401
    assert await world.client.stored(ClientGrant) == []


async def test_a_client_cannot_consent_for_the_account_that_it_acts_for(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    token = (await world.tokens(client, ann))["access_token"]
    body = {"request": world.query(client, scope="openid email offline_access orders:read"), "approve": True}
    answer = await world.client.post("/auth/oauth/authorizations", json=body, headers=bearing(token))
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_nobody_is_asked_where_nobody_may_be(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    query = world.query(client, prompt="none")
    assert answered(await describe(world, query))["error"] == "login_required"
    assert answered(await describe(world, query, of_account(ann)))["error"] == "consent_required"
    assert answered(await world.decide(query, ann, approve=False))["error"] == "consent_required"
    await world.code(client, ann)
    assert (await describe(world, query, of_account(ann))).json["consented"] is True


async def test_a_log_in_is_as_young_as_the_client_asks(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    now = int(world.client.clock.time())
    query = world.query(client, max_age="60")
    for claims in ({"auth_time": now - 61}, {}, {"auth_time": True}, {"auth_time": "now"}):
        answer = await world.decide(query, of_account(ann, **claims))
        assert (answer.status, answer.code) == (403, "log_in_again")
    assert "code" in answered(await world.decide(query, of_account(ann, auth_time=now - 60)))


async def test_an_account_sees_and_withdraws_what_it_has_let_clients_do(world: OAuthWorld) -> None:
    client, ann, bob = await world.register(), await world.account(), await world.account("bob")
    tokens = await world.tokens(client, ann)
    await world.tokens(client, bob)
    path = f"/auth/oauth/consents/{client.id}"
    listed = await world.client.get("/auth/oauth/consents", who=of_account(ann))
    scopes = ["offline_access", "openid", "orders:read"]
    assert listed.json == [{"client_id": client.id, "client": "Parcel tracker", "scopes": scopes}]
    assert (await world.client.delete(path, who=of_account(ann))).status == 204
    assert (await world.client.get("/auth/oauth/consents", who=of_account(ann))).json == []
    assert (await world.client.delete(path, who=of_account(ann))).status == 404
    assert refused(await world.refresh(client, tokens["refresh_token"])) == "invalid_grant"
    assert len((await world.client.get("/auth/oauth/consents", who=of_account(bob))).json) == 1
    assert "oauth.grant_ended" in await world.kinds()


async def test_the_page_may_hand_the_query_over_in_any_spelling(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    query = world.query(client, redirect_uri=...) + "&redirect_uri=" + quote(BACK, safe="")
    assert "code" in answered(await world.decide(query, ann))


async def test_grants_of_one_client_are_bounded(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    for _ in range(53):
        await world.code(client, ann)
        world.client.clock.advance(2)
    assert len(await world.client.stored(ClientGrant, ended_at=None)) == 50
    world.client.clock.advance(3 * 86_400)
    await world.code(client, ann)
    assert len(await world.client.stored(AuthorizationCode)) == 1
    assert len(await world.client.stored(ClientGrant)) <= 51
