"""Proof Key for Code Exchange (RFC 7636), with SHA-256 only: what was asked for is redeemed by who asked.

The grammar and the digest are authlib's.
"""

from __future__ import annotations

import hmac


def is_challenge(text: str) -> bool:
    """Whether a text can be the challenge of a verifier: the digest of 32 bytes in base64url."""
    from authlib.oauth2.rfc7636.challenge import CODE_CHALLENGE_PATTERN

    return len(text) == 43 and CODE_CHALLENGE_PATTERN.fullmatch(text) is not None


def challenge_of(verifier: str) -> str:
    """Return the challenge of a verifier."""
    from authlib.oauth2.rfc7636 import create_s256_code_challenge

    return str(create_s256_code_challenge(verifier))


def fits(verifier: str, challenge: str) -> bool:
    """Whether a verifier is of the right form, and the one that a challenge was made of."""
    from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN

    if CODE_VERIFIER_PATTERN.fullmatch(verifier) is None:
        return False
    return hmac.compare_digest(challenge_of(verifier), challenge)
