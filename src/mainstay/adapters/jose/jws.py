"""Compact JWS (RFC 7515): which key made this, and what does it carry."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.adapters.jose.algorithms import ALGORITHMS, Verify
from mainstay.adapters.jose.encoding import decode_object, decode_segment
from mainstay.adapters.jose.keys import MAX_KEYS, Key, KeyRefused, check_key_ids
from mainstay.ports.refused_tokens import (
    TokenAlgorithmRefused,
    TokenBadSignature,
    TokenHeaderRefused,
    TokenMalformed,
    TokenUnknownKey,
)

# crit and b64 change how the token is read, jku/x5u/jwk/x5c name the attacker's own key, zip and enc make it a JWE,
# cty says that the payload is another token. RFC 7515, section 4.1 lets all others be ignored.
_REFUSED_PARAMETERS = frozenset({"crit", "b64", "jku", "x5u", "jwk", "x5c", "zip", "enc", "epk", "cty"})
_TYPES = frozenset({"jwt", "at+jwt"})  # where an issuer is not said to give another
_MAX_KID = 256
_MAX_KNOWN_HEADERS = 64


class JwsVerifier:
    """Check signatures with a fixed set of keys.

    A key id picks its key. A token without one is tried with all keys of its algorithm; a token with an id that no key
    has, with those that have no id of their own. ``types`` are those that an issuer gives its tokens ("at+jwt"): one of
    another, or of none, is not accepted then. Raises ``KeyRefused`` for no key, too many, or one id twice.
    """

    def __init__(self, keys: Sequence[Key], types: Sequence[str] = ()) -> None:
        self._keys = tuple(keys)
        if not 1 <= len(self._keys) <= MAX_KEYS:
            raise KeyRefused(f"{len(self._keys)} keys were given, expected 1 to {MAX_KEYS}")
        check_key_ids(self._keys)
        self._types = frozenset(name.lower().removeprefix("application/") for name in types) or _TYPES
        self._typed = bool(types)
        # An issuer writes one header for all its tokens: the keys that it stands for, once one of its tokens was good.
        self._known: dict[bytes, tuple[Verify, ...]] = {}

    def verify(self, token: bytes) -> bytes:
        """Return the payload of a token that one of the keys signed. Raises a ``TokenRefused``."""
        message, _, signature = token.rpartition(b".")
        header, _, payload = message.partition(b".")
        if not signature or not header or b"." in payload:
            raise TokenMalformed
        known = self._known.get(header)
        for verify in known or self._candidates(header):
            if verify(message, signature):
                break
        else:
            raise TokenBadSignature
        if known is None and len(self._known) < _MAX_KNOWN_HEADERS:
            self._known[header] = self._candidates(header)
        try:
            return decode_segment(payload)
        except ValueError:
            raise TokenMalformed("The payload is not canonical base64url.") from None

    def _candidates(self, segment: bytes) -> tuple[Verify, ...]:
        try:
            header = decode_object(decode_segment(segment))
        except ValueError:
            raise TokenMalformed("The header is not a JSON object in base64url with each member once.") from None
        if not _REFUSED_PARAMETERS.isdisjoint(header):
            raise TokenHeaderRefused
        kind = header.get("typ")
        if ("typ" in header or self._typed) and not self._is_accepted(kind):
            raise TokenHeaderRefused("The type of the token is not accepted.")
        algorithm = header.get("alg")
        if not isinstance(algorithm, str):
            raise TokenMalformed("The header names no algorithm.")
        if algorithm not in ALGORITHMS:
            raise TokenAlgorithmRefused
        if "kid" not in header:
            return self._of_algorithm(self._keys, algorithm)
        kid = header["kid"]
        if not isinstance(kid, str) or len(kid) > _MAX_KID:
            raise TokenMalformed("The key id is not a short string.")
        return self._of_algorithm(self._named(kid), algorithm)

    def _is_accepted(self, kind: object) -> bool:
        """Whether tokens may be of a type: letter case and the usual prefix make none (RFC 7515, section 4.1.9)."""
        return isinstance(kind, str) and kind.lower().removeprefix("application/") in self._types

    def _named(self, kid: str) -> tuple[Key, ...]:
        found = tuple(key for key in self._keys if key.kid == kid) or tuple(k for k in self._keys if k.kid is None)
        if not found:
            raise TokenUnknownKey
        return found

    @staticmethod
    def _of_algorithm(keys: tuple[Key, ...], algorithm: str) -> tuple[Verify, ...]:
        fitting = tuple(key.verify for key in keys if key.algorithm == algorithm)
        if not fitting:
            raise TokenAlgorithmRefused("The algorithm of the token is not the algorithm of the key.")
        return fitting
