"""Strict base64url (RFC 4648, section 5; RFC 7515, section 2) and strict JSON objects.

A segment has one spelling: no padding, no character outside the alphabet, no bits set that are thrown away. Otherwise
one signed token could be written in several ways, and pass by a list of revoked tokens that is keyed by its bytes.
"""

from __future__ import annotations

import json
from binascii import Error as _Base64Error
from binascii import a2b_base64, b2a_base64
from typing import Any

import msgspec

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_URL_SAFE = _STANDARD[:-2] + b"-_"
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Whatever is not of the URL-safe alphabet becomes "!", which the strict decoder refuses.
_FROM_URL_SAFE = bytes(_STANDARD[_URL_SAFE.index(byte)] if byte in _URL_SAFE else ord("!") for byte in range(256))
_PADDING = (b"", b"===", b"==", b"=")  # by length modulo 4; a length of 1 modulo 4 is refused by the decoder
# The last character of a segment whose length is 2 (3) modulo 4 carries 4 (2) bits that must be zero.
_LAST_CHARACTER = (_URL_SAFE, b"", _URL_SAFE[::16], _URL_SAFE[::4])

_decode_json = msgspec.json.Decoder().decode
_encode_json = msgspec.json.Encoder().encode


def decode_segment(segment: bytes) -> bytes:
    """Return the bytes of a base64url segment. Raises ``ValueError`` where it is not the canonical spelling."""
    if not segment:
        return b""
    remainder = len(segment) & 3
    if segment[-1] not in _LAST_CHARACTER[remainder]:
        raise ValueError("not canonical base64url")
    try:
        return a2b_base64(segment.translate(_FROM_URL_SAFE) + _PADDING[remainder], strict_mode=True)
    except _Base64Error:
        raise ValueError("not base64url") from None


def encode_segment(data: bytes) -> bytes:
    """Return ``data`` as base64url without padding."""
    return b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL_SAFE)


def decode_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in ``raw``.

    Raises ``ValueError`` where it is not JSON in UTF-8, not an object, nested too deeply, or has a member twice at any
    depth (RFC 7515, section 4; RFC 7519, section 4 leave it to the parser: two parsers could then read two things).
    """
    try:
        value = _decode_json(raw)
        if type(value) is not dict:
            raise ValueError("not a JSON object")
        # What encodes to the same bytes has no member twice; only other spellings (spaces, escapes) are read again.
        if _encode_json(value) != raw:
            json.loads(raw, object_pairs_hook=_refuse_duplicates)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return value


def _refuse_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member stands twice in one object")
    return members
