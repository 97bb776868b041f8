"""Values of encrypted fields with AES-256-GCM (NIST SP 800-38D)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING
from uuid import UUID

from mainstay.adapters.crypto.derivation import KEY_BYTES, LABEL_BYTES, expanded, named_key
from mainstay.ports.encryption import EncryptionKeyMissing, FieldCipher, ValueUnreadable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MAX_SECRETS = 8
_INFO = b"mainstay encrypted fields, version 1"
_FORM = b"\1"
_NONCE_BYTES = 12
_NONCE_AT = len(_FORM) + LABEL_BYTES
_BODY_AT = _NONCE_AT + _NONCE_BYTES
_TAG_BYTES = 16


class AesFieldCipher(FieldCipher):
    """Encrypt with the first of ``secrets``, decrypt with any: put a new one first, drop the old when none needs it.

    Each secret has at least 32 bytes; its key and the label that finds the key again are derived by HKDF (RFC 5869),
    and of that a key for each field. So the 2**32 values that may be encrypted under one key with random nonces (SP
    800-38D, section 8.3) are those of one field.

    A value is: form (1 byte), label (4), nonce (12), ciphertext, tag (16). Form and label, the field and the row's id
    are authenticated with it.

    The ``cryptography`` package is loaded at the first use: a service without encrypted fields never has it.

    Raises ``ValueError`` for no secret, too many, or one that is too short.
    """

    def __init__(self, secrets: Sequence[str | bytes]) -> None:
        if not 1 <= len(secrets) <= MAX_SECRETS:
            raise ValueError(f"encryption: {len(secrets)} secrets were given, expected 1 to {MAX_SECRETS}")
        keys = [named_key(secret, _INFO, "encryption") for secret in secrets]
        self._keys = dict(reversed(keys))
        self._label = keys[0][0]
        self._head = _FORM + self._label
        self._ciphers: dict[tuple[bytes, bytes], AESGCM] = {}
        self._unopened: type[Exception] = Exception  # what a cipher raises; known with the ciphers
        self._random = os.urandom

    @property
    def present(self) -> str:
        return self._label.hex()

    def encrypt(self, value: bytes, label: bytes, row: UUID) -> bytes:
        cipher = self._ciphers.get((self._label, label)) or self._cipher(self._label, label)
        nonce, head = self._random(_NONCE_BYTES), self._head
        return head + nonce + cipher.encrypt(nonce, value, _bound(head, label, row))

    def decrypt(self, stored: bytes, label: bytes, row: UUID) -> bytes:
        if not self._is_formed(stored):
            raise ValueUnreadable("it has not the form of an encrypted value")
        head = stored[:_NONCE_AT]
        key = head[len(_FORM) :]
        cipher = self._ciphers.get((key, label)) or self._cipher(key, label)
        try:
            return cipher.decrypt(stored[_NONCE_AT:_BODY_AT], stored[_BODY_AT:], _bound(head, label, row))
        except self._unopened:
            raise ValueUnreadable("it was encrypted for another place or with another key, or was changed") from None

    def key_of(self, stored: bytes) -> str:
        return stored[len(_FORM) : _NONCE_AT].hex() if self._is_formed(stored) else ""

    @staticmethod
    def _is_formed(stored: bytes) -> bool:
        return stored.startswith(_FORM) and len(stored) >= _BODY_AT + _TAG_BYTES

    def _cipher(self, key: bytes, label: bytes) -> AESGCM:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        self._unopened = InvalidTag
        drawn = self._keys.get(key)
        if drawn is None:
            raise EncryptionKeyMissing
        made = self._ciphers[key, label] = AESGCM(expanded(drawn, _INFO + b"\0" + label, KEY_BYTES))
        return made


def _bound(head: bytes, label: bytes, row: UUID) -> bytes:
    """Return what is authenticated with a value; head and id have one length each, so that no two are alike."""
    return head + row.bytes + label
