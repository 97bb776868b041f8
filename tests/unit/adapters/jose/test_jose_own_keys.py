"""Keys of a service's own: what they sign, what they show of themselves, and what is a token of theirs."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from bearer_tokens import KEY, refusal, signed, verifier
from hypothesis import given
from hypothesis import strategies as st

from mainstay.adapters.jose import KeyRefused, generate_key, load_jwk
from mainstay.adapters.jose.encoding import decode_segment, encode_segment
from mainstay.adapters.jose.jws import JwsVerifier
from mainstay.adapters.jose.own import OwnSigners
from mainstay.ports.signing import Signer

CLAIMS = {"sub": "ann", "exp": 1_800_000_000}
REQUIRED = {"EdDSA": ("crv", "kty", "x"), "ES256": ("crv", "kty", "x", "y")}


def made(algorithm: Any = "EdDSA") -> Signer:
    return OwnSigners().load(OwnSigners().make(algorithm))


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_what_is_signed_is_checked_by_others(algorithm: Any) -> None:
    signer = made(algorithm)
    token = signer.sign(CLAIMS, "at+jwt").encode()
    others = JwsVerifier([load_jwk(signer.public_jwk())], ["at+jwt"])
    assert json.loads(others.verify(token)) == CLAIMS
    assert signer.claims(token) == CLAIMS
    assert json.loads(decode_segment(token.split(b".")[0])) == {"alg": algorithm, "typ": "at+jwt", "kid": signer.kid}


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256"])
def test_the_key_id_is_the_thumbprint(algorithm: Any) -> None:
    jwk = made(algorithm).public_jwk()
    assert set(jwk) == {*REQUIRED[algorithm], "kid", "alg", "use"}
    members = json.dumps({name: jwk[name] for name in REQUIRED[algorithm]}, separators=(",", ":"))
    assert jwk["kid"] == encode_segment(sha256(members.encode()).digest()).decode()


def test_each_type_has_a_header_of_its_own() -> None:
    signer = made()
    assert signer.header("at+jwt") == signer.sign(CLAIMS, "at+jwt").encode().partition(b".")[0]
    assert signer.header("at+jwt") is signer.header("at+jwt")
    assert signer.header("JWT") != signer.header("at+jwt")


def test_what_others_sign_is_none_of_ours() -> None:
    signer, other = made(), made()
    good = signer.sign(CLAIMS, "at+jwt").encode()
    head, payload, signature = good.split(b".")
    foreign = other.sign(CLAIMS, "at+jwt").encode()
    for token in (foreign, head + b"." + payload, good + b".x", head + b".e30." + signature, b"", b"..", b"a.b.c"):
        assert signer.claims(token) is None


@given(st.binary(max_size=60))
def test_a_payload_that_is_no_object_is_no_claims(payload: bytes) -> None:
    signer: Any = _SIGNER
    message = signer.header("at+jwt") + b"." + encode_segment(payload)
    found = signer.claims(message + b"." + encode_segment(signer._key.sign(message)))
    try:
        expected = json.loads(payload)
    except ValueError:
        expected = None
    assert found is None or found == expected


_SIGNER = made()


@pytest.mark.parametrize("algorithm", ["RS256"])
def test_another_kind_of_key_is_refused(algorithm: Any) -> None:
    pair = generate_key(algorithm)
    with pytest.raises(KeyRefused, match="Ed25519 or P-256"):
        OwnSigners().load(pair.private)


def test_a_public_key_signs_nothing_and_no_key_is_shown() -> None:
    public = generate_key("EdDSA").public
    assert public is not None
    with pytest.raises(KeyRefused, match="private part"):
        OwnSigners().load(public)
    with pytest.raises(KeyRefused):
        OwnSigners().load("no key")
    assert "PRIVATE" not in repr(made())


class TestTypes:
    """An issuer that says of which type its tokens are has no other accepted."""

    @pytest.mark.parametrize("named", ["at+jwt", "AT+JWT", "application/at+jwt"])
    def test_a_token_of_the_type_is_good(self, named: str) -> None:
        by = verifier(types=["at+jwt"])
        assert by.verify(signed({"typ": named})).subject

    @pytest.mark.parametrize(
        "named", ["JWT", "jwt", "", None, 1, ["at+jwt"], "at+jwt ", "id+jwt", "application/x+at+jwt"]
    )
    def test_another_type_is_refused(self, named: Any) -> None:
        assert refusal(signed({"typ": named}), verifier(types=["at+jwt"])) == "token_header_refused"

    def test_no_type_is_refused_where_one_is_said(self) -> None:
        header = encode_segment(b'{"alg":"HS256","kid":"one"}')
        payload = signed().split(b".")[1]
        message = header + b"." + payload
        token = message + b"." + encode_segment(KEY.sign(message))
        assert refusal(token, verifier(types=["at+jwt"])) == "token_header_refused"
        assert verifier().verify(token).subject
