"""Tenancy: rows that belong to a tenant, seen and changed by callers of that tenant only."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.conditions import FALSE, Compare, Condition
from mainstay.model.policy import Both, Policy, RowPolicy
from mainstay.model.principal import Principal

TENANT_LENGTH = 255
"""How long a tenant's name may be, where its field does not say."""


class Tenancy(RowPolicy, frozen=True):
    """Rows whose field holds the caller's tenant.

    A caller without a tenant sees none, unless ``across`` allows it those of all tenants; one that has a tenant is
    bound to it, whatever ``across`` says. ``kind`` is the type of the field: a text, or a UUID.
    """

    field: str
    across: Policy | None = None
    kind: type = str

    def of(self, who: Principal) -> Any:
        """Return the caller's tenant as a value of the field, or None where the caller has none that fits."""
        if not who.tenant or self.kind is str:
            return who.tenant or None
        try:
            return msgspec.convert(who.tenant, self.kind)
        except msgspec.ValidationError:
            return None

    def reduce(self, who: Principal) -> Condition:
        if not who.tenant:
            return FALSE if self.across is None else self.across.reduce(who)
        tenant = self.of(who)
        return FALSE if tenant is None else Compare(self.field, "eq", tenant)

    @property
    def circumstantial(self) -> bool:
        return self.across is not None and self.across.circumstantial

    def __repr__(self) -> str:
        across = "" if self.across is None else f", across={self.across!r}"
        return f"tenancy({self.field!r}{across})"


def tenancy(field: str, *, across: Policy | None = None) -> Tenancy:
    """Bind rows to a tenant: ``class Order(Entity, tenant=tenancy("tenant_id", across=role("operator")))``.

    ``field`` holds the tenant. ``across`` says who, without a tenant of their own, may work on the rows of all of them:
    a row that they add must name its tenant. Without it nobody may: ``tenant="tenant_id"`` says that too.
    """
    return Tenancy(field, across)


def opened(policy: Policy | None, tenant: Tenancy) -> Policy | None:
    """Return the policy of a plan with another tenancy in the place of its own, which stands first in it."""
    return Both(tenant, policy.right) if isinstance(policy, Both) else tenant


TENANT_KINDS = (str, UUID)
"""The types that the field of a tenant may have."""
