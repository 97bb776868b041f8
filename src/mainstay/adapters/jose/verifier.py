"""Bearer JWTs (RFC 7519, checked as RFC 8725 advises) to principals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from cachebox import LRUCache

from mainstay.adapters.jose.delegation import acted_for
from mainstay.adapters.jose.encoding import decode_object
from mainstay.adapters.jose.jws import JwsVerifier
from mainstay.adapters.jose.keys import Key
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock
from mainstay.ports.refused_tokens import (
    TokenClaimsRefused,
    TokenExpired,
    TokenMalformed,
    TokenNotYetValid,
    TokenWrongAudience,
    TokenWrongIssuer,
)
from mainstay.ports.tokens import TokenVerifier

MAX_LEEWAY = 300  # seconds
MAX_SUBJECT = 255  # characters; OpenID Connect Core, section 2
_MAX_SETS = 1024
_MAX_DATE = 2**53  # the integers that every JSON reader agrees on
_RESERVED_IDS = (Principal.anonymous.id, Principal.system.id)


class JwtVerifier(TokenVerifier):
    """Verify signed JWTs with keys that are at hand; answers at once, never waits.

    ``issuer`` is compared whole; the token must be meant for ``audience`` (or one of several). ``leeway`` is the clock
    difference that is forgiven, in seconds (0 to 300). ``roles_claim`` names a list of strings or one string separated
    by spaces; a name with dots that is no claim itself is followed inwards (``realm_access.roles``). Of
    ``scopes_claims`` the first that is there counts. ``cache_size`` tokens are remembered (0: none), keyed by the whole
    token; each use of one asks the clock anew. Tokens over ``max_bytes`` are refused unread. ``types`` are those
    that the issuer gives its tokens; where there are none, a token without a type passes too.

    Raises ``ValueError`` for settings that make no sense.
    """

    def __init__(
        self,
        keys: Sequence[Key],
        *,
        issuer: str,
        audience: str | Sequence[str],
        clock: Clock,
        leeway: float = 30,
        roles_claim: str = "roles",
        scopes_claims: Sequence[str] = ("scope", "scopes", "scp"),
        tenant_claim: str = "tenant",
        cache_size: int = 4096,
        max_bytes: int = 8192,
        types: Sequence[str] = (),
    ) -> None:
        audiences = frozenset([audience] if isinstance(audience, str) else audience)
        if not issuer:
            raise ValueError("tokens: issuer is empty; give the iss that the tokens carry")
        if not audiences or "" in audiences:
            raise ValueError("tokens: audience is empty; give the aud that names this service")
        if not 0 <= leeway <= MAX_LEEWAY:
            raise ValueError(f"tokens: leeway is {leeway} seconds, expected 0 to {MAX_LEEWAY}")
        if cache_size < 0 or max_bytes < 1:
            raise ValueError("tokens: cache_size and max_bytes must not be negative")
        self._payload_of = JwsVerifier(keys, types).verify
        self._issuer = issuer
        self._namespace = uuid5(NAMESPACE_URL, issuer)
        self._audiences = audiences
        self._time = clock.time
        self._leeway = leeway
        self._roles_claim = roles_claim
        self._scopes_claims = tuple(scopes_claims)
        self._tenant_claim = tenant_claim
        self._max_bytes = max_bytes
        # cachebox reads a size of 0 as "no bound"
        self._cache: LRUCache[bytes, tuple[Principal, float, float]] = LRUCache(max(cache_size, 1))
        self._sets: dict[frozenset[str], frozenset[str]] = {}
        self._remember: Callable[..., object] = self._cache.insert if cache_size else lambda *_: None

    def verify(self, token: bytes) -> Principal:
        """Return the principal of ``token``. Raises a subclass of ``Unauthenticated`` whose code names the fault."""
        found = self._cache.get(token)
        if found is not None:
            principal, begins, ends = found
            now = self._time()
            if begins <= now < ends:
                return principal
            raise (TokenExpired if now >= ends else TokenNotYetValid)
        if len(token) > self._max_bytes:
            raise TokenMalformed("The token is longer than is accepted.")
        payload = self._payload_of(token)
        try:
            claims = decode_object(payload)
        except ValueError:
            raise TokenMalformed("The payload is not a JSON object with each member once.") from None
        begins, ends = self._period(claims)
        self._check_parties(claims)
        principal = self._principal(claims)
        self._remember(token, (principal, begins, ends))
        return principal

    def use(self, keys: Sequence[Key]) -> None:
        """Verify with these keys from now on, and forget what others have signed. Raises ``KeyRefused``."""
        self._payload_of = JwsVerifier(keys).verify
        self._cache.clear()

    def _period(self, claims: Mapping[str, Any]) -> tuple[float, float]:
        """Return the seconds since the epoch from and until which the token is good, leeway included."""
        now = self._time()
        if "exp" not in claims:
            raise TokenClaimsRefused("The token never expires: it has no exp claim.")
        ends = _date(claims["exp"]) + self._leeway
        begins = max(_date(claims.get("nbf", 0)), _date(claims.get("iat", 0))) - self._leeway
        if now >= ends:
            raise TokenExpired
        if now < begins:
            raise TokenNotYetValid
        return begins, ends

    def _check_parties(self, claims: Mapping[str, Any]) -> None:
        if claims.get("iss") != self._issuer:
            raise TokenWrongIssuer
        audience = claims.get("aud")
        if isinstance(audience, str):
            if audience in self._audiences:
                return
        elif audience is not None and not self._audiences.isdisjoint(_words(audience, "aud")):
            return
        raise TokenWrongAudience

    def _principal(self, claims: dict[str, Any]) -> Principal:
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
            raise TokenClaimsRefused(f"The sub claim must be a printable string of 1 to {MAX_SUBJECT} characters.")
        tenant = claims.get(self._tenant_claim)
        if tenant is not None and (not isinstance(tenant, str) or not tenant or not tenant.isprintable()):
            raise TokenClaimsRefused("The tenant claim must be a printable string.")
        principal = Principal(
            id=self._id(subject),
            subject=subject,
            roles=self._shared(_words(self._roles(claims), "roles")),
            scopes=self._shared(_words(self._scopes(claims), "scope")),
            tenant=tenant,
            claims=MappingProxyType(claims),
        )
        return acted_for(principal, claims, id_of=self._id, words_of=_words)

    def _shared(self, words: frozenset[str]) -> frozenset[str]:
        """Return one set for all tokens that say the same: of a remembered token it was the fifth part."""
        known = self._sets.get(words)
        if known is None:
            known = words
            if len(self._sets) < _MAX_SETS:
                self._sets[words] = words
        return known

    def _id(self, subject: str) -> UUID:
        # One spelling only (RFC 9562, section 4): two subjects must not become one principal by braces or hyphens.
        if len(subject) == 36:
            try:
                found = msgspec.convert(subject, UUID)
            except msgspec.ValidationError:
                return uuid5(self._namespace, subject)
            if found in _RESERVED_IDS:
                raise TokenClaimsRefused("The sub claim is an id that no token may carry.")
            return found
        return uuid5(self._namespace, subject)

    def _roles(self, claims: Mapping[str, Any]) -> Any:
        name = self._roles_claim
        if name in claims or "." not in name:
            return claims.get(name)
        value: Any = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return value

    def _scopes(self, claims: Mapping[str, Any]) -> Any:
        for name in self._scopes_claims:
            if name in claims:
                return claims[name]
        return None


def _date(value: Any) -> float:
    """Return a NumericDate (RFC 7519, section 2): seconds since the epoch, not a boolean, not a string."""
    if type(value) not in (int, float) or not -_MAX_DATE < value < _MAX_DATE:
        raise TokenClaimsRefused("The claims exp, nbf and iat must be numbers of seconds since 1970.")
    return value  # type: ignore[no-any-return]  # its type was checked a line above


def _words(value: Any, what: str) -> frozenset[str]:
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset(value.split())
    if isinstance(value, list):
        try:
            "".join(value)  # the shortest way to ask whether all are strings
        except TypeError:
            pass
        else:
            return frozenset(value)
    raise TokenClaimsRefused(f"The {what} claim is neither a string nor a list of strings.")
