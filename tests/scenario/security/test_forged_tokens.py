"""Tokens that only a thief would make, of a service that signs its own: refused, whatever they say of themselves."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from logged_in import bearer, logged_in, make_service, signed_up

from mainstay.adapters.jose.encoding import decode_segment, encode_segment
from mainstay.adapters.jose.own import OwnSigners
from mainstay.ports.signing import Signer
from mainstay.testing import Client

TYPE = "at+jwt"


class Forge:
    """What a thief knows: a good token, every public key, and keys of its own. ``signer`` is ours, which it has not."""

    def __init__(self, client: Client, opened: dict[str, Any]) -> None:
        assert client._sessions is not None
        self.signer: Signer = client._sessions.keys.current()
        self.good: str = opened["access_token"]
        self.head, self.payload, self.signature = self.good.split(".")
        self.claims: dict[str, Any] = json.loads(decode_segment(self.payload.encode()))
        self.other: Signer = OwnSigners().load(OwnSigners().make("EdDSA"))

    def with_header(self, **changes: Any) -> str:
        """Return the claims under another header, signed by our own key all the same."""
        members = {"alg": "EdDSA", "typ": TYPE, "kid": self.signer.kid, **changes}
        return self.joined({name: value for name, value in members.items() if value is not ...})

    def joined(self, header: dict[str, Any]) -> str:
        message = encode_segment(json.dumps(header).encode()) + b"." + self.payload.encode()
        by_ours: Any = self.signer
        return (message + b"." + encode_segment(by_ours._key.sign(message))).decode()

    def with_claims(self, **changes: Any) -> str:
        """Return other claims, signed as ours are."""
        claims = {name: value for name, value in {**self.claims, **changes}.items() if value is not ...}
        return self.signer.sign(claims, TYPE)

    def by_public_key(self) -> str:
        """Return a token whose secret is the public key (the confusion of RS256 with HS256)."""
        header = encode_segment(json.dumps({"alg": "HS256", "typ": TYPE, "kid": self.signer.kid}).encode())
        message = header + b"." + self.payload.encode()
        secret = json.dumps(self.signer.public_jwk()).encode()
        return (message + b"." + encode_segment(hmac.digest(secret, message, hashlib.sha256))).decode()

    def changed(self) -> str:
        claims = {**self.claims, "roles": ["admin"]}
        return f"{self.head}.{encode_segment(json.dumps(claims).encode()).decode()}.{self.signature}"


FORGED: dict[str, Callable[[Forge], str]] = {
    "alg none": lambda f: f.with_header(alg="none").rpartition(".")[0] + ".",
    "alg none, signed": lambda f: f.with_header(alg="none"),
    "alg HS256": lambda f: f.with_header(alg="HS256"),
    "alg ES256": lambda f: f.with_header(alg="ES256"),
    "alg eddsa": lambda f: f.with_header(alg="eddsa"),
    "no alg": lambda f: f.with_header(alg=...),
    "the public key as a secret": lambda f: f.by_public_key(),
    "crit": lambda f: f.with_header(crit=["exp"]),
    "b64": lambda f: f.with_header(b64=False, crit=["b64"]),
    "jku": lambda f: f.with_header(jku="https://evil.example/keys"),
    "x5u": lambda f: f.with_header(x5u="https://evil.example/chain"),
    "x5c": lambda f: f.with_header(x5c=["AAAA"]),
    "an embedded jwk": lambda f: f.with_header(jwk=f.other.public_jwk()),
    "an embedded jwk that signed it": lambda f: f.other.sign(f.claims, TYPE),
    "another key under our kid": lambda f: f"{f.head}.{'.'.join(f.other.sign(f.claims, TYPE).split('.')[1:])}",
    "a kid that is a path": lambda f: f.with_header(kid="../../dev/null"),
    "a kid that is SQL": lambda f: f.with_header(kid="' OR 1=1 --"),
    "no kid": lambda f: f.with_header(kid=...),
    "typ JWT": lambda f: f.with_header(typ="JWT"),
    "typ of an id token, by us": lambda f: f.signer.sign(f.claims, "JWT"),
    "typ of a log-out token, by us": lambda f: f.signer.sign(f.claims, "logout+jwt"),
    "no typ": lambda f: f.with_header(typ=...),
    "typ in capitals": lambda f: f.with_header(typ="AT+JWT"),
    "a member twice": lambda f: f.good.replace(
        f.head,
        encode_segment(f'{{"alg":"EdDSA","alg":"none","typ":"at+jwt","kid":"{f.signer.kid}"}}'.encode()).decode(),
    ),
    "a further member": lambda f: f.with_header(x=1),
    "claims changed": lambda f: f.changed(),
    "signature cut": lambda f: f.good[:-4],
    "signature padded": lambda f: f.good + "==",
    "signature of nothing": lambda f: f"{f.head}.{f.payload}.",
    "signature of zeros": lambda f: f"{f.head}.{f.payload}.{'A' * 86}",
    "four parts": lambda f: f.good + ".x",
    "two parts": lambda f: f"{f.head}.{f.payload}",
    "encrypted": lambda f: f"{f.head}.a.b.c.d",
    "another issuer": lambda f: f.with_claims(iss="https://evil.example"),
    "no issuer": lambda f: f.with_claims(iss=...),
    "another audience": lambda f: f.with_claims(aud="other"),
    "several audiences": lambda f: f.with_claims(aud=["shop", "other"]),
    "no audience": lambda f: f.with_claims(aud=...),
    "past": lambda f: f.with_claims(exp=f.claims["iat"]),
    "no end": lambda f: f.with_claims(exp=...),
    "an end that is text": lambda f: f.with_claims(exp="9999999999"),
    "an end that is a fraction": lambda f: f.with_claims(exp=f.claims["exp"] + 0.5),
    "from the future": lambda f: f.with_claims(iat=f.claims["iat"] + 31),
    "no beginning": lambda f: f.with_claims(iat=...),
    "a subject that is no account": lambda f: f.with_claims(sub="ann"),
    "no subject": lambda f: f.with_claims(sub=...),
    "the system": lambda f: f.with_claims(sub="00000000-0000-0000-0000-000000000001"),
    "nobody": lambda f: f.with_claims(sub="00000000-0000-0000-0000-000000000000"),
    "no epoch": lambda f: f.with_claims(ep=...),
    "an epoch that is text": lambda f: f.with_claims(ep="0"),
    "a session that is none": lambda f: f.with_claims(sid="mine"),
}


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(make_service()) as opened:
        await signed_up(opened, role="manager")
        yield opened


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_token_is_refused(client: Client, name: str) -> None:
    forge = Forge(client, await logged_in(client))
    token = FORGED[name](forge)
    for path in ("/me", "/open", "/managed"):
        answer = await client.get(path, headers=bearer(token))
        assert answer.status == 401, path
        assert answer.headers["cache-control"] == "no-store"
        assert token.encode() not in answer.body
    assert (await client.get("/me", headers=bearer(forge.good))).status == 200


async def test_what_the_forged_ones_are_made_of_is_good(client: Client) -> None:
    forge = Forge(client, await logged_in(client))
    assert (await client.get("/managed", headers=bearer(forge.with_claims()))).status == 200
    assert (await client.get("/managed", headers=bearer(forge.good))).status == 200


async def test_a_clients_token_is_in_no_session(client: Client) -> None:
    forge = Forge(client, await logged_in(client))
    token = forge.with_claims(client_id="another")
    assert (await client.get("/me", headers=bearer(token))).status == 200
    assert (await client.get("/auth/sessions", headers=bearer(token))).status == 403


async def test_a_token_that_was_remembered_is_asked_about_anew(client: Client) -> None:
    opened = await logged_in(client)
    headers = bearer(opened["access_token"])
    assert (await client.get("/me", headers=headers)).status == 200
    signed, _, signature = opened["access_token"].rpartition(".")
    assert (await client.get("/me", headers=bearer(f"{signed}.{signature[::-1]}"))).status == 401
    client.clock.advance(600)
    assert (await client.get("/me", headers=headers)).json["code"] == "token_expired"
