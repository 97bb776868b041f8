"""Who a call is made for."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar
from uuid import UUID

import msgspec

_NO_CLAIMS: Mapping[str, Any] = MappingProxyType({})


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller: a person, a machine, the service itself, or nobody known.

    ``id`` is what ``owner(...)`` policies compare with: the token's subject where it is a UUID, else a UUIDv5 made from
    issuer and subject. ``claims`` holds what else the credentials said. ``certificate`` is the name in the client
    certificate that the call's connection was made with, which no token can say.
    """

    id: UUID
    subject: str = ""
    roles: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    tenant: str | None = None
    claims: Mapping[str, Any] = _NO_CLAIMS
    authenticated: bool = True
    is_system: bool = False
    certificate: str | None = None

    def acting_for(self, tenant: str) -> Principal:
        """Return this principal as it acts for a tenant: what a job does by itself, it does for one."""
        return msgspec.structs.replace(self, tenant=tenant)

    def connected_by(self, certificate: str | None) -> Principal:
        """Return this principal as it calls over a connection that was made with this client certificate (or none)."""
        return msgspec.structs.replace(self, certificate=certificate)

    anonymous: ClassVar[Principal]
    system: ClassVar[Principal]


Principal.anonymous = Principal(id=UUID(int=0), subject="anonymous", authenticated=False)
Principal.system = Principal(id=UUID(int=1), subject="system", is_system=True)
