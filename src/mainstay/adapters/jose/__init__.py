"""Bearer tokens as signed JWTs: keys, the verifier, and the means to make tokens."""

from mainstay.adapters.jose.keys import Key, KeyRefused, load_jwk, load_jwk_set, load_keys, load_pem, load_secret
from mainstay.adapters.jose.mint import GeneratedKey, generate_key, mint, sign_claims
from mainstay.adapters.jose.verifier import JwtVerifier

__all__ = [
    "GeneratedKey",
    "JwtVerifier",
    "Key",
    "KeyRefused",
    "generate_key",
    "load_jwk",
    "load_jwk_set",
    "load_keys",
    "load_pem",
    "load_secret",
    "mint",
    "sign_claims",
]
