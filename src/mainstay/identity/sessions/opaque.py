"""Secrets that are no JWT: of sessions, refresh tokens and API keys.

Each names the row that it is of, so that it is found by its id, and carries 32 random bytes of which the row holds a
digest. It begins with a mark that tells its kind, by which scanners find one that was published by mistake, and ends
with a checksum, so that what was cut or mistyped is refused without a look at the store.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from uuid import UUID
from zlib import crc32

REFRESH_MARK = "mrt_"
API_KEY_MARK = "mak_"
SECRET_BYTES = 32
FAMILY_BYTES = 16

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_PLACES = {character: place for place, character in enumerate(_ALPHABET)}
_CHECK_WIDTH = 6  # 62**6 is more than 2**32
_ID_BYTES = 16


def new_secret(size: int = SECRET_BYTES) -> bytes:
    """Return random bytes that nobody can guess."""
    return secrets.token_bytes(size)


def digest(secret: bytes) -> str:
    """Return what is stored of a secret. It is random and long, so a fast hash without a salt guards it."""
    return sha256(secret).hexdigest()


def write(mark: str, id_: UUID, secret: bytes) -> str:
    """Return the text of a secret of a row."""
    body = mark + _digits(id_.bytes + secret)
    return body + _check(body)


def read(mark: str, text: str, size: int = SECRET_BYTES) -> tuple[UUID, bytes] | None:
    """Return the id and the secret, of ``size`` bytes, in a text; None for what ``write`` has not written."""
    whole = _ID_BYTES + size
    if not text.startswith(mark) or len(text) != len(mark) + _width(whole) + _CHECK_WIDTH:
        return None
    body, check = text[:-_CHECK_WIDTH], text[-_CHECK_WIDTH:]
    number = 0
    for character in body[len(mark) :]:
        place = _PLACES.get(character)
        if place is None:
            return None
        number = number * 62 + place
    if number >> (8 * whole) or _check(body) != check:
        return None
    raw = number.to_bytes(whole, "big")
    return UUID(bytes=raw[:_ID_BYTES]), raw[_ID_BYTES:]


def _width(size: int) -> int:
    """Return how many digits ``size`` bytes take: always as many, whatever the bytes."""
    width, reach = 0, 1
    while reach < 1 << (8 * size):
        width, reach = width + 1, reach * 62
    return width


def _digits(raw: bytes) -> str:
    return _spell(int.from_bytes(raw, "big"), _width(len(raw)))


def _check(body: str) -> str:
    return _spell(crc32(body.encode("ascii")), _CHECK_WIDTH)


def _spell(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, place = divmod(number, 62)
        digits.append(_ALPHABET[place])
    return "".join(reversed(digits))
