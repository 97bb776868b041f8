"""Tokens: who is calling, from the credentials that a protocol carried."""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Awaitable

from mainstay.model.principal import Principal
from mainstay.model.problem import Forbidden

SESSION_MARK = b"mst_"
"""What the secret of a browser's session begins with: nothing else counts that a client sends by itself."""


class CrossSiteRefused(
    Forbidden, hint="Call from a page of this origin, or send the session's csrf_token as X-CSRF-Token."
):
    """What a browser sends by itself counts for pages of this site only."""


class TokenVerifier(ABC):
    """Turn a bearer token into a principal.

    ``verify`` answers at once where it can (a cached token, a local key) and returns an awaitable only where it must
    wait. It raises ``Unauthenticated`` with a code that names the fault and never the token. Of what a client sends by
    itself, one that holds no more is as if it was not sent: that is the anonymous principal.
    """

    @abstractmethod
    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        """Return the principal of ``token`` (the compact JWS as it stood in the header, without its scheme)."""


def forgery_token(session: bytes) -> str:
    """Return what a page of ours can send beside its session, and no page of another site (a CSRF token).

    It is made from the session's secret, which it does not tell: 64 hexadecimal digits.
    """
    return hmac.digest(session, b"mainstay forgery token", "sha256").hex()
