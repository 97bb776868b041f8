"""The four signature algorithms (RFC 7518, section 3; RFC 8037), bound to one key each.

A verifier is a function of (message, signature segment) -> bool, so that HS256 can compare without decoding. The
``cryptography`` package is imported where an asymmetric key is bound: a service with shared secrets never loads it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Any, Literal, get_args

from mainstay.adapters.jose.encoding import decode_segment, encode_segment

Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]
ALGORITHMS: frozenset[str] = frozenset(get_args(Algorithm))

Verify = Callable[[bytes, bytes], bool]
Sign = Callable[[bytes], bytes]

_SHA256_BLOCK = 64
_P256_BYTES = 32


def hs256(secret: bytes) -> tuple[Verify, Sign]:
    """Bind HMAC-SHA256 (RFC 2104). The two keyed halves are hashed once: half the time of ``hmac.digest`` a call."""
    block = (hashlib.sha256(secret).digest() if len(secret) > _SHA256_BLOCK else secret).ljust(_SHA256_BLOCK, b"\0")
    inner_copy = hashlib.sha256(bytes(byte ^ 0x36 for byte in block)).copy
    outer_copy = hashlib.sha256(bytes(byte ^ 0x5C for byte in block)).copy
    compare = hmac.compare_digest

    def sign(message: bytes) -> bytes:
        inner = inner_copy()
        inner.update(message)
        outer = outer_copy()
        outer.update(inner.digest())
        return outer.digest()

    def verify(message: bytes, segment: bytes) -> bool:
        # Segments are compared, not bytes: a signature has one spelling, and nothing of the caller's is decoded here.
        return compare(encode_segment(sign(message)), segment)

    return verify, sign


def rs256(public: Any, private: Any | None) -> tuple[Verify, Sign | None]:
    """Bind RSASSA-PKCS1-v1_5 with SHA-256."""
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    padding, digest = PKCS1v15(), SHA256()
    verify = _verifier(lambda message, signature: public.verify(signature, message, padding, digest))
    if private is None:
        return verify, None
    return verify, lambda message: bytes(private.sign(message, padding, digest))


def es256(public: Any, private: Any | None) -> tuple[Verify, Sign | None]:
    """Bind ECDSA on P-256 with SHA-256; the signature is R and S of 32 bytes each, not DER."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    scheme = ECDSA(SHA256())

    def check(message: bytes, signature: bytes) -> None:
        if len(signature) != 2 * _P256_BYTES:
            raise ValueError("not 64 bytes")
        r = int.from_bytes(signature[:_P256_BYTES], "big")
        s = int.from_bytes(signature[_P256_BYTES:], "big")
        public.verify(encode_dss_signature(r, s), message, scheme)

    def sign(message: bytes) -> bytes:
        r, s = decode_dss_signature(private.sign(message, scheme))  # type: ignore[union-attr]  # returned only with one
        return r.to_bytes(_P256_BYTES, "big") + s.to_bytes(_P256_BYTES, "big")

    return _verifier(check), sign if private is not None else None


def eddsa(public: Any, private: Any | None) -> tuple[Verify, Sign | None]:
    """Bind Ed25519 (RFC 8032)."""
    verify = _verifier(lambda message, signature: public.verify(signature, message))
    if private is None:
        return verify, None
    return verify, lambda message: bytes(private.sign(message))


def _verifier(check: Callable[[bytes, bytes], None]) -> Verify:
    from cryptography.exceptions import InvalidSignature

    def verify(message: bytes, segment: bytes) -> bool:
        try:
            check(message, decode_segment(segment))
        except (InvalidSignature, ValueError):
            return False
        return True

    return verify
