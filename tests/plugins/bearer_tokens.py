"""Tokens for the tests of their verifier: good ones, and ones that only a thief would make."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from mainstay.adapters.jose import JwtVerifier, Key, load_secret, sign_claims
from mainstay.adapters.jose.encoding import encode_segment
from mainstay.model.problem import Unauthenticated
from mainstay.ports.clock import Clock

NOW = 1_800_000_000.0
ISSUER = "https://issuer.example"
AUDIENCE = "shop"
SUBJECT = "018f6f5e-7c3a-7d2b-8f00-0123456789ab"
SECRET = "correct horse battery staple, and 32 bytes more"
KEY = load_secret(SECRET, kid="one")


class SetClock(Clock):
    def __init__(self, time: float = NOW) -> None:
        self.at = time

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def time(self) -> float:
        return self.at

    def monotonic(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += seconds


def verifier(*keys: Key, clock: Clock | None = None, **options: Any) -> JwtVerifier:
    settings: dict[str, Any] = {"issuer": ISSUER, "audience": AUDIENCE, "leeway": 5, **options}
    return JwtVerifier(keys or (KEY,), clock=clock or SetClock(), **settings)


def claims(**changes: Any) -> dict[str, Any]:
    usual = {"iss": ISSUER, "aud": AUDIENCE, "sub": SUBJECT, "iat": NOW - 10, "exp": NOW + 60}
    return {name: value for name, value in {**usual, **changes}.items() if value is not ...}


def signed(header: Mapping[str, Any] | None = None, key: Key = KEY, **changes: Any) -> bytes:
    return sign_claims(key, claims(**changes), header=header).encode()


def raw_token(header: bytes, payload: bytes, key: Key = KEY) -> bytes:
    message = encode_segment(header) + b"." + encode_segment(payload)
    return message + b"." + encode_segment(key.sign(message))


def refusal(token: bytes, by: JwtVerifier | None = None) -> str:
    with pytest.raises(Unauthenticated) as caught:
        (by or verifier()).verify(token)
    return caught.value.code
