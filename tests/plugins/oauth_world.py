"""A shop that is a provider for others, with keys and a log of its own, and the steps that its clients go through."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit
from uuid import UUID

import msgspec
import pytest
from joserfc.jwk import ECKey

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
from mainstay.adapters.jose import JwtVerifier, generate_key, load_pem, sign_claims
from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.contracts import OAuthRules, TokenMint
from mainstay.identity.oauth.granting import Grants
from mainstay.model.problem import Unauthenticated
from mainstay.ports.clock import Clock
from mainstay.ports.security_log import SecurityEvent, SecurityLog
from mainstay.ports.unit_of_work import UnitOfWork
from mainstay.testing import Answer, Client, FixedClock, as_principal

ISSUER = "https://shop.example"
PAGE = "https://front.example/authorize"
BACK = "https://client.example/back"
AUDIENCE = "shop"
ADMIN = as_principal("boss", roles="admin")
VERIFIER = "a-verifier-of-at-least-forty-three-characters-it-is"
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


class LocalMint(TokenMint):
    """Signs with one key that it has made."""

    algorithms = ("ES256",)

    def __init__(self, clock: Clock) -> None:
        made = generate_key("ES256")
        self.key = load_pem(made.private, kid="k1")
        self._public = {**ECKey.import_key(str(made.public)).as_dict(private=False), "kid": "k1", "use": "sig"}
        self._clock = clock
        self.ended: set[str] = set()
        self.verifier = JwtVerifier([self.key], issuer=ISSUER, audience=AUDIENCE, clock=clock)

    async def access(
        self,
        unit: UnitOfWork,
        subject: UUID,
        *,
        client: str,
        scopes: Sequence[str],
        tenant: str | None,
        seconds: int,
        claims: Mapping[str, Any],
    ) -> str:
        now = int(self._clock.time())
        body = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(subject),
            "client_id": client,
            "iat": now,
            "exp": now + seconds,
        }
        more = {"jti": unit.frame.ids.token(), "scope": " ".join(scopes)}
        return await self.sign({**body, **more, **claims}, typ="at+jwt")

    async def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        return sign_claims(self.key, claims, header={"typ": typ})

    def opened(self, token: str) -> Mapping[str, Any] | None:
        try:
            return self.principal(token).claims
        except Unauthenticated:
            return None

    def principal(self, token: str) -> Principal:
        return self.verifier.verify(token.encode())

    async def end(self, unit: UnitOfWork, of: UUID) -> None:
        self.ended.add(str(of))

    def public_jwks(self) -> bytes:
        return msgspec.json.encode({"keys": [self._public]})


class KeptLog(SecurityLog):
    def __init__(self) -> None:
        self.events: list[SecurityEvent] = []

    def note(self, event: SecurityEvent) -> None:
        self.events.append(event)

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


def make_shop(clock: Clock, mint: TokenMint, log: SecurityLog, *, case: Any = "snake", path: str = "/auth") -> Service:
    identity = Identity(path=path, server=AuthorizationServer(scopes=SCOPES))
    fresh = Module("parcels")
    fresh.operations.extend(store.operations)
    service = Service("shop", modules=[fresh], identity=identity, case=case)
    assert identity.server is not None
    rules = OAuthRules(
        issuer=ISSUER,
        path=path,
        page=PAGE,
        audience=AUDIENCE,
        scopes=identity.server.all_scopes(),
        refresh_seconds=3600,
    )
    service.provide(TokenMint, lambda: mint, outside=False)
    service.provide(OAuthRules, lambda: rules, outside=False)
    service.provide(SecurityLog, lambda: log, outside=False)
    service.provide(Grants, Grants, scope="call", outside=False)
    return service


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

    def __init__(self, client: Client, mint: LocalMint, log: KeptLog) -> None:
        self.client = client
        self.mint = mint
        self.log = log

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


@pytest.fixture
async def world() -> AsyncIterator[OAuthWorld]:
    clock = FixedClock(datetime(2026, 6, 1, 12, tzinfo=UTC))
    mint, log = LocalMint(clock), KeptLog()
    async with Client(make_shop(clock, mint, log), clock=clock) as client:
        yield OAuthWorld(client, mint, log)
