"""Time-based one-time passwords (RFC 6238): six digits of HMAC-SHA-1 over the half minute, as generators make them."""

from __future__ import annotations

import hmac
from base64 import b32encode
from hashlib import blake2b
from urllib.parse import quote

PERIOD = 30
"""Seconds that a code is shown for."""

DIGITS = 6
SECRET_BYTES = 20
"""What RFC 4226 recommends, and generators take."""

DRIFT = 1
"""Steps that a clock may be off, either way."""


def secret_from(*random: str) -> bytes:
    """Return a secret made of random texts, which together have at least as many random bits as it."""
    return blake2b("".join(random).encode(), digest_size=SECRET_BYTES, person=b"mainstay.totp").digest()


def step_at(seconds: float) -> int:
    """Return the step of a time in seconds since the epoch."""
    return int(seconds // PERIOD)


def code_of(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226, section 5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}d}"


def step_of(secret: bytes, code: str, now: float, after: int) -> int | None:
    """Return the step that a code is of, or None. A step that is not behind ``after`` was used, and counts no more."""
    current, matched = step_at(now), None
    for step in range(current - DRIFT, current + DRIFT + 1):
        same = hmac.compare_digest(code_of(secret, step).encode(), code.encode())
        if same and step > after:
            matched = step
    return matched


def key_uri(secret: bytes, *, issuer: str, account: str) -> str:
    """Return what a QR code for generators holds (Key URI Format): all of it quoted, so that no name adds to it."""
    label = f"{quote(issuer, safe='')}:{quote(account, safe='')}"
    shown = f"secret={base32(secret)}&issuer={quote(issuer, safe='')}"
    return f"otpauth://totp/{label}?{shown}&algorithm=SHA1&digits={DIGITS}&period={PERIOD}"


def base32(secret: bytes) -> str:
    """Return a secret as people type it: base32 (RFC 4648, section 6) without padding."""
    return b32encode(secret).decode().rstrip("=")
