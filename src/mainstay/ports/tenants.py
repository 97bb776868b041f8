"""Tenants of rows: which one a new row gets, and which rows it may refer to."""

from __future__ import annotations

from typing import Any

import msgspec

from mainstay.model.conditions import FALSE, Compare, Condition
from mainstay.model.policy import anyone
from mainstay.model.problem import Forbidden
from mainstay.model.tenancy import Tenancy, opened
from mainstay.model.values import UNASSIGNED
from mainstay.ports.unit_of_work import EntityPlan, Frame, Reference, UnitOfWork

_NONE = ("", None, UNASSIGNED)


class NoTenant(Forbidden):
    """The caller acts for no tenant, and such rows belong to one."""


def across_tenants(plan: EntityPlan) -> EntityPlan:
    """Return a plan by which the rows of all tenants are seen and may be added: for who looks behind a service."""
    if plan.tenancy is None:
        return plan
    tenancy = msgspec.structs.replace(plan.tenancy, across=anyone)
    deleted = None if plan.deleted is None else across_tenants(plan.deleted)
    return msgspec.structs.replace(plan, policy=opened(plan.policy, tenancy), tenancy=tenancy, deleted=deleted)


def tenant_for(frame: Frame, plan: EntityPlan, tenancy: Tenancy, row: Any) -> Any:
    """Return the tenant that a new row gets: the caller's, unless it names one. Raises ``NoTenant``.

    That the one it names is within the caller's reach is for the row policy to say.
    """
    named, own = getattr(row, tenancy.field), tenancy.of(frame.who)
    if own is not None:
        return own if named in _NONE else named
    if named in _NONE or tenancy.reduce(frame.who) is FALSE:
        raise NoTenant(f"a {plan.shape.name} belongs to a tenant, and the caller acts for none")
    return named


def tenant_of(plan: EntityPlan, row: Any) -> Any:
    """Return the tenant of a row, or None where its entity has none."""
    return None if plan.tenancy is None else getattr(row, plan.tenancy.field)


def inherited(plan: EntityPlan, parent: Any, target: EntityPlan, child: Any) -> dict[str, Any]:
    """Return what a row of a relation has of the tenant of its parent. Raises ``ValueError`` where it names another."""
    if target.tenancy is None or plan.tenancy is None:
        return {}
    tenant, named = tenant_of(plan, parent), getattr(child, target.tenancy.field)
    if named not in (*_NONE, tenant):
        raise ValueError(f"a {target.shape.name} is of another tenant than its {plan.shape.name}")
    return {target.tenancy.field: tenant}


def reach_within(unit: UnitOfWork, reference: Reference, tenant: Any) -> Condition:
    """Return the condition of the rows that a row of a tenant may refer to.

    Who has a tenant sees its rows only; who works on those of all must not connect one with another. Where ``tenant``
    is None, several rows are meant, of one tenant each that nobody here knows.
    """
    target = unit.frame.plans[reference.entity]
    reach = unit.reach(target)
    if target.tenancy is None or not reference.within or unit.frame.who.tenant:
        return reach
    if tenant is None:
        raise NoTenant(f"{reference.field} names a row of one tenant: act for that tenant")
    return reach & Compare(target.tenancy.field, "eq", tenant)
