"""Accounts in tests: the real parts, with hashes that cost next to nothing and letters that stay in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

from mainstay.adapters.argon.hasher import ArgonHasher
from mainstay.adapters.argon.rules import ListedPasswords
from mainstay.app.identity_accounts import completed
from mainstay.identity.declaration import Identity
from mainstay.model.service import Service
from mainstay.ports.mail import Mailer
from mainstay.ports.passwords import PasswordHasher, PasswordRules


def with_quick_accounts(service: Service, letters: Mailer) -> Service:
    """Return the service with what its accounts need in a test, where it has them."""
    if not isinstance(service.identity, Identity):
        return service

    def chosen() -> PasswordRules:
        return ListedPasswords(least=8, most=256, service=service.title)

    parts = {PasswordHasher: (_quick, False), PasswordRules: (chosen, False), Mailer: (lambda: letters, True)}
    return completed(service, service.identity, parts)


async def _quick() -> AsyncIterator[PasswordHasher]:
    made = ArgonHasher(memory=8, iterations=1)
    try:
        yield made
    finally:
        made.close()
