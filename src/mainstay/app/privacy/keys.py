"""The keys of encrypted fields: from the settings, in development from the keys of this clone."""

from __future__ import annotations

from mainstay.adapters.crypto.field_cipher import AesFieldCipher
from mainstay.app import devkey
from mainstay.app.settings import Settings
from mainstay.ports.encryption import FieldCipher


def field_cipher(settings: Settings) -> FieldCipher | None:
    """Return what encrypts fields, or None where no key is set in production.

    Development has a key without one: that of the clone, which opens nothing elsewhere.
    """
    given = settings.encryption
    secrets = [secret.reveal() for secret in (given.key, *given.previous) if secret.reveal()]
    if not secrets and not settings.is_production:
        secrets = [devkey.ensure_keys(settings.state).sealing]
    return AesFieldCipher(secrets) if secrets else None
