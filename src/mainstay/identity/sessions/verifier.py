"""Who calls, of all credentials that there are: our access tokens, sessions of browsers, API keys, tokens of others.

What was good is remembered, and every use of it asks anew for the time and for whether anything was revoked since. Both
are answered from memory: as long as no epoch has been raised anywhere, that is one comparison of numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from mainstay.identity.sessions.credentials import CredentialRows, Found
from mainstay.identity.sessions.issuing import DELEGATED, EPOCH_CLAIM
from mainstay.identity.sessions.keys import KnownKey, SigningKeys
from mainstay.identity.sessions.opaque import API_KEY_MARK
from mainstay.identity.sessions.problems import ApiKeyRefused, TokenRevoked
from mainstay.identity.sessions.rules import SessionRules
from mainstay.identity.sessions.uses import Uses
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock
from mainstay.ports.epochs import MAX_AGE, Epochs
from mainstay.ports.refused_tokens import (
    TokenBadSignature,
    TokenClaimsRefused,
    TokenExpired,
    TokenMalformed,
    TokenNotYetValid,
    TokenRefused,
    TokenUnknownKey,
    TokenWrongAudience,
    TokenWrongIssuer,
)
from mainstay.ports.tokens import SESSION_MARK, TokenVerifier

RELOAD_SECONDS = 60.0
"""How long what was read of a session or an API key is used before it is read again."""

MAX_BYTES = 8192
RETRY_SECONDS = 0.25
"""How long after a look for other signing keys none is made for the sake of a token with an unknown one."""

_KEY_MARK = API_KEY_MARK.encode()
_RESERVED_IDS = (Principal.anonymous.id, Principal.system.id)


class Known(msgspec.Struct):
    """A credential that was good. ``limits`` are the epochs beyond which it is to be looked at again."""

    principal: Principal
    begins: float
    ends: float  # both in seconds since the epoch
    generation: int  # of the epochs when it was looked at for the last time
    limits: tuple[tuple[UUID, int], ...]


class IdentityVerifier(TokenVerifier):
    """Tells credentials apart by how they begin, and judges each by its kind.

    ``others`` judges the tokens of other issuers, as without identity. ``leeway`` in seconds is forgiven to clocks of
    replicas that are behind. ``size`` credentials are remembered at least.
    """

    def __init__(
        self,
        *,
        epochs: Epochs,
        keys: SigningKeys,
        rules: SessionRules,
        uses: Uses,
        clock: Clock,
        others: TokenVerifier | None,
        leeway: float,
        size: int = 4096,
    ) -> None:
        self._epochs = epochs
        self._keys = keys
        self._rules = rules
        self._uses = uses
        self._others = others
        self._leeway = leeway
        self._size = size
        self._rows: CredentialRows | None = None
        self._time = clock.time
        self._monotonic = clock.monotonic
        self._young: dict[bytes, Known] = {}  # remembered since the last change of guard
        self._old: dict[bytes, Known] = {}  # before that: what is not used again is gone with the next
        self._looking: dict[bytes, asyncio.Task[Principal]] = {}

    def open(self, rows: CredentialRows) -> None:
        """Say where sessions and API keys are looked up."""
        self._rows = rows

    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        """Return the principal of a credential; an awaitable where the store must be asked."""
        known = self._young.get(token)
        if (
            known is not None
            and known.generation == self._epochs.generation
            and known.begins <= self._time() < known.ends
            and self._monotonic() < self._epochs.until
        ):
            return known.principal
        return self._judge(token)

    async def own(self, token: bytes) -> Principal | None:
        """Return whom an access token of this service's own speaks for; None for one that holds no more, or is none.

        Raises ``RevocationsUnknown``.
        """
        if not self._keys.may_be_ours(token):
            return None
        try:
            judged = self.verify(token)
            who = judged if isinstance(judged, Principal) else await judged
        except TokenRefused:
            return None
        # Another issuer may begin its tokens as we do, and be trusted.
        return who if who.claims.get("iss") == self._rules.issuer else None

    def _judge(self, token: bytes) -> Principal | Awaitable[Principal]:
        if len(token) > MAX_BYTES:
            raise TokenMalformed("The token is longer than is accepted.")
        by_row = token.startswith((SESSION_MARK, _KEY_MARK))
        key = None if by_row else self._keys.of_header(token[: token.find(b".")])
        if key is None and not by_row and not self._is_ours(token):
            if self._others is None:
                raise TokenUnknownKey
            return self._others.verify(token)
        if self._monotonic() >= self._epochs.until or (key is None and not by_row):
            return self._after_refresh(token)
        known = self._recall(token, key)
        if known is not None:
            return known.principal
        return self._signed(token, key) if key is not None else self._look_up(token)

    def _is_ours(self, token: bytes) -> bool:
        """Whether a token of no known key begins as ours do, so that another replica's new key may have signed it."""
        return self._keys.may_be_ours(token) and self._monotonic() >= self._epochs.until - MAX_AGE + RETRY_SECONDS

    async def _after_refresh(self, token: bytes) -> Principal:
        """Judge a credential when it is known again what was revoked, and which keys there are.

        Raises ``RevocationsUnknown``.
        """
        await self._epochs.refresh()
        judged = self._judge(token)
        return judged if isinstance(judged, Principal) else await judged

    def _recall(self, token: bytes, key: KnownKey | None) -> Known | None:
        """Return what is remembered of a credential where it still holds. ``key`` is the one that signed a token.

        Raises ``TokenRevoked``, ``TokenExpired`` or ``TokenNotYetValid`` for a token that does not; what has a row is
        looked up again.
        """
        known = self._young.get(token) or self._old.get(token)
        if known is None:
            return None
        if key is not None:
            known.ends = min(known.ends, key.ends)  # it may have been retired since
        now, floor = self._time(), self._epochs.floor
        revoked = any(floor(subject) > limit for subject, limit in known.limits)
        if revoked or not known.begins <= now < known.ends:
            self._young.pop(token, None)
            self._old.pop(token, None)
            if key is None:
                return None
            raise TokenRevoked if revoked else TokenExpired if now >= known.ends else TokenNotYetValid
        known.generation = self._epochs.generation
        self._remember(token, known)
        return known

    def _remember(self, token: bytes, known: Known) -> None:
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[token] = known

    def _signed(self, token: bytes, key: KnownKey) -> Principal:
        """Return the principal of a token that one of our keys signed."""
        claims = None if key.signer is None else key.signer.claims(token)
        if claims is None:
            raise TokenBadSignature
        generation = self._epochs.generation
        known = self._from_claims(claims, key, generation)
        if any(self._epochs.floor(subject) > limit for subject, limit in known.limits):
            raise TokenRevoked
        self._remember(token, known)
        return known.principal

    def _from_claims(self, claims: dict[str, Any], key: KnownKey, generation: int) -> Known:
        """Return what the claims of a token say, which are as we wrote them. Raises a ``TokenRefused``."""
        now, begins, ends = self._time(), claims.get("iat"), claims.get("exp")
        if not isinstance(begins, int) or not isinstance(ends, int):
            raise TokenClaimsRefused("The claims exp and iat must be numbers of seconds since 1970.")
        if now >= min(ends, key.ends):
            raise TokenExpired
        if now < begins - self._leeway:
            raise TokenNotYetValid
        if claims.get("iss") != self._rules.issuer:
            raise TokenWrongIssuer
        if claims.get("aud") != self._rules.audience:
            raise TokenWrongAudience
        subject = _uuid(claims, "sub")
        limits = [(subject, _number(claims, EPOCH_CLAIM))]
        if "sid" in claims:
            session = _uuid(claims, "sid")
            limits.append((session, 0))
            if claims.get("client_id") == self._rules.audience:  # else it is a client's, which is in no session
                claims["sid"] = session
        principal = _principal(claims, subject)
        bounds = begins - self._leeway, min(float(ends), key.ends)
        return Known(principal, *bounds, generation, tuple(limits))

    def _look_up(self, token: bytes) -> Awaitable[Principal]:
        """Ask the store about a credential, once for all calls that come with it meanwhile."""
        task = self._looking.get(token)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._find(token))
            self._looking[token] = task
            task.add_done_callback(lambda done: self._looked(token, done))
        return asyncio.shield(task)

    def _looked(self, token: bytes, done: asyncio.Task[Principal]) -> None:
        self._looking.pop(token, None)
        if not done.cancelled():
            done.exception()  # it is the callers', who may all have left

    async def _find(self, token: bytes) -> Principal:
        assert self._rows is not None  # it is opened before it is asked
        generation = self._epochs.generation
        by_cookie = token.startswith(SESSION_MARK)
        found = await (self._rows.session(token) if by_cookie else self._rows.api_key(token))
        if found is None:
            if by_cookie:
                return Principal.anonymous
            raise ApiKeyRefused
        self._uses.note(found)
        if generation == self._epochs.generation:  # else what was read may be older than what is known now
            self._remember(token, self._known_row(found, generation))
        return found.principal

    def _known_row(self, found: Found, generation: int) -> Known:
        now, floor = self._time(), self._epochs.floor
        limits = tuple((subject, floor(subject)) for subject in (found.principal.id, found.row))
        return Known(found.principal, now - RELOAD_SECONDS, min(found.ends, now + RELOAD_SECONDS), generation, limits)


def _principal(claims: Mapping[str, Any], subject: UUID) -> Principal:
    return Principal(
        id=subject,
        subject=str(subject),
        roles=frozenset(claims.get("roles", ())),
        scopes=frozenset(claims.get("scope", "").split()),
        tenant=claims.get("tenant"),
        claims=MappingProxyType(dict(claims)),
        actor=_client(claims) if claims.get(DELEGATED) is True else None,
    )


def _client(claims: Mapping[str, Any]) -> Principal:
    """Return the client that acts for an account."""
    client = _uuid(claims, "client_id")
    return Principal(id=client, subject=str(client), scopes=frozenset(claims.get("scope", "").split()))


def _uuid(claims: Mapping[str, Any], name: str) -> UUID:
    try:
        found = msgspec.convert(claims.get(name), UUID)
    except msgspec.ValidationError:
        raise TokenClaimsRefused(f"The {name} claim must be a UUID.") from None
    if found in _RESERVED_IDS:
        raise TokenClaimsRefused(f"The {name} claim is an id that no token may carry.")
    return found


def _number(claims: Mapping[str, Any], name: str) -> int:
    found = claims.get(name)
    if not isinstance(found, int):
        raise TokenClaimsRefused(f"The {name} claim must be a number.")
    return found
