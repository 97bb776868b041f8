"""The audit trail: who changed a row, when, and what it was before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import Compare, Condition, holds
from mainstay.model.inputs import Page, Sort
from mainstay.model.policy import prepare
from mainstay.model.problem import NotFound
from mainstay.model.structs import Dto, Entity
from mainstay.ports.auditing import Altered, AuditAction, AuditRow
from mainstay.ports.repository import Repository
from mainstay.ports.rows import Query
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

E = TypeVar("E", bound=Entity)


class AuditEntry(Dto):
    """One change of one row.

    ``version`` is that of the row behind the change (of a row that is gone, the last); ``actor`` is who made it, and
    ``subject`` in whose name, where that is somebody else; ``tenant`` is the caller's, ``operation``, ``request_id``
    and ``traceparent`` those of the call. ``changes`` holds the fields that differ; of a secret one, that it does.
    """

    id: UUID
    at: datetime
    action: AuditAction
    version: int
    actor_id: UUID
    actor: str
    tenant: str | None
    operation: str
    request_id: str
    traceparent: str | None
    changes: dict[str, Altered]
    subject_id: UUID | None = None
    subject: str | None = None


class AuditTrail(Generic[E]):
    """What was done to the rows of an entity with ``audit=True``, as the caller of this use case may see them."""

    __slots__ = ("_entries", "_plan", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan) -> None:
        if plan.trail is None:
            raise TypeError(f"{plan.shape.name} has no audit trail: declare it with audit=True")
        self._unit = unit
        self._plan = plan
        self._entries: Repository[AuditRow] = Repository(unit, plan.trail)

    async def of(self, id: UUID, /, *, limit: int | None = None, cursor: str | None = None) -> Page[AuditEntry]:
        """Return a page of what was done to a row, the latest first.

        Of a row that was deleted, who might see it as it was then. What the caller may not read of the row stands in no
        entry. Raises ``NotFound``, and what ``Repository.page`` raises.
        """
        unit, plan = self._unit, self._plan
        unit.several()
        row = await self._row(id)
        page = await self._entries.page(_entries_of(plan, id), sort="-id", limit=limit, cursor=cursor)
        hidden = self._hidden(row)
        return Page(items=[_entry(each, hidden) for each in page.items], next=page.next)

    async def _row(self, id: UUID) -> Any:
        """Return a row that the caller may see: as it is, or as it was when it was deleted. Raises ``NotFound``."""
        unit, plan = self._unit, self._plan
        plans = [plan] if plan.deleted is None else [plan, plan.deleted]
        rows = unit.transaction().rows(plan.shape.type)
        for each in plans:
            row = await rows.get(id, unit.reach(each))
            if row is not None:
                return row
        gone = _entries_of(plan, id) & Compare("action", "eq", AuditAction.DELETE)
        query = Query(where=gone, sort=(Sort("id", descending=True),), limit=1)
        last = await unit.transaction().rows(AuditRow).fetch(query)
        if last and set(last[0].changes) != {"deleted_at"}:
            row = _as_it_was(plan, id, last[0])
            if any(holds(unit.reach(each), row) for each in plans):
                return row
        raise NotFound(f"there is no such {plan.shape.name}")

    def _hidden(self, row: Any) -> frozenset[str]:
        """Return the fields that the caller may not read of a row."""
        shape, who = self._plan.shape, self._unit.frame.who
        masks = {a.name: a.spec.read for a in shape.attributes if a.spec.read is not None}
        return frozenset(
            name for name, policy in masks.items() if not holds(prepare(policy, shape.types).reduce(who), row)
        )


def _entries_of(plan: EntityPlan, id: UUID) -> Condition:
    return Compare("row_id", "eq", id) & Compare("table_name", "eq", plan.table)


def _as_it_was(plan: EntityPlan, id: UUID, last: AuditRow) -> Any:
    """Return the fields of a row that was deleted for good, as far as its last entry tells them."""
    held: dict[str, Any] = {a.name: None for a in plan.shape.attributes}
    for name, altered in last.changes.items():
        attribute = plan.shape.by_name.get(name)
        if attribute is not None and not (attribute.hidden or attribute.encrypted):
            held[name] = _converted(altered.old, attribute.type)
    return SimpleNamespace(**{**held, "id": id, "version": last.row_version})


def _converted(value: Any, kind: Any) -> Any:
    try:
        return msgspec.convert(value, kind, strict=False)
    except msgspec.ValidationError:
        return None  # the field had another type then


def _entry(row: AuditRow, hidden: frozenset[str]) -> AuditEntry:
    changes: Mapping[str, Altered] = row.changes
    return AuditEntry(
        id=row.id,
        at=row.created_at,
        action=row.action,
        version=row.row_version,
        actor_id=row.actor_id,
        actor=row.actor,
        tenant=row.tenant,
        operation=row.operation,
        request_id=row.request_id,
        traceparent=row.traceparent,
        changes={name: altered for name, altered in changes.items() if name not in hidden},
        subject_id=row.subject_id,
        subject=row.subject,
    )
