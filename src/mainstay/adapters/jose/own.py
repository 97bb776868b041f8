"""Keys of the service's own, for tokens in its name: Ed25519 (RFC 8037) or ECDSA on P-256 (RFC 7518, section 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import msgspec

from mainstay.adapters.jose.encoding import decode_object, decode_segment, encode_segment
from mainstay.adapters.jose.keys import Key, KeyRefused, load_pem
from mainstay.adapters.jose.mint import generate_key
from mainstay.ports.signing import Signer, Signers, SigningAlgorithm

_P256_BYTES = 32


class OwnSigner(Signer):
    """A key with its private part. The key id is the thumbprint of the public one, so that it is never given twice."""

    __slots__ = ("_headers", "_jwk", "_key", "algorithm", "kid")

    def __init__(self, key: Key, algorithm: SigningAlgorithm, jwk: Mapping[str, str]) -> None:
        self._key = key
        self.algorithm: SigningAlgorithm = algorithm
        self.kid: str = _thumbprint(jwk)
        self._jwk = {**jwk, "kid": self.kid, "alg": algorithm, "use": "sig"}
        self._headers: dict[str, bytes] = {}

    def __repr__(self) -> str:
        return f"<OwnSigner {self.algorithm} kid={self.kid!r}>"

    def header(self, typ: str) -> bytes:
        known = self._headers.get(typ)
        if known is None:
            members = {"alg": self.algorithm, "typ": typ, "kid": self.kid}
            known = self._headers[typ] = encode_segment(msgspec.json.encode(members))
        return known

    def sign(self, claims: Mapping[str, Any], typ: str) -> str:
        message = self.header(typ) + b"." + encode_segment(msgspec.json.encode(dict(claims)))
        return (message + b"." + encode_segment(self._key.sign(message))).decode("ascii")

    def claims(self, token: bytes) -> dict[str, Any] | None:
        message, _, signature = token.rpartition(b".")
        _, _, payload = message.partition(b".")
        if not payload or b"." in payload or not self._key.verify(message, signature):
            return None
        try:
            return decode_object(decode_segment(payload))
        except ValueError:
            return None

    def public_jwk(self) -> dict[str, str]:
        return dict(self._jwk)


class OwnSigners(Signers):
    """Makes keys, and loads them from PEM text."""

    def make(self, algorithm: SigningAlgorithm) -> str:
        return generate_key(algorithm).private

    def load(self, private: str) -> Signer:
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        key = load_pem(private)
        if key.algorithm not in ("EdDSA", "ES256") or not key.can_sign:
            raise KeyRefused("a signing key is an Ed25519 or P-256 key with its private part")
        native = load_pem_private_key(private.encode(), password=None)
        return OwnSigner(key, key.algorithm, _public_jwk(native.public_key()))


def _public_jwk(public: Any) -> dict[str, str]:
    """Return the required members of a public key as a JWK, in the order of their names (RFC 7638, section 3.2)."""
    if hasattr(public, "public_bytes_raw"):
        return {"crv": "Ed25519", "kty": "OKP", "x": _text(public.public_bytes_raw())}
    numbers = public.public_numbers()
    return {"crv": "P-256", "kty": "EC", "x": _coordinate(numbers.x), "y": _coordinate(numbers.y)}


def _coordinate(number: int) -> str:
    return _text(number.to_bytes(_P256_BYTES, "big"))


def _text(raw: bytes) -> str:
    return encode_segment(raw).decode("ascii")


def _thumbprint(jwk: Mapping[str, str]) -> str:
    """Return the SHA-256 thumbprint of a JWK that has its required members, in order (RFC 7638)."""
    return _text(sha256(msgspec.json.encode(jwk)).digest())
