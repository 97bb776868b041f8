"""The keys that an issuer publishes for everybody (RFC 7517): those of them that can be used here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mainstay.adapters.jose.encoding import decode_object
from mainstay.adapters.jose.keys import MAX_KEYS, Key, KeyRefused, check_key_ids, load_jwk


def load_published(document: bytes) -> tuple[Key, ...]:
    """Return the signature keys of a JWK set that others made; each is bound to its one algorithm.

    Keys of other uses, kinds and algorithms are passed over (RFC 7517, section 5), as the issuer may serve others with
    them. A shared secret is passed over too: what everybody can read is none. Raises ``KeyRefused`` where no key is
    left, or two have one key id.
    """
    try:
        listed = decode_object(document).get("keys")
    except ValueError:
        raise KeyRefused("the JWK set is not a JSON object (UTF-8, each member once)") from None
    if not isinstance(listed, list) or not all(isinstance(jwk, Mapping) for jwk in listed):
        raise KeyRefused("a JWK set needs the member keys: a list of JWK objects")
    keys = tuple(key for jwk in listed if (key := _usable(jwk)) is not None)
    if not 1 <= len(keys) <= MAX_KEYS:
        raise KeyRefused(f"the JWK set has {len(keys)} keys that can be used, expected 1 to {MAX_KEYS}")
    check_key_ids(keys)
    return keys


def _usable(jwk: Mapping[str, Any]) -> Key | None:
    if jwk.get("kty") == "oct" or "d" in jwk:
        return None  # a private part in the open has been everybody's
    try:
        return load_jwk(jwk)
    except KeyRefused:
        return None
