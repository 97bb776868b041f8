"""A client that acts for an account may do what its scopes say, and nothing else that the account may."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from oauth_world import ADMIN, ISSUER, PAGE, OAuthWorld, Parcel, bearing, make_shop, of_account

from mainstay import Identity, Principal, role, signed
from mainstay.app.authorising.subjects import allowed_by
from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.delegation import firsthand, narrowed
from mainstay.identity.sessions.policies import has_session
from mainstay.model.call_policies import delegated as delegated_calls
from mainstay.model.operation import self_authenticated
from mainstay.model.policy import anyone, authenticated, scope
from mainstay.testing import Client, FixedClock


async def delegated(world: OAuthWorld, scopes: str) -> str:
    """Return the token of a client that acts for an account."""
    client, ann = await world.register(), await world.account()
    await world.client.given(Parcel(account_id=ann.id, what="tea"))
    return str((await world.tokens(client, ann, scope=scopes))["access_token"])


async def test_a_client_reaches_what_names_its_scope(world: OAuthWorld) -> None:
    token = await delegated(world, "orders:read")
    answer = await world.get("/parcels-for-clients", token)
    assert [one["what"] for one in answer.json["items"]] == ["tea"]


@pytest.mark.parametrize(
    "path",
    [
        "/parcels",
        "/parcels-of-nobody",
        "/auth/account",
        "/auth/sessions",
        "/auth/api-keys",
        "/auth/oauth/consents",
        "/auth/oauth/clients",
        "/auth/oauth/userinfo",
    ],
)
async def test_a_client_reaches_nothing_else(world: OAuthWorld, path: str) -> None:
    token = await delegated(world, "orders:read")
    answer = await world.get(path, token)
    assert (answer.status, answer.code) == (403, "forbidden")
    assert b"tea" not in answer.body


async def test_the_token_of_a_client_is_of_no_session(world: OAuthWorld) -> None:
    who = await world.whom(await delegated(world, "openid"))
    assert who is not None
    assert not has_session(who)


async def test_a_client_is_known_as_who_acts_for_the_account(world: OAuthWorld) -> None:
    client, ann = await world.register(), await world.account()
    who = await world.whom((await world.tokens(client, ann))["access_token"])
    assert who is not None
    assert who.actor is not None
    assert (who.id, str(who.actor.id)) == (ann.id, client.id)
    assert delegated_calls.reduce(who) == anyone.reduce(who)
    machine = await world.register(grants=["client_credentials"], redirect_uris=[], scopes=["orders:read"])
    token = (await world.form("token", {"grant_type": "client_credentials"}, machine)).json["access_token"]
    itself = await world.whom(token)
    assert itself is not None
    assert itself.actor is None


async def test_a_scope_that_was_not_given_opens_nothing(world: OAuthWorld) -> None:
    token = await delegated(world, "openid")
    assert (await world.get("/parcels-for-clients", token)).status == 403


async def test_accounts_themselves_and_nobody_are_not_narrowed(world: OAuthWorld) -> None:
    ann = await world.account()
    await world.client.given(Parcel(account_id=ann.id, what="tea"))
    for path in ("/parcels", "/parcels-of-nobody"):
        assert (await world.client.get(path, who=of_account(ann))).json["items"]
    assert (await world.client.get("/parcels-of-nobody")).status == 200
    assert (await world.client.get("/auth/oauth/clients", who=ADMIN)).status == 200


async def test_a_machine_is_a_caller_of_its_own(world: OAuthWorld) -> None:
    machine = await world.register(grants=["client_credentials"], redirect_uris=[], scopes=["orders:read"])
    token = (await world.form("token", {"grant_type": "client_credentials"}, machine)).json["access_token"]
    await world.client.given(Parcel(account_id=(await world.account()).id, what="tea"))
    for path in ("/parcels", "/parcels-for-clients"):
        answer = await world.get(path, token)
        assert (answer.status, answer.json["items"]) == (200, [])


@pytest.mark.parametrize(
    ("scopes", "told"),
    [
        ("openid", {"sub"}),
        ("openid profile", {"sub", "name"}),
        ("openid email", {"sub", "email", "email_verified"}),
    ],
)
async def test_userinfo_tells_what_the_scopes_let(world: OAuthWorld, scopes: str, told: set[str]) -> None:
    token = await delegated(world, scopes)
    for method in ("GET", "POST"):
        answer = await world.client.request(method, "/auth/oauth/userinfo", headers=bearing(token))
        assert (answer.status, set(answer.json)) == (200, told)
        (ann,) = await world.client.stored(Account)
        assert answer.json["sub"] == str(ann.id)


async def test_userinfo_is_of_accounts(world: OAuthWorld) -> None:
    who = Principal(id=ADMIN.id, scopes=frozenset({"openid"}))
    assert (await world.client.get("/auth/oauth/userinfo", who=who)).code == "accounts_only"
    assert (await world.client.get("/auth/oauth/userinfo")).status == 401


def test_only_policies_without_a_scope_are_narrowed() -> None:
    for policy in (scope("a"), scope("a") | role("b"), signed("standard-webhooks", secret="s"), self_authenticated):
        assert narrowed(policy) is policy
    for policy in (anyone, authenticated, role("b")):
        assert repr(narrowed(policy)) == f"({policy!r} & firsthand)"
    assert firsthand.reduce(Principal.anonymous) == anyone.reduce(Principal.anonymous)
    assert Identity().narrowed(authenticated) is authenticated


async def test_what_is_explained_is_what_counts(world: OAuthWorld) -> None:
    bound = world.client.bound
    explained = {one.name: repr(allowed_by(bound, one)) for one in bound.operations}
    assert explained["list_parcels"] == "(authenticated & firsthand)"
    assert explained["list_parcels_for_clients"] == "scope('orders:read')"


async def test_the_document_says_where_everything_is(world: OAuthWorld) -> None:
    found = [
        await world.client.get(f"/.well-known/{name}")
        for name in ("openid-configuration", "oauth-authorization-server")
    ]
    assert found[0].json == found[1].json
    document = found[0].json
    assert (document["issuer"], document["authorization_endpoint"]) == (ISSUER, PAGE)
    for name in ("token_endpoint", "userinfo_endpoint", "jwks_uri", "revocation_endpoint", "introspection_endpoint"):
        path = document[name].removeprefix(ISSUER)
        assert (await world.client.get(path)).status in (200, 401, 405)
    assert found[0].headers["cache-control"] == "public, max-age=120"
    keys = (await world.client.get("/auth/oauth/jwks")).json["keys"]
    assert [key["kid"] for key in keys] == [world.sessions.keys.current().kid]
    assert document["id_token_signing_alg_values_supported"] == [keys[0]["alg"]] == ["EdDSA"]
    assert "d" not in keys[0]


async def test_a_key_that_comes_is_shown_before_it_signs(world: OAuthWorld) -> None:
    before = world.sessions.keys.current().kid
    made = await world.sessions.keys.rotate(timedelta(seconds=300))
    shown = (await world.client.get("/auth/oauth/jwks")).json["keys"]
    assert [key["kid"] for key in shown] == [before, made.kid]
    assert world.sessions.keys.current().kid == before


async def test_the_document_is_what_authlib_takes_for_one(world: OAuthWorld) -> None:
    from authlib.oidc.discovery import OpenIDProviderMetadata

    document = (await world.client.get("/.well-known/openid-configuration")).json
    OpenIDProviderMetadata({**document, "id_token_signing_alg_values_supported": ["RS256"]}).validate()


async def test_names_of_oauth_are_the_same_in_a_service_of_camel_case() -> None:
    clock = FixedClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with Client(make_shop(case="camel"), clock=clock) as client:
        new = {"name": "M", "grants": ["client_credentials"], "scopes": ["orders:read"]}
        made = (await client.post("/auth/oauth/clients", who=ADMIN, json=new)).json
        form = f"grant_type=client_credentials&client_id={made['clientId']}&client_secret={made['clientSecret']}"
        headers = {"content-type": "application/x-www-form-urlencoded"}
        given = (await client.post("/auth/oauth/token", body=form.encode(), headers=headers)).json
        assert set(given) == {"access_token", "token_type", "expires_in", "scope"}
        body = form.replace("grant_type=client_credentials", f"token={given['access_token']}").encode()
        told = (await client.post("/auth/oauth/introspect", body=body, headers=headers)).json
        assert told["client_id"] == made["clientId"]
        assert "token_endpoint" in (await client.get("/.well-known/openid-configuration")).json
        refused = await client.post("/auth/oauth/token", body=b"grant_type=x", headers=headers)
        assert set(refused.json) >= {"error", "error_description"}
