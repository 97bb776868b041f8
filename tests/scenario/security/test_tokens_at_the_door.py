"""Forged, spent and misdirected tokens at the door: 401 with a challenge, nothing done, nothing told."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hostile_service import refused
from shop_served import _SECRETS, Client, Running

from mainstay.adapters.jose import Key, load_secret, sign_claims

WHO = "0199c0de-0000-7000-8000-00000000000a"
Make = Callable[[], str]


def key(secret: str = _SECRETS["MAINSTAY_AUTH_KEY"]) -> Key:
    return load_secret(secret)


def claims(**changes: Any) -> dict[str, Any]:
    now = time.time()
    usual = {"iss": "shop", "aud": "shop", "sub": WHO, "iat": now - 10, "exp": now + 600, "roles": ["manager"]}
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(algorithm: str, signature: str = "") -> str:
    return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims())}.{signature}"


def changed() -> str:
    """Return a token whose claims were changed behind its signature."""
    head, _, signature = sign_claims(key(), claims(roles=["customer"])).split(".")
    return f"{head}.{part(claims())}.{signature}"


def signed(**changes: Any) -> str:
    return sign_claims(key(), claims(**changes))


FORGED: dict[str, Make] = {
    "expired": lambda: signed(exp=time.time() - 3600),
    "not yet valid": lambda: signed(nbf=time.time() + 3600),
    "made in the future": lambda: signed(iat=time.time() + 3600),
    "never expires": lambda: signed(exp=...),
    "for another service": lambda: signed(aud="other"),
    "for nobody": lambda: signed(aud=...),
    "for several others": lambda: signed(aud=["other", "third"]),
    "of another issuer": lambda: signed(iss="https://evil.example"),
    "of no issuer": lambda: signed(iss=...),
    "without a subject": lambda: signed(sub=...),
    "of the system": lambda: signed(sub="00000000-0000-0000-0000-000000000001"),
    "of nobody": lambda: signed(sub="00000000-0000-0000-0000-000000000000"),
    "signed with another key": lambda: sign_claims(key("another secret that is long enough to be one"), claims()),
    "with claims changed": changed,
    "alg none": lambda: unsigned("none"),
    "alg None": lambda: unsigned("None"),
    "alg none with a signature": lambda: unsigned("none", "AAAA"),
    "alg HS256 without a signature": lambda: unsigned("HS256"),
    "alg RS256": lambda: unsigned("RS256", part(b"0" * 256)),
    "alg HS512": lambda: sign_claims(key(), claims(), header={"alg": "HS512"}),
    "critical header": lambda: sign_claims(key(), claims(), header={"crit": ["exp"], "exp": 1}),
    "a key of its own": lambda: sign_claims(
        key(), claims(), header={"jwk": {"kty": "oct", "k": "AAAA"}, "alg": "none"}
    ),
    "two parts": lambda: ".".join(signed().split(".")[:2]),
    "four parts": lambda: signed() + ".x",
    "padded": lambda: signed() + "=",
    "encrypted": lambda: ".".join(["e30"] * 5),
    "empty": lambda: "",
    "a word": lambda: "letmein",
    "very long": lambda: "a" * 12_000,
}
CODES = {
    "expired": "token_expired",
    "not yet valid": "token_not_yet_valid",
    "for another service": "token_wrong_audience",
    "of another issuer": "token_wrong_issuer",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_token_that_is_not_ours_is_refused_everywhere(client: Client, name: str) -> None:
    token = FORGED[name]()
    before = client.get("/products?count=exact&limit=1").json["count"]
    for method, target in (
        ("GET", "/orders"),
        ("POST", "/products"),
        ("GET", "/products"),
        ("DELETE", f"/products/{WHO}"),
    ):
        body = {} if method == "POST" else None
        answer = client.ask(method, target, None, body, {"Authorization": f"Bearer {token}"})
        code = refused(answer, 401)
        assert code == CODES.get(name, code)
        assert answer["www-authenticate"].startswith("Bearer")
        assert answer["cache-control"] == "no-store"
        assert not token or token.encode() not in answer.body
    assert client.get("/products?count=exact&limit=1").json["count"] == before


def test_the_token_that_the_forged_ones_are_made_of_is_good(client: Client) -> None:
    answer = client.get("/reports/sales", Authorization=f"Bearer {signed()}")
    assert answer.status == 200
    assert client.get("/reports/sales", Authorization=f"bearer {signed()}").status == 200


SCHEMES = ["Basic YWRtaW46YWRtaW4=", "Digest username=x", "Negotiate AAAA", "Token abc", "Bearer", "abc"]


@pytest.mark.parametrize("field", SCHEMES)
def test_another_scheme_is_refused(client: Client, field: str) -> None:
    answer = client.get("/products", Authorization=field)
    refused(answer, 401)
    assert answer["www-authenticate"].startswith("Bearer")


def test_a_token_anywhere_else_is_no_token(client: Client) -> None:
    token = signed()
    assert refused(client.get(f"/reports/sales?access_token={token}"), 400, 401) in {
        "unknown_parameter",
        "credentials_missing",
    }
    assert client.get("/reports/sales", Cookie=f"token={token}; Authorization=Bearer {token}").status == 401
    assert client.get("/reports/sales", X_Authorization=f"Bearer {token}").status == 401
    assert client.get("/reports/sales", Proxy_Authorization=f"Bearer {token}").status == 401


def test_two_tokens_are_no_token(shop: Running) -> None:
    wire = shop.wire()
    lines = f"Authorization: Bearer {signed()}\r\n" * 2
    wire.say(f"GET /reports/sales HTTP/1.1\r\nHost: t\r\n{lines}\r\n".encode())
    refused(wire.hear(), 400)


def test_a_token_is_not_good_beyond_its_time_though_it_was_seen(client: Client) -> None:
    ends = time.time() + 2
    token = signed(exp=ends - 30)  # the leeway is 30 seconds
    assert client.get("/reports/sales", Authorization=f"Bearer {token}").status == 200
    time.sleep(max(0.0, ends - time.time()) + 0.05)
    answer = client.get("/reports/sales", Authorization=f"Bearer {token}")
    assert refused(answer, 401) == "token_expired"


def test_roles_are_those_of_the_token_alone(client: Client) -> None:
    for roles in ([], ["customer"], ["Manager"], ["manager "], "customer", ["managers"]):
        answer = client.get("/reports/sales", Authorization=f"Bearer {signed(roles=roles)}")
        refused(answer, 401, 403)
    assert client.get("/reports/sales", Authorization=f"Bearer {signed(roles='customer manager')}").status == 200
