"""Keys from settings: what is loaded, and what each refusal says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x25519
from joserfc.jwk import ECKey, OKPKey, RSAKey

from mainstay.adapters.jose import (
    KeyRefused,
    generate_key,
    load_jwk,
    load_jwk_set,
    load_keys,
    load_pem,
    load_secret,
    mint,
)
from mainstay.adapters.jose.jws import JwsVerifier
from mainstay.adapters.jose.weak_rsa import has_roca_form

SECRET = "0123456789abcdef0123456789abcdef"


def pem(key: Any, *, password: bytes | None = None) -> str:
    hide = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return str(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hide).decode())


def fits(signing: Any, checking: Any) -> bool:
    return bool(checking.verify(b"message", _segment(signing.sign(b"message"))))


def _segment(data: bytes) -> bytes:
    from mainstay.adapters.jose.encoding import encode_segment

    return encode_segment(data)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "EdDSA"])
def test_a_generated_key_is_loaded_again(algorithm: Any) -> None:
    made = generate_key(algorithm)
    (private,) = load_keys(made.private)

    assert private.algorithm == algorithm
    assert private.can_sign
    if made.public is not None:
        (public,) = load_keys(made.public, algorithm=algorithm)
        assert not public.can_sign
        assert fits(private, public)
        with pytest.raises(KeyRefused, match="public key"):
            public.sign(b"message")


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (RSAKey.generate_key(2048), "RS256"),
        (ECKey.generate_key("P-256"), "ES256"),
        (OKPKey.generate_key("Ed25519"), "EdDSA"),
    ],
    ids=["RSA", "EC", "OKP"],
)
def test_jwk_public_and_private(key: Any, algorithm: str) -> None:
    private = load_jwk(json.dumps(key.as_dict(private=True)), kid="k")
    public = load_jwk(key.as_dict(private=False), algorithm=algorithm)

    assert (private.algorithm, private.kid, private.can_sign) == (algorithm, "k", True)
    assert (public.algorithm, public.can_sign) == (algorithm, False)
    assert fits(private, public)


def test_jwk_set_passes_over_keys_for_encryption() -> None:
    one, two = ECKey.generate_key("P-256"), RSAKey.generate_key(2048)
    document = {
        "keys": [
            {**one.as_dict(private=False), "kid": "a", "use": "sig"},
            {**two.as_dict(private=False), "kid": "b", "use": "enc"},
        ]
    }

    (loaded,) = load_keys(json.dumps(document))

    assert (loaded.kid, loaded.algorithm) == ("a", "ES256")


def test_certificate() -> None:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    certificate = (
        builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, SHA256())
    )

    loaded = load_pem(certificate.public_bytes(serialization.Encoding.PEM))

    assert loaded.algorithm == "ES256"
    assert fits(load_pem(pem(key)), loaded)


@pytest.mark.parametrize(
    ("material", "algorithm", "says"),
    [
        ("short", None, "5 bytes"),
        ("", None, "0 bytes"),
        ("a" * 64, None, "can be guessed"),
        ("changeme" * 3, None, "24 bytes"),
        (SECRET, "RS256", "PEM or JWK"),
        (SECRET, "HS512", "not supported"),
        (SECRET, "none", "not supported"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", None, "PEM text"),
        ("{", None, "JSON object"),
        ('{"kty":"oct","kty":"oct"}', None, "JSON object"),
        ("{}", None, "kty"),
        ('{"keys":{}}', None, "list of JWK"),
        ('{"keys":[]}', None, "no key for signatures"),
        ('{"keys":[1]}', None, "list of JWK"),
        ('{"kty":"oct","k":"AAAA"}', None, "3 bytes"),
        ('{"kty":"oct","k":1}', None, "valid key"),
        ('{"kty":"oct","k":"' + "A" * 43 + '","alg":"RS256"}', None, "oct is for HS256"),
        ('{"kty":"oct","k":"' + "A" * 43 + '","kid":5}', None, "kid is not a string"),
        ('{"kty":"oct","k":"' + "A" * 43 + '","use":"enc"}', None, "use is not"),
        ('{"kty":"oct","k":"' + "A" * 43 + '","key_ops":["encrypt"]}', None, "key_ops"),
        ('{"kty":"oct","k":"' + "A" * 43 + '","key_ops":"verify"}', None, "key_ops"),
        ('{"kty":"oct","k":"' + "A" * 43 + '","alg":"HS256"}', "ES256", "another algorithm"),
        ('{"kty":"RSA","n":"AQAB"}', None, "valid key"),
        ('{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}', None, "valid key"),
        ('{"kty":"EC","crv":"P-999","x":"AA","y":"AA"}', None, "valid key"),
    ],
)
def test_refused_material(material: str, algorithm: str | None, says: str) -> None:
    with pytest.raises(KeyRefused, match=says) as caught:
        load_keys(material, algorithm=algorithm)

    if len(material) > 8:
        assert material not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "algorithm", "says"),
    [
        (lambda: ec.generate_private_key(ec.SECP384R1()), None, "needs P-256"),
        (lambda: ec.generate_private_key(ec.SECP256R1()), "RS256", "is for ES256, not for RS256"),
        (ed25519.Ed25519PrivateKey.generate, "ES256", "is for EdDSA, not for ES256"),
        (ed448.Ed448PrivateKey.generate, None, "none of RSA, P-256, Ed25519"),
        (x25519.X25519PrivateKey.generate, None, "none of RSA, P-256, Ed25519"),
        (lambda: rsa.generate_private_key(public_exponent=65537, key_size=1024), None, "1024 bits"),
        (lambda: rsa.generate_private_key(public_exponent=3, key_size=2048), None, "exponent is 3"),
    ],
)
def test_refused_pem(key: Any, algorithm: str | None, says: str) -> None:
    with pytest.raises(KeyRefused, match=says):
        load_pem(pem(key()), algorithm=algorithm)


def test_pem_with_password_is_refused() -> None:
    with pytest.raises(KeyRefused, match="password"):
        load_pem(pem(ed25519.Ed25519PrivateKey.generate(), password=b"secret"))


@pytest.mark.parametrize(
    "text", ['{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}', generate_key("EdDSA").public]
)
def test_a_document_is_no_secret(text: str) -> None:
    with pytest.raises(KeyRefused, match="no shared secret"):
        load_secret(text)


def test_jwk_set_bounds_and_ids() -> None:
    jwk = {"kty": "oct", "k": "A" * 43}

    with pytest.raises(KeyRefused, match="at most 64"):
        load_jwk_set({"keys": [jwk] * 65})
    with pytest.raises(KeyRefused, match="same kid"):
        load_jwk_set({"keys": [{**jwk, "kid": "a"}, {**jwk, "kid": "a"}]})
    with pytest.raises(KeyRefused, match="mixes"):
        load_jwk_set({"keys": [jwk, ECKey.generate_key("P-256").as_dict(private=False)]})


def test_verifier_needs_keys_with_ids_of_their_own() -> None:
    with pytest.raises(KeyRefused, match="0 keys"):
        JwsVerifier([])
    with pytest.raises(KeyRefused, match="same kid"):
        JwsVerifier([load_secret(SECRET, kid="a"), load_secret(SECRET + "x", kid="a")])


def test_nothing_shows_a_key() -> None:
    made = generate_key("HS256")

    assert made.private not in repr(made)
    assert repr(load_secret(made.private, kid="a")) == "<Key HS256 kid='a'>"


def test_roca_form() -> None:
    product = 1
    for prime in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101):
        product *= prime
    for prime in (103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167):
        product *= prime
    factors = [seed * product + pow(65537, power, product) for seed, power in ((7, 1234), (9, 777))]

    assert has_roca_form(factors[0] * factors[1])
    assert not has_roca_form(factors[0] * factors[1] + 2)


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"subject": ""}, "subject"), ({"lifetime": 0}, "lifetime"), ({"claims": {"exp": 1}}, r"\['exp'\]")],
)
def test_mint_refuses(changes: dict[str, Any], says: str) -> None:
    usual: dict[str, Any] = {"issuer": "i", "audience": "a", "subject": "s", "now": 0.0, "lifetime": 60}

    with pytest.raises(ValueError, match=says):
        mint(load_secret(SECRET), **{**usual, **changes})


def test_unknown_algorithm_is_not_generated() -> None:
    with pytest.raises(KeyRefused, match="not supported"):
        generate_key("none")  # type: ignore[arg-type]  # the refusal is what is tested
