"""Keys from secrets: HKDF with SHA-256 and no salt (RFC 5869)."""

from __future__ import annotations

import hmac

MIN_SECRET_BYTES = 32
KEY_BYTES = 32
LABEL_BYTES = 4
_ROUND_BYTES = 32  # of SHA-256


def expanded(drawn: bytes, info: bytes, length: int) -> bytes:
    """Return ``length`` bytes of a pseudorandom key, for one purpose (RFC 5869, section 2.3)."""
    made, block, number = b"", b"", 1
    while len(made) < length:
        block = hmac.digest(drawn, block + info + bytes([number]), "sha256")
        made, number = made + block, number + 1
    return made[:length]


def drawn_from(secret: str | bytes, whose: str) -> bytes:
    """Return the pseudorandom key of a secret (RFC 5869, section 2.2). Raises ``ValueError`` for one too short."""
    raw = secret.encode() if isinstance(secret, str) else bytes(secret)
    if len(raw) < MIN_SECRET_BYTES:
        raise ValueError(f"{whose}: a secret has {len(raw)} bytes, at least {MIN_SECRET_BYTES} are needed")
    return hmac.digest(bytes(_ROUND_BYTES), raw, "sha256")


def named_key(secret: str | bytes, info: bytes, whose: str) -> tuple[bytes, bytes]:
    """Return a label of 4 bytes and a key of 32 from a secret of 32 bytes at least, for one purpose.

    The label finds the key again and tells nothing of it. Raises ``ValueError`` for a secret that is too short.
    """
    derived = expanded(drawn_from(secret, whose), info, LABEL_BYTES + KEY_BYTES)
    return derived[:LABEL_BYTES], derived[LABEL_BYTES:]
