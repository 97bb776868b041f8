"""What is checked and set before a row is written, the same for every store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from mainstay.model.checking import check_value
from mainstay.model.problem import Fault
from mainstay.model.structs import STANDARD_FIELDS
from mainstay.model.values import UNASSIGNED
from mainstay.ports.unit_of_work import EntityPlan, Frame


def stamped(frame: Frame, plan: EntityPlan, row: Any) -> Any:
    """Return the row with its id (where it has none), version 1, its times, and its owner (where it has none)."""
    now = frame.clock.now()
    stamp: dict[str, Any] = {"version": 1, "created_at": now, "updated_at": now}
    if row.id == UNASSIGNED:
        stamp["id"] = frame.ids.next()
    for owner in plan.owners:
        if getattr(row, owner) in (UNASSIGNED, None):
            stamp[owner] = frame.who.id
    return msgspec.structs.replace(row, **stamp)


def check_row(plan: EntityPlan, row: Any) -> list[Fault]:
    """Return the faults of a whole row."""
    faults: list[Fault] = []
    for attribute in plan.checked:
        check_value(attribute, getattr(row, attribute.name), f"/{attribute.name}", faults)
    return faults


def check_changes(plan: EntityPlan, row: Any, changes: Mapping[str, Any]) -> list[Fault]:
    """Return the faults of changes to a row: unknown, immutable or read-only fields, and values that break rules."""
    faults: list[Fault] = []
    for name, value in changes.items():
        attribute = plan.shape.by_name.get(name)
        pointer = f"/{name}"
        if attribute is None or attribute.relation is not None:
            raise TypeError(f"{plan.shape.name} has no field {name}")
        if name in STANDARD_FIELDS:
            raise TypeError(f"{plan.shape.name}.{name} is set by the repository")
        if attribute.spec.immutable and value != getattr(row, name):
            faults.append(Fault("immutable", "is set once and cannot be changed", pointer=pointer))
        else:
            check_value(attribute, value, pointer, faults)
    return faults
