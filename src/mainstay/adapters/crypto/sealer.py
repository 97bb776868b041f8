"""Sealed text with AES-256-GCM-SIV (RFC 8452)."""

from __future__ import annotations

import os
from binascii import Error as _Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mainstay.adapters.crypto.derivation import LABEL_BYTES, named_key
from mainstay.ports.sealer import Sealer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

MAX_SECRETS = 8
_INFO = b"mainstay sealed text, version 1"
_NONCE_BYTES = 12
_BODY_AT = LABEL_BYTES + _NONCE_BYTES
_TAG_BYTES = 16
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_FROM_URL_SAFE = bytes.maketrans(b"-_+/", b"+/!!")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_LAST_CHARACTER = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])  # by length modulo 4: the unused bits are zero


class AeadSealer(Sealer):
    """Seal with the first of ``secrets``, open with any: put a new one first, drop the old when its texts are spent.

    Each secret has at least 32 bytes; its key and the label that finds the key again are derived by HKDF (RFC 5869), so
    a secret may serve other purposes under other names. Texts hold at most ``max_bytes`` of data. The nonce is random;
    GCM-SIV keeps its secrecy where one is drawn twice, so the 2**32 texts of a GCM key with random nonces do not bind.

    The text is base64url, in its one spelling, of: label (4 bytes), nonce (12), ciphertext, tag (16).

    The ``cryptography`` package (7 MB of memory, 30 ms) is loaded by ``prepare`` or at the first use: a service that
    gives out no cursors never has it.

    Raises ``ValueError`` for no secret, too many, or one that is too short.
    """

    def __init__(self, secrets: Sequence[str | bytes], *, max_bytes: int = 4096) -> None:
        self._keys = _derived(secrets)
        self._label = self._keys[0][0]
        self._ciphers: Mapping[bytes, AESGCMSIV] = {}
        self._unopened: type[Exception] = Exception  # what a cipher raises; known with the ciphers
        self._max_bytes = max_bytes
        self._max_text = -(-(max_bytes + LABEL_BYTES + _NONCE_BYTES + _TAG_BYTES) * 4 // 3)
        self._random = os.urandom

    def prepare(self) -> None:
        """Load what encrypts. Raises ``ValueError`` where this host cannot."""
        from cryptography.exceptions import InvalidTag, UnsupportedAlgorithm
        from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

        self._unopened = InvalidTag
        try:
            self._ciphers = {label: AESGCMSIV(key) for label, key in reversed(self._keys)}
        except UnsupportedAlgorithm:
            raise ValueError(
                "sealer: this build of the cryptography package lacks AES-GCM-SIV (OpenSSL 3.2 has it)"
            ) from None

    def use(self, secrets: Sequence[str | bytes]) -> None:
        """Seal with the first of other secrets from now on, open with any of them. Raises ``ValueError``."""
        self._keys = _derived(secrets)
        self._label = self._keys[0][0]
        self._ciphers = {}
        self.prepare()

    def seal(self, data: bytes, context: bytes) -> str:
        """Return ``data`` as URL-safe text. Raises ``ValueError`` for more than ``max_bytes``."""
        if len(data) > self._max_bytes:
            raise ValueError(f"sealer: {len(data)} bytes to seal, at most {self._max_bytes} are accepted")
        if not self._ciphers:
            self.prepare()
        nonce = self._random(_NONCE_BYTES)
        sealed = self._label + nonce + self._ciphers[self._label].encrypt(nonce, data, context)
        return b2a_base64(sealed, newline=False).rstrip(b"=").translate(_TO_URL_SAFE).decode("ascii")

    def open(self, text: str, context: bytes) -> bytes | None:
        """Return the data of ``text``, or None where it was not sealed with one of the secrets for ``context``."""
        if not 0 < len(text) <= self._max_text or not text.isascii() or text[-1] not in _LAST_CHARACTER[len(text) & 3]:
            return None
        try:
            raw = a2b_base64(text.encode().translate(_FROM_URL_SAFE) + b"=" * (-len(text) % 4), strict_mode=True)
        except _Base64Error:
            return None
        if not self._ciphers:
            self.prepare()
        cipher = self._ciphers.get(raw[:LABEL_BYTES])
        if cipher is None or len(raw) < _BODY_AT + _TAG_BYTES:
            return None
        try:
            return cipher.decrypt(raw[LABEL_BYTES:_BODY_AT], raw[_BODY_AT:], context)
        except self._unopened:
            return None


def _derived(secrets: Sequence[str | bytes]) -> list[tuple[bytes, bytes]]:
    if not 1 <= len(secrets) <= MAX_SECRETS:
        raise ValueError(f"sealer: {len(secrets)} secrets were given, expected 1 to {MAX_SECRETS}")
    return [named_key(secret, _INFO, "sealer") for secret in secrets]
