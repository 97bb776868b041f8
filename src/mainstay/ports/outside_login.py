"""Outside providers: who somebody is, by the word of a service that they have logged in to."""

from __future__ import annotations

from abc import ABC, abstractmethod

import msgspec

from mainstay.model.problem import Unauthenticated


class OutsidePerson(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a provider. ``subject`` is theirs for good at this issuer; an address is what they have now."""

    issuer: str
    subject: str
    email: str | None = None
    email_verified: bool = False
    name: str = ""


class OutsideRefused(Unauthenticated):
    """The provider has not said who this is."""


class OutsideProviders(ABC):
    """Send people to providers, and ask these who came back (OpenID Connect Core, section 3.1).

    Both raise ``LookupError`` for a provider that there is not, and ``Unavailable`` where it does not answer.
    """

    @abstractmethod
    async def location(self, provider: str, *, redirect_uri: str, state: str, nonce: str, challenge: str) -> str:
        """Return the URL that a browser is sent to; ``challenge`` is that of a verifier (RFC 7636, S256)."""

    @abstractmethod
    async def person(
        self, provider: str, *, code: str, redirect_uri: str, verifier: str, nonce: str, issuer: str | None
    ) -> OutsidePerson:
        """Return who a code is of. ``issuer`` is what the answer said in ``iss`` (RFC 9207; None: it said nothing).

        Raises ``OutsideRefused`` where the code is not good, or what the provider says of it cannot be believed.
        """
