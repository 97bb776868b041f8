"""Make keys and signed tokens: for development tokens and for tests."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from mainstay.adapters.jose.algorithms import Algorithm
from mainstay.adapters.jose.encoding import encode_segment
from mainstay.adapters.jose.keys import Key, KeyRefused

_REGISTERED = frozenset({"iss", "aud", "sub", "iat", "nbf", "exp", "roles", "scope", "tenant"})


class GeneratedKey(NamedTuple):
    """A new key as settings hold it. ``public`` is None for a shared secret."""

    algorithm: Algorithm
    private: str
    public: str | None

    def __repr__(self) -> str:
        return f"<GeneratedKey {self.algorithm}>"


def generate_key(algorithm: Algorithm = "HS256") -> GeneratedKey:
    """Make a key: 32 random bytes as base64url text for HS256, PEM text for the others (RSA has 3072 bits)."""
    if algorithm == "HS256":
        return GeneratedKey(algorithm, secrets.token_urlsafe(32), None)
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    private: Any
    if algorithm == "RS256":
        private = rsa.generate_private_key(public_exponent=65537, key_size=3072)
    elif algorithm == "ES256":
        private = ec.generate_private_key(ec.SECP256R1())
    elif algorithm == "EdDSA":
        private = ed25519.Ed25519PrivateKey.generate()
    else:
        raise KeyRefused(f"the algorithm {algorithm!r} is not supported")
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private_text = private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()
    public_text = private.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    return GeneratedKey(algorithm, private_text, public_text)


def mint(
    key: Key,
    *,
    issuer: str,
    audience: str,
    subject: str,
    now: float,
    lifetime: float,
    roles: Iterable[str] = (),
    scopes: Iterable[str] = (),
    tenant: str | None = None,
    claims: Mapping[str, Any] | None = None,
) -> str:
    """Return a signed JWT that is good for ``lifetime`` seconds from ``now`` (seconds since the epoch).

    ``claims`` are added as they are; those that have a parameter of their own are refused with ``ValueError``. Raises
    ``KeyRefused`` where ``key`` is a public key.
    """
    extra = dict(claims or {})
    clash = _REGISTERED.intersection(extra)
    if clash:
        raise ValueError(f"mint: {sorted(clash)} have parameters of their own")
    if not subject:
        raise ValueError("mint: subject is empty")
    if lifetime <= 0:
        raise ValueError(f"mint: lifetime is {lifetime} seconds, expected more than 0")
    issued = int(now)
    body: dict[str, Any] = {
        "iss": issuer,
        "aud": audience,
        "sub": subject,
        "iat": issued,
        "exp": issued + int(lifetime),
    }
    if named := sorted(roles):
        body["roles"] = named
    if granted := sorted(scopes):
        body["scope"] = " ".join(granted)
    if tenant is not None:
        body["tenant"] = tenant
    return sign_claims(key, {**body, **extra})


def sign_claims(key: Key, claims: Mapping[str, Any], *, header: Mapping[str, Any] | None = None) -> str:
    """Sign ``claims`` just as they are, with ``header`` members over the usual ones: for tests of bad tokens."""
    members: dict[str, Any] = {"alg": key.algorithm, "typ": "JWT"}
    if key.kid is not None:
        members["kid"] = key.kid
    encode = msgspec.json.encode
    message = encode_segment(encode({**members, **(header or {})})) + b"." + encode_segment(encode(dict(claims)))
    return (message + b"." + encode_segment(key.sign(message))).decode()
