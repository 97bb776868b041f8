"""Tokens: who is calling, from the credentials that a protocol carried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable

from mainstay.model.principal import Principal


class TokenVerifier(ABC):
    """Turn a bearer token into a principal.

    ``verify`` answers at once where it can (a cached token, a local key) and returns an awaitable only where it must
    wait. It raises ``Unauthenticated`` with a code that names the fault and never the token.
    """

    @abstractmethod
    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        """Return the principal of ``token`` (the compact JWS as it stood in the header, without its scheme)."""
