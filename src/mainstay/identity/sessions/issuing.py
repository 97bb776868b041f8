"""Access tokens: what is signed in an account's name (RFC 9068)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from mainstay.identity.sessions.epochs import epoch_of
from mainstay.identity.sessions.keys import ACCESS_TYPE, SigningKeys
from mainstay.identity.sessions.opaque import new_secret
from mainstay.identity.sessions.rules import SessionRules
from mainstay.ports.unit_of_work import UnitOfWork

EPOCH_CLAIM = "ep"
"""The claim with the number of the subject's epoch."""

DELEGATED = "delegated"
"""The claim of a token with which a client, who is its ``client_id``, acts for the account that is its subject."""


class AccessTokens:
    """Signs access tokens that this service's own verifier takes."""

    def __init__(self, keys: SigningKeys, rules: SessionRules) -> None:
        self._keys = keys
        self._rules = rules

    async def issue(
        self,
        unit: UnitOfWork,
        subject: UUID,
        *,
        client: str | None = None,
        audience: str | None = None,
        roles: Iterable[str] = (),
        scopes: Iterable[str] = (),
        tenant: str | None = None,
        seconds: int | None = None,
        claims: Mapping[str, Any] | None = None,
    ) -> str:
        """Return a token for a subject, which holds until its end, or until the subject's epoch is raised.

        ``client`` and ``audience`` are the service itself unless they are given; ``seconds`` are at most those of the
        rules, since keys and revocations are kept that long. ``claims`` are further ones.
        """
        rules, issued = self._rules, int(unit.frame.clock.time())
        body: dict[str, Any] = {
            "iss": rules.issuer,
            "aud": audience or rules.audience,
            "client_id": client or rules.audience,
            "sub": str(subject),
            "iat": issued,
            "exp": issued + min(seconds or rules.access, rules.access),
            "jti": new_secret(12).hex(),
            EPOCH_CLAIM: await epoch_of(unit, subject),
        }
        if named := sorted(roles):
            body["roles"] = named
        if granted := sorted(scopes):
            body["scope"] = " ".join(granted)
        if tenant is not None:
            body["tenant"] = tenant
        return await self._keys.sign({**body, **(claims or {})}, typ=ACCESS_TYPE)
