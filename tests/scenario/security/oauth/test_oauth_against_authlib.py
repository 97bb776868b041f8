"""The client of authlib goes all the way: it finds everything by the document, logs in, refreshes, and gives back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from assembled import Assembled, assembled
from authlib.integrations.base_client import OAuthError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import errors as rfc6749
from authlib.oidc.core import CodeIDToken
from authlib.oidc.core import errors as core
from joserfc import jwt
from joserfc.jwk import KeySet
from oauth_world import BACK, SCOPES, Parcel, answered_url, store

from mainstay import AuthorizationServer, Identity, Module, Repository, Service
from mainstay.app.identity_tokens import system_frame
from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth import problems
from mainstay.identity.oauth.entities import RegisteredClient
from mainstay.identity.oauth.opaque import digest_of
from mainstay.identity.oauth.pkce import challenge_of, fits, is_challenge
from mainstay.ports.unit_of_work import UnitOfWork

SECRET = "a secret: with + and %, which clients encode"
ISSUER = "https://shop.example"
PAGE = "https://front.example/authorize"
SETTINGS = f'[sessions]\nalgorithm = "ES256"\nissuer = "{ISSUER}"\n[oauth]\npage = "{PAGE}"\n'


class World:
    def __init__(self, running: Assembled) -> None:
        self.running = running

    @property
    def transport(self) -> httpx2.ASGITransport:
        return self.running.transport

    def unit(self) -> UnitOfWork:
        return UnitOfWork(system_frame(self.running.application.bound), write=True)

    async def given(self, row: Any) -> Any:
        unit = self.unit()
        made = await Repository(unit, unit.frame.plans[type(row)]).add(row)
        await unit.commit()
        return made

    async def consent(self, url: str, account: Account) -> str:
        """Do what the team's page does for a person who is logged in and says yes; return where the browser goes."""
        assert url.startswith(PAGE + "?")
        unit, sessions = self.unit(), self.running.application.sessions
        assert sessions is not None
        token = await sessions.tokens.issue(unit, account.id, claims={"auth_time": 1})
        await unit.rollback()
        answer = await self.running.http.post(
            "/auth/oauth/authorizations",
            json={"request": url.partition("?")[2], "approve": True},
            headers={"authorization": f"Bearer {token}"},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["location"])


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    parcels = Module("parcels")
    parcels.operations.extend(store.operations)
    service = Service("shop", modules=[parcels], identity=Identity(server=AuthorizationServer(scopes=SCOPES)))
    async with assembled(service, tmp_path, SETTINGS) as running:
        yield World(running)


async def registered(world: World, *, secret: str | None, **more: Any) -> RegisteredClient:
    usual: dict[str, Any] = {
        "name": "authlib",
        "confidential": secret is not None,
        "secret": None if secret is None else digest_of(secret),
        "redirect_uris": [BACK],
        "grants": ["authorization_code", "refresh_token"],
        "scopes": ["openid", "email", "offline_access", "orders:read"],
    }
    made: RegisteredClient = await world.given(RegisteredClient(**{**usual, **more}))
    return made


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_authlib_logs_in_and_acts_for_the_account(world: World, method: str) -> None:
    secret = None if method == "none" else "S3cret-" + "x" * 40
    row = await registered(world, secret=secret)
    ann = await world.given(Account(email="ann@mail.example"))
    await world.given(Parcel(account_id=ann.id, what="tea"))
    document = (await world.running.http.get("/.well-known/openid-configuration")).json()
    async with AsyncOAuth2Client(
        str(row.id),
        secret,
        token_endpoint_auth_method=method,
        redirect_uri=BACK,
        scope="openid email offline_access orders:read",
        code_challenge_method="S256",
        transport=world.transport,
    ) as client:
        verifier = "v" * 64
        url, state = client.create_authorization_url(
            document["authorization_endpoint"], code_verifier=verifier, nonce="n-9"
        )
        back = await world.consent(url, ann)
        assert answered_url(back)["iss"] == document["issuer"]
        token = await client.fetch_token(
            document["token_endpoint"], authorization_response=back, state=state, code_verifier=verifier
        )
        await check_id_token(world, document, token, str(row.id))
        assert (await client.get(f"{ISSUER}/parcels-for-clients")).json()["items"][0]["what"] == "tea"
        assert (await client.get(f"{ISSUER}/parcels")).status_code == 403
        about = (await client.get(document["userinfo_endpoint"])).json()
        assert about == {"sub": str(ann.id), "email": "ann@mail.example", "email_verified": False}
        newer = await client.refresh_token(document["token_endpoint"], token["refresh_token"])
        assert newer["refresh_token"] != token["refresh_token"]
        if secret is not None:
            told = await client.introspect_token(document["introspection_endpoint"], newer["access_token"])
            assert told.json()["active"] is True
        gone = await client.revoke_token(document["revocation_endpoint"], newer["refresh_token"])
        assert gone.status_code == 200
        with pytest.raises(OAuthError, match="invalid_grant"):
            await client.refresh_token(document["token_endpoint"], newer["refresh_token"])


