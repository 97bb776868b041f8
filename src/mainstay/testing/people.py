"""Who a test speaks for."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Mapping
from types import MappingProxyType
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.ports.tokens import TokenVerifier


def as_principal(
    name: str = "ann",
    *,
    roles: str | Iterable[str] = (),
    scopes: str | Iterable[str] = (),
    tenant: str | None = None,
    attributes: Mapping[str, Any] = MappingProxyType({}),
    **claims: Any,
) -> Principal:
    """Return a caller with a name: ``as_principal("ann", roles="manager", region="north")``.

    The same name always has the same id. ``attributes`` are what a service without a source of them knows of the
    caller. Every other keyword is a claim.
    """
    return Principal(
        id=_id(name),
        subject=name,
        roles=_names(roles),
        scopes=_names(scopes),
        tenant=tenant,
        claims=MappingProxyType(claims),
        attributes=attributes,
    )


def _id(name: str) -> UUID:
    try:
        return UUID(name)
    except ValueError:
        return uuid5(NAMESPACE_URL, f"principal:{name}")


def _names(given: str | Iterable[str]) -> frozenset[str]:
    return frozenset((given,) if isinstance(given, str) else given)


class KnownPeople(TokenVerifier):
    """Knows the tokens that it gave out itself, and no other."""

    def __init__(self) -> None:
        self._known: dict[bytes, Principal] = {}
        self._given: list[tuple[Principal, str]] = []

    def token(self, who: Principal) -> str:
        """Return a token of a caller."""
        for known, token in self._given:
            if known == who:
                return token
        made = f"token-{len(self._given) + 1}"
        self._given.append((who, made))
        self._known[made.encode()] = who
        return made

    def change(self, who: Principal, now: Principal | None) -> None:
        """Have the token of a caller stand for another from now on; None: it counts no more."""
        token = self.token(who).encode()
        if now is None:
            self._known.pop(token, None)
        else:
            self._known[token] = now

    def verify(self, token: bytes) -> Principal | Awaitable[Principal]:
        try:
            return self._known[token]
        except KeyError:
            raise Unauthenticated("the token is not known") from None
