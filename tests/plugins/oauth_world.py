"""A shop that is a provider for others, and the steps that its clients go through."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit
from uuid import UUID

import pytest

from mainstay import (
    AuthorizationServer,
    Entity,
    Find,
    Identity,
    Module,
    Page,
    Principal,
    Repository,
    Service,
    anyone,
    authenticated,
    owner,
    scope,
)
from mainstay.identity.accounts.entities import Account
from mainstay.ports.security_log import SecurityRecord
from mainstay.testing import Answer, Client, FixedClock, as_principal

ISSUER = "http://127.0.0.1:8000"
PAGE = f"{ISSUER}/authorize"
BACK = "https://client.example/back"
AUDIENCE = "shop"
ADMIN = as_principal("boss", roles="admin")
VERIFIER = "a-verifier-of-at-least-forty-three-characters-it-is"
GRANT_SECONDS = 240_000
SCOPES = {"orders:read": "See your orders", "orders:write": "Order for you"}


class Parcel(Entity, rows=owner("account_id")):
    account_id: UUID
    what: str


store = Module("parcels")


@store.query("GET /parcels", allow=authenticated)
async def list_parcels(find: Find[Parcel], parcels: Repository[Parcel]) -> Page[Parcel]:
    return await parcels.page(find)


@store.query("GET /parcels-for-clients", allow=scope("orders:read"))
async def list_parcels_for_clients(find: Find[Parcel], parcels: Repository[Parcel]) -> Page[Parcel]:
    return await parcels.page(find)


@store.query("GET /parcels-of-nobody", allow=anyone)
async def list_parcels_of_nobody(find: Find[Parcel], parcels: Repository[Parcel]) -> Page[Parcel]:
    return await parcels.page(find)


def make_shop(*, case: Any = "snake", path: str = "/auth") -> Service:
    fresh = Module("parcels")
    fresh.operations.extend(store.operations)
    server = AuthorizationServer(scopes=SCOPES, refresh_seconds=3600, grant_seconds=GRANT_SECONDS)
    return Service("shop", modules=[fresh], identity=Identity(path=path, server=server), case=case)


class Registered:
    """A client that was registered."""

    def __init__(self, id_: str, secret: str | None) -> None:
        self.id = id_
        self.secret = secret

    @property
    def basic(self) -> str:
        text = f"{quote_plus(self.id)}:{quote_plus(self.secret or '')}"
        return "Basic " + base64.b64encode(text.encode()).decode()


class OAuthWorld:
    """The shop as its clients, its accounts and their browsers see it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        assert client._sessions is not None
        self.sessions = client._sessions

    async def noted(self) -> list[SecurityRecord]:
        """Return the security events that were kept, the oldest first."""
        found = [one for one in await self.client.stored(SecurityRecord) if not one.kind.startswith("signing_key.")]
        return sorted(found, key=lambda one: one.id)

    async def kinds(self) -> list[str]:
        return [one.kind for one in await self.noted()]

    async def whom(self, token: str) -> Principal | None:
        """Return whom a token speaks for, where this service takes it."""
        return await self.sessions.verifier.own(token.encode())

    async def get(self, path: str, token: str) -> Answer:
        return await self.client.get(path, headers=bearing(token))

    async def account(self, name: str = "ann", **more: Any) -> Account:
        made = Account(email=f"{name}@mail.example", name=name.title(), **more)
        (row,) = await self.client.given(made)
        return row  # type: ignore[no-any-return]  # what was given

    async def register(self, **changes: Any) -> Registered:
        usual: dict[str, Any] = {
            "name": "Parcel tracker",
            "redirect_uris": [BACK],
            "grants": ["authorization_code", "refresh_token"],
            "scopes": ["openid", "email", "profile", "offline_access", "orders:read"],
        }
        answer = await self.client.post("/auth/oauth/clients", who=ADMIN, json={**usual, **changes})
        assert answer.status == 201, answer.json
        return Registered(answer.json["client_id"], answer.json["client_secret"])

    def query(self, client: Registered, **changes: Any) -> str:
        usual = {
            "response_type": "code",
            "client_id": client.id,
            "redirect_uri": BACK,
            "scope": "openid offline_access orders:read",
            "state": "s-1",
            "nonce": "n-1",
            "code_challenge": challenge(),
            "code_challenge_method": "S256",
        }
        return urlencode({name: value for name, value in {**usual, **changes}.items() if value is not ...})

    async def decide(self, query: str, account: Account | Principal, *, approve: bool = True) -> Answer:
        who = account if isinstance(account, Principal) else of_account(account)
        body = {"request": query, "approve": approve}
        return await self.client.post("/auth/oauth/authorizations", who=who, json=body)

    async def code(self, client: Registered, account: Account, **changes: Any) -> str:
        answer = await self.decide(self.query(client, **changes), account)
        assert answer.status == 200, answer.json
        return answered(answer)["code"]

    async def form(
        self,
        place: str,
        fields: Mapping[str, str] | Sequence[tuple[str, str]] | bytes,
        client: Registered | None = None,
    ) -> Answer:
        body = fields if isinstance(fields, bytes) else urlencode(fields).encode()
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if client is not None and client.secret is not None:
            headers["authorization"] = client.basic
        return await self.client.post(f"/auth/oauth/{place}", body=body, headers=headers)

    async def redeem(self, client: Registered, given: str, **changes: Any) -> Answer:
        usual = {
            "grant_type": "authorization_code",
            "code": given,
            "redirect_uri": BACK,
            "code_verifier": VERIFIER,
            "client_id": client.id,
        }
        fields = {name: value for name, value in {**usual, **changes}.items() if value is not ...}
        return await self.form("token", fields, client)

    async def refresh(self, client: Registered, token: str, **more: str) -> Answer:
        return await self.form(
            "token", {"grant_type": "refresh_token", "refresh_token": token, "client_id": client.id, **more}, client
        )

    async def tokens(self, client: Registered, account: Account, **changes: Any) -> dict[str, Any]:
        answer = await self.redeem(client, await self.code(client, account, **changes))
        assert answer.status == 200, answer.json
        return dict(answer.json)


def challenge(verifier: str = VERIFIER) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def of_account(account: Account, **claims: Any) -> Principal:
    return Principal(id=account.id, subject=str(account.id), claims=MappingProxyType(claims))


def answered(answer: Answer, at: str = BACK) -> dict[str, str]:
    """Return what a browser takes back to the client."""
    location: str = answer.json["location"]
    assert location.startswith(at), location
    return answered_url(location)


def answered_url(location: str) -> dict[str, str]:
    """Return the parameters that a browser takes back, each of which is there once."""
    pairs = parse_qsl(urlsplit(location).query, keep_blank_values=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def refused(answer: Answer, status: int = 400) -> str:
    """Return the error of an answer, which is one of OAuth's in every part."""
    assert answer.status == status, (answer.status, answer.body)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json["code"] == f"oauth_{answer.json['error']}"
    text = answer.json["error_description"]
    assert text == answer.json["detail"]
    assert all(" " <= char <= "~" and char not in '"\\' for char in text)
    return str(answer.json["error"])


def bearing(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def world() -> AsyncIterator[OAuthWorld]:
    clock = FixedClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    async with Client(make_shop(), clock=clock) as client:
        yield OAuthWorld(client)