async def check_id_token(world: World, document: dict[str, Any], token: dict[str, Any], client_id: str) -> None:
    keys = KeySet.import_key_set((await world.running.http.get(document["jwks_uri"])).json())
    decoded = jwt.decode(token["id_token"], keys, algorithms=["ES256"])
    params = {"nonce": "n-9", "client_id": client_id}
    options = {"iss": {"value": document["issuer"]}, "aud": {"value": client_id}}
    claims = CodeIDToken(decoded.claims, decoded.header, options, params)
    claims.validate()
    assert claims["auth_time"] == 1


async def test_authlib_gets_a_machine_its_token(world: World) -> None:
    secret = "M4chine-" + "y" * 40
    row = await registered(
        world, secret=secret, grants=["client_credentials"], redirect_uris=[], scopes=["orders:read"]
    )
    async with AsyncOAuth2Client(str(row.id), secret, transport=world.transport) as client:
        token = await client.fetch_token(f"{ISSUER}/auth/oauth/token", grant_type="client_credentials")
        assert token["scope"] == "orders:read"
        assert (await client.get(f"{ISSUER}/parcels-for-clients")).json() == {"items": []}


async def test_authlib_understands_our_refusals(world: World) -> None:
    row = await registered(world, secret=SECRET)
    async with AsyncOAuth2Client(str(row.id), "wrong", transport=world.transport) as client:
        with pytest.raises(OAuthError) as caught:
            await client.fetch_token(f"{ISSUER}/auth/oauth/token", grant_type="client_credentials")
        assert caught.value.error == "invalid_client"
        assert caught.value.description == "The client is not known, or has not proven who it is"


def test_our_errors_are_those_that_authlib_knows() -> None:
    ours = {one.error for one in vars(problems).values() if isinstance(one, type) and hasattr(one, "error")}
    theirs = {
        one.error
        for module in (rfc6749, core)
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, OAuth2Error) and one.error
    }
    assert ours - theirs == {"invalid_target"}  # RFC 8707, which authlib has not


@pytest.mark.parametrize("verifier", ["v" * 43, "v" * 128, "-._~" * 11])
def test_a_verifier_fits_its_challenge(verifier: str) -> None:
    assert is_challenge(challenge_of(verifier))
    assert fits(verifier, challenge_of(verifier))
    assert not fits(verifier, challenge_of(verifier + "x")[:43])


@pytest.mark.parametrize(
    "verifier", ["", "v" * 42, "v" * 129, "v" * 42 + "\n", "v" * 43 + "\n", "v" * 42 + "ü", "v" * 42 + "="]
)
def test_what_is_no_verifier_fits_nothing(verifier: str) -> None:
    challenge = challenge_of(verifier) if verifier.isascii() else "v" * 43
    assert not fits(verifier, challenge)
