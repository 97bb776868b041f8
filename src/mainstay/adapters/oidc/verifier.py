"""Tokens of several issuers: which of them made a token, and what it is trusted for."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
from cachebox import LRUCache

from mainstay.adapters.oidc.keys import IssuerKeys, kept_fresh
from mainstay.adapters.oidc.problems import CHALLENGE, TokenPartyRefused, TokenTypeRefused
from mainstay.model.principal import Principal
from mainstay.ports.tokens import TokenVerifier

S = TypeVar("S", bound=msgspec.Struct)

_MEDIA = "application/"


class TrustedIssuer(msgspec.Struct, frozen=True, kw_only=True):
    """An issuer and what it is trusted for.

    ``types`` are those of its tokens (RFC 7515, section 4.1.9, in lower case and without ``application/``); none: any
    that is a token of access at all. ``parties`` are the clients whose tokens are taken (``azp``, or ``client_id`` as
    RFC 9068 has it); none: of all clients.
    """

    keys: IssuerKeys
    types: frozenset[str] = frozenset()
    parties: frozenset[str] = frozenset()

    def check_type(self, kind: str | None) -> None:
        """Raise ``TokenTypeRefused`` for a type that is not of this issuer."""
        if self.types and (kind or "").lower().removeprefix(_MEDIA) not in self.types:
            raise TokenTypeRefused(headers=CHALLENGE)

    def check_party(self, who: Principal) -> Principal:
        """Return a principal whose client is accepted. Raises ``TokenPartyRefused``."""
        if self.parties:
            party = who.claims.get("azp", who.claims.get("client_id"))
            if not isinstance(party, str) or party not in self.parties:
                raise TokenPartyRefused(headers=CHALLENGE)
        return who


class _Header(msgspec.Struct, frozen=True):
    typ: str | None = None


class _Payload(msgspec.Struct, frozen=True):
    iss: str = ""


class IssuersVerifier(TokenVerifier):
    """Verify the tokens of trusted issuers; what none of them has made is for ``others``.

    Whose a token is is read before anything of it is proven, and only says which keys are to prove it: the verifier
    of an issuer compares the issuer itself. ``cache_size`` tokens are remembered with their issuer once they were good.
    """

    def __init__(self, issuers: Sequence[TrustedIssuer], others: TokenVerifier, *, cache_size: int = 4096) -> None:
        self._issuers = {one.keys.issuer: one for one in issuers}
        if len(self._issuers) != len(issuers):
            raise ValueError("issuers: one of them is named twice")
        self._others = others
        self._made_by: LRUCache[bytes, TokenVerifier] = LRUCache(max(cache_size, 1))
        self._remembers = cache_size > 0

    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        """Return the principal of a token, or what will have it. Raises ``Unauthenticated`` or ``IssuerAway``."""
        known = self._made_by.get(token)
        if known is not None:
            return known.verify(token)
        header, _, rest = token.partition(b".")
        payload = _peek(rest.partition(b".")[0], _Payload)
        issuer = None if payload is None else self._issuers.get(payload.iss)
        if issuer is None:
            return self._others.verify(token)
        head = _peek(header, _Header)
        issuer.check_type(None if head is None else head.typ)
        found = issuer.keys.verify(token)
        if not isinstance(found, Principal):
            return self._later(issuer, found)
        issuer.check_party(found)
        if self._remembers:
            self._made_by.insert(token, issuer.keys)
        return found

    @staticmethod
    async def _later(issuer: TrustedIssuer, waiting: Awaitable[Principal]) -> Principal:
        return issuer.check_party(await waiting)

    @asynccontextmanager
    async def living(self) -> AsyncIterator[None]:
        """Keep the keys of all issuers fresh until the block ends. An issuer that is away holds nothing up."""
        async with kept_fresh([one.keys for one in self._issuers.values()]):
            yield


def _peek(segment: bytes, form: type[S]) -> S | None:
    """Read a segment of a token that nothing is known of; None where it cannot be read."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)), type=form)
    except (msgspec.DecodeError, Base64Error, ValueError, RecursionError):
        return None
