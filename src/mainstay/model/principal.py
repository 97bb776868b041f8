"""Who a call is made for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from mainstay.model.circumstances import Circumstances

_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller: a person, a machine, the service itself, or nobody known.

    ``id`` is what ``owner(...)`` policies compare with: the token's subject where it is a UUID, else a UUIDv5 made from
    issuer and subject. ``claims`` holds what else the credentials said, ``attributes`` what the service itself knows of
    the caller (``service.attributes``). Where somebody acts for the caller, ``actor`` is who (RFC 8693, section 4.1).
    ``circumstances`` are there while a call is decided whose service has policies that ask for them. ``certificate`` is
    the name in the client certificate that the call's connection was made with, which no token can say.
    """

    id: UUID
    subject: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    tenant: str | None = None
    claims: Mapping[str, Any] = _NOTHING
    authenticated: bool = True
    is_system: bool = False
    actor: Principal | None = None
    attributes: Mapping[str, Any] = _NOTHING
    circumstances: Circumstances | None = None
    certificate: str | None = None

    def acting_for(self, tenant: str) -> Principal:
        """Return this principal as it acts for a tenant: what a job does by itself, it does for one."""
        return msgspec.structs.replace(self, tenant=tenant)

    def acted_for_by(self, actor: Principal) -> Principal:
        """Return this principal as somebody acts for it: whose rows they are stays, what may be done is what both may.

        The roles and scopes are those that both have. Raises ``ValueError`` for an actor that is nobody known, is the
        service itself, or belongs to another tenant.
        """
        if not actor.authenticated or actor.is_system or self.is_system or not self.authenticated:
            raise ValueError("only a known caller acts for another, and neither of them is the service itself")
        if actor.tenant is not None and actor.tenant != self.tenant:
            raise ValueError("an actor of one tenant acts for nobody of another")
        return msgspec.structs.replace(
            self, roles=self.roles & actor.roles, scopes=self.scopes & actor.scopes, actor=actor
        )

    def connected_by(self, certificate: str | None) -> Principal:
        """Return this principal as it calls over a connection that was made with this client certificate (or none)."""
        return msgspec.structs.replace(self, certificate=certificate)

    anonymous: ClassVar[Principal]
    system: ClassVar[Principal]


Principal.anonymous = Principal(id=UUID(int=0), subject="anonymous", authenticated=False)
Principal.system = Principal(id=UUID(int=1), subject="system", is_system=True)
