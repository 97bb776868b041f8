"""What is checked and set before a row is written, the same for every store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from mainstay.model.checking import check_value
from mainstay.model.conditions import FALSE, TRUE, Among, holds
from mainstay.model.problem import Fault, Forbidden, Invalid
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.structs import STANDARD_FIELDS
from mainstay.model.values import UNASSIGNED
from mainstay.ports.rows import Query, reference_conflict
from mainstay.ports.tenants import reach_within, tenant_for, tenant_of
from mainstay.ports.unit_of_work import EntityPlan, Frame, Reference, UnitOfWork

_MANY_IDS = 500


def prepared(unit: UnitOfWork, plan: EntityPlan, row: Any, pointer: str = "") -> Any:
    """Return a new row as it will be stored: stamped, checked, in normal form, and in the caller's reach.

    Raises ``Invalid`` with the pointers below ``pointer``, and ``Forbidden`` where the row policy would not hold of it.
    """
    made = stamped(unit.frame, plan, row)
    faults = check_row(plan, made, pointer)
    if not faults and plan.normalisers:
        changed = _normal(plan, {name: getattr(made, name) for name in plan.normalisers}, pointer, faults)
        if changed:
            made = msgspec.structs.replace(made, **changed)
    if faults:
        raise Invalid(faults=faults)
    reach = unit.reach(plan)
    if reach is not TRUE and not holds(reach, made):
        raise Forbidden(f"the caller may not have such a {plan.shape.name}")
    return made


def stamped(frame: Frame, plan: EntityPlan, row: Any) -> Any:
    """Return the row with its id, owner and tenant (where it has none), version 1, and its times.

    Raises ``NoTenant`` where the caller has none to give.
    """
    now = frame.clock.now()
    stamp: dict[str, Any] = {"version": 1, "created_at": now, "updated_at": now}
    if row.id == UNASSIGNED:
        stamp["id"] = frame.ids.next()
    for owner in plan.owners:
        if getattr(row, owner) in (UNASSIGNED, None):
            stamp[owner] = frame.who.id
    if plan.soft_delete:
        stamp[DELETED_AT] = None
    if plan.tenancy is not None:
        stamp[plan.tenancy.field] = tenant_for(frame, plan, plan.tenancy, row)
    return msgspec.structs.replace(row, **stamp)


def check_row(plan: EntityPlan, row: Any, pointer: str = "") -> list[Fault]:
    """Return the faults of a whole row."""
    faults: list[Fault] = []
    for name, sound, attribute in plan.verdicts:
        value = getattr(row, name)
        if not sound(value):
            check_value(attribute, value, f"{pointer}/{name}", faults)
    return faults


def checked_changes(plan: EntityPlan, row: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return changes to a row in normal form; ``row`` is None where they are for many rows.

    Raises ``Invalid`` for values that break rules and for immutable fields, and ``TypeError`` for what is no field.
    """
    faults: list[Fault] = []
    for name, value in changes.items():
        attribute = plan.shape.by_name.get(name)
        if attribute is None or attribute.relation is not None:
            raise TypeError(f"{plan.shape.name} has no field {name}")
        if name in STANDARD_FIELDS:
            raise TypeError(f"{plan.shape.name}.{name} is set by the repository")
        pointer = f"/{name}"
        if attribute.spec.immutable and (row is None or value != getattr(row, name)):
            faults.append(Fault("immutable", "is set once and cannot be changed", pointer=pointer))
        else:
            check_value(attribute, value, pointer, faults)
    made = dict(changes)
    if not faults and plan.normalisers:
        made.update(_normal(plan, changes, "", faults))
    if faults:
        raise Invalid(faults=faults)
    return made


def _normal(plan: EntityPlan, values: Mapping[str, Any], pointer: str, faults: list[Fault]) -> dict[str, Any]:
    """Return the values that have another normal form, in it."""
    changed: dict[str, Any] = {}
    for name, normal in plan.normalisers.items():
        value = values.get(name)
        if value is None:
            continue
        try:
            made = normal(value)
        except OverflowError:
            faults.append(Fault("out_of_range", "is out of the range that can be stored", pointer=f"{pointer}/{name}"))
            continue
        if made is not value:
            changed[name] = made
    return changed


async def check_references(unit: UnitOfWork, plan: EntityPlan, rows: Iterable[Any], known: str | None = None) -> None:
    """Refuse a reference to a row that the caller may not see exactly as one to a row that is not there.

    ``known`` is a field whose row the caller's own call has just added.
    """
    rows = list(rows)
    for reference in plan.references:
        if reference.guarded and reference.field != known:
            named: dict[Any, set[Any]] = {}
            for row in rows:
                if (id_ := getattr(row, reference.field)) is not None:
                    named.setdefault(tenant_of(plan, row), set()).add(id_)
            for tenant, ids in named.items():
                await check_named(unit, reference, list(ids), tenant)


async def check_named(unit: UnitOfWork, reference: Reference, ids: list[Any], tenant: Any) -> None:
    """Refuse ids of which one names no row that the caller may see, and that a row of the tenant may refer to."""
    reach = reach_within(unit, reference, tenant)
    if not ids or reach == TRUE:
        return
    if reach == FALSE:
        raise reference_conflict(reference.field)
    rows = unit.transaction().rows(reference.entity)
    if len(ids) == 1:
        if await rows.get(ids[0], reach) is None:
            raise reference_conflict(reference.field)
        return
    for start in range(0, len(ids), _MANY_IDS):
        part = ids[start : start + _MANY_IDS]
        if len(await rows.fetch(Query(where=Among("id", tuple(part)) & reach))) != len(part):
            raise reference_conflict(reference.field)
