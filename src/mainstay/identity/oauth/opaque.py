"""Codes, tokens and secrets of clients: texts of 264 random bits, of which a digest is kept."""

from __future__ import annotations

import hmac
from hashlib import sha256

from mainstay.ports.ids import Ids


def new_secret(ids: Ids) -> str:
    """Return a text that nobody can guess."""
    return ids.token() + ids.token()


def digest_of(secret: str) -> str:
    """Return what is kept of a secret: nobody tries 2**264 of them, so that it need not be slow."""
    return sha256(secret.encode()).hexdigest()


def is_secret(given: str, digest: str) -> bool:
    """Whether a text is the secret that a digest is of, in a time that does not tell how far it is right."""
    return hmac.compare_digest(digest_of(given), digest)
