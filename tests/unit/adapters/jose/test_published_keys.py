"""Of the keys that others publish, those are taken that can be used, and no secrets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from mainstay.adapters.jose.keys import KeyRefused
from mainstay.adapters.jose.published import load_published

GOOD: dict[str, Any] = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "good", "use": "sig"}


def load(*keys: Any) -> list[str | None]:
    return [key.kid for key in load_published(json.dumps({"keys": keys}).encode())]


@pytest.mark.parametrize(
    "other",
    [
        {**OctKey.generate_key(256).as_dict(), "kid": "secret", "alg": "HS256"},
        {**ECKey.generate_key("P-256").as_dict(private=True), "kid": "private"},
        {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "another curve"},
        {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "for encryption", "use": "enc"},
        {**RSAKey.generate_key(2048).as_dict(private=False), "kid": "another algorithm", "alg": "PS256"},
        {**OKPKey.generate_key("X25519").as_dict(private=False), "kid": "another use"},
        {"kty": "RSA", "kid": "broken"},
        {"kid": "nothing"},
        {},
    ],
)
def test_what_cannot_be_used_is_passed_over(other: dict[str, Any]) -> None:
    assert load(other, GOOD) == ["good"]
    with pytest.raises(KeyRefused, match="0 keys that can be used"):
        load(other)


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"{}", b'{"keys": {}}', b'{"keys": [1]}', b'{"keys": [], "keys": []}']
)
def test_what_is_no_set_is_refused(document: bytes) -> None:
    with pytest.raises(KeyRefused):
        load_published(document)


def test_one_key_id_is_of_one_key() -> None:
    with pytest.raises(KeyRefused, match="same kid"):
        load(GOOD, GOOD)


def test_a_set_is_bounded() -> None:
    with pytest.raises(KeyRefused, match="65 keys"):
        load(*({**GOOD, "kid": str(n)} for n in range(65)))
