"""What the doors of OAuth need of the parts beside them: who signs, and what the service is called outside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import msgspec

from mainstay.ports.unit_of_work import UnitOfWork


class TokenMint(ABC):
    """Sign tokens in the service's own name, such as its own verifier takes."""

    @abstractmethod
    async def access(
        self,
        unit: UnitOfWork,
        subject: UUID,
        *,
        client: str,
        scopes: Sequence[str],
        tenant: str | None,
        seconds: int,
        claims: Mapping[str, Any],
    ) -> str:
        """Return an access token (RFC 9068) for a client, with the service itself as its audience.

        It holds no longer than until the subject, or the grant that ``claims`` name as ``sid``, ``end``s.
        """

    @abstractmethod
    async def sign(self, claims: Mapping[str, Any], *, typ: str) -> str:
        """Return the claims as a signed token of a type (RFC 7515, section 4.1.9)."""

    @abstractmethod
    def opened(self, token: str) -> Mapping[str, Any] | None:
        """Return the claims of an access token that was signed here and has not ended, else None."""

    @abstractmethod
    async def end(self, unit: UnitOfWork, of: UUID) -> None:
        """Have access tokens hold no more, on every replica, once this unit of work is committed.

        ``of`` is the grant that they were made for, or the client itself.
        """

    @abstractmethod
    def public_jwks(self) -> bytes:
        """Return the public keys as a JWK set (RFC 7517)."""

    @property
    @abstractmethod
    def algorithms(self) -> Sequence[str]:
        """The algorithms that may be signed with (RFC 7518, section 3.1)."""


class OAuthRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the declaration and the settings say together. Times are in seconds.

    ``issuer`` is the URL that the service is reached by from outside, and its name as an issuer; ``path`` is where the
    doors begin below it. ``page`` is where accounts are asked for their consent. ``scopes`` are those that clients may
    be given, each with what it lets them do, in words for people.
    """

    issuer: str
    path: str
    page: str
    audience: str
    scopes: Mapping[str, str]
    code_seconds: int = 60
    access_seconds: int = 600
    refresh_seconds: int = 14 * 86_400

    def url(self, place: str) -> str:
        """Return the URL of a door."""
        return f"{self.issuer.rstrip('/')}{self.path}/oauth/{place}"
