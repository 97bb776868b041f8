"""Auditing: every write to rows of an audited entity brings an entry along, in the same transaction.

It stands between the doorways and a store's transaction, so that no doorway can write past it. An entry is queued
behind its change, and so takes no round trip of its own; what was there before is read only where nobody has read it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from mainstay.model.conditions import Condition
from mainstay.model.fields import field
from mainstay.model.schema import Attribute
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.structs import STANDARD_FIELDS, Dto, Entity
from mainstay.model.values import Secret
from mainstay.ports.rows import Aggregate, Change, Query, Rows
from mainstay.ports.store import Transaction
from mainstay.ports.unit_of_work import EntityPlan, Frame

MASK = "***"
"""What stands for the value of a secret or encrypted field. Whether it changed is told, and nothing else."""


class AuditAction(StrEnum):
    """What was done to a row. One that is kept when it is deleted may be restored."""

    ADD = "add"
    UPDATE = "update"
    DELETE = "delete"
    RESTORE = "restore"


class Altered(Dto):
    """The values of a field before and behind a change, in their JSON form; null where there was no row."""

    old: Any = None
    new: Any = None


class AuditRow(Entity):
    """One change of one row, as it is stored. ``created_at`` is when it was made.

    ``actor`` is who made it; where that was for somebody else, ``subject`` is in whose name.
    """

    table_name: str
    row_id: UUID = field(index=True)
    row_version: int
    action: AuditAction
    actor_id: UUID
    actor: str
    tenant: str | None = None
    operation: str
    request_id: str
    traceparent: str | None = None
    changes: dict[str, Altered]
    subject_id: UUID | None = None
    subject: str | None = None


def audited(frame: Frame, request_id: str = "", traceparent: str | None = None) -> Frame:
    """Return a frame whose transactions are audited, where an entity of it is."""
    if AuditRow not in frame.plans:
        return frame
    return msgspec.structs.replace(
        frame, wrap=lambda transaction: AuditedTransaction(transaction, frame, request_id, traceparent)
    )


class AuditedTransaction(Transaction):
    """A transaction that writes down what is changed in it. What else a store's own has is found behind it."""

    def __init__(self, inner: Transaction, frame: Frame, request_id: str, traceparent: str | None) -> None:
        self._inner = inner
        self._frame = frame
        self._origin = (request_id, traceparent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def rows(self, entity: type[Entity]) -> Rows[Any]:
        plan = self._frame.plans.get(entity)
        rows = self._inner.rows(entity)
        return rows if plan is None or plan.trail is None else AuditedRows(rows, self, plan)

    async def flush(self) -> None:
        await self._inner.flush()

    async def commit(self) -> None:
        await self._inner.commit()

    async def rollback(self) -> None:
        await self._inner.rollback()

    def write(self, plan: EntityPlan, entries: Sequence[tuple[AuditAction, UUID, int, dict[str, Altered]]]) -> None:
        """Queue entries: what was done, to which row, its version then, and the fields."""
        frame, (request_id, traceparent) = self._frame, self._origin
        now, who = frame.clock.now(), frame.who
        by = who.actor or who
        made = [
            AuditRow(
                id=frame.ids.next(),
                version=1,
                created_at=now,
                updated_at=now,
                table_name=plan.table,
                row_id=row_id,
                row_version=version,
                action=action,
                actor_id=by.id,
                actor=by.subject,
                tenant=who.tenant,
                operation=frame.operation,
                request_id=request_id,
                traceparent=traceparent,
                changes=changes,
                subject_id=None if by is who else who.id,
                subject=None if by is who else who.subject,
            )
            for action, row_id, version, changes in entries
        ]
        if made:
            self._inner.rows(AuditRow).insert(made)


class AuditedRows(Rows[Any]):
    """The rows of an audited entity: reads as they are, writes with their entries."""

    __slots__ = ("_fields", "_inner", "_plan", "_transaction")

    def __init__(self, inner: Rows[Any], transaction: AuditedTransaction, plan: EntityPlan) -> None:
        self._inner = inner
        self._transaction = transaction
        self._plan = plan
        self._fields = [a for a in plan.shape.attributes if a.name not in STANDARD_FIELDS]

    async def get(self, id: UUID, where: Condition, *, lock: bool = False) -> Any | None:
        return await self._inner.get(id, where, lock=lock)

    async def fetch(self, query: Query) -> list[Any]:
        return await self._inner.fetch(query)

    def stream(self, query: Query) -> AsyncGenerator[Any, None]:
        return self._inner.stream(query)

    async def count(self, where: Condition) -> int:
        return await self._inner.count(where)

    async def aggregate(self, aggregate: Aggregate) -> list[tuple[Any, ...]]:
        return await self._inner.aggregate(aggregate)

    def insert(self, rows: Sequence[Any]) -> None:
        self._inner.insert(rows)
        self._transaction.write(
            self._plan,
            [(AuditAction.ADD, row.id, row.version, changed(self._fields, None, vars_of(row))) for row in rows],
        )

    def enqueue(self, change: Change) -> None:
        if change.before is None:
            raise TypeError(f"{self._plan.shape.name} is audited: a change that is queued says what was there before")
        self._inner.enqueue(change)
        self._transaction.write(self._plan, [self._entry(change, change.before)])

    async def apply(self, change: Change) -> int:
        before = await self._inner.fetch(Query(where=change.where))
        done = await self._inner.apply(change)
        self._transaction.write(self._plan, [self._entry(change, row) for row in before])
        return done

    def _entry(self, change: Change, before: Any) -> tuple[AuditAction, UUID, int, dict[str, Altered]]:
        changes = change.changes
        if changes is None:
            return AuditAction.DELETE, before.id, before.version, changed(self._fields, vars_of(before), None)
        action = AuditAction.UPDATE
        if self._plan.soft_delete and DELETED_AT in changes:
            action = AuditAction.RESTORE if changes[DELETED_AT] is None else AuditAction.DELETE
        version = changes.get("version", before.version + 1)
        return action, before.id, version, changed(self._fields, vars_of(before), changes)


def vars_of(row: Any) -> dict[str, Any]:
    """Return the fields of a row by name."""
    return {name: getattr(row, name) for name in row.__struct_fields__}


def changed(
    fields: Sequence[Attribute], old: Mapping[str, Any] | None, new: Mapping[str, Any] | None
) -> dict[str, Altered]:
    """Return the fields that differ, with their values; ``new`` may hold some of them only."""
    found: dict[str, Altered] = {}
    for attribute in fields:
        name = attribute.name
        if new is not None and name not in new:
            continue
        before = None if old is None else old[name]
        after = None if new is None else new[name]
        if before != after:
            found[name] = Altered(old=_told(attribute, before), new=_told(attribute, after))
    return found


def _told(attribute: Attribute, value: Any) -> Any:
    return MASK if (attribute.hidden or attribute.encrypted) and value is not None else _plain(value)


def _plain(value: Any) -> Any:
    """Return a value in its JSON form, with nothing in it that is secret."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, msgspec.Struct):
        specs = getattr(type(value), "__mainstay_fields__", {})
        hidden = {name for name, spec in specs.items() if spec.secret or spec.write_only}
        return {name: MASK if name in hidden else _plain(held) for name, held in vars_of(value).items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(msgspec.to_builtins(key)): _plain(item) for key, item in value.items()}
    return msgspec.to_builtins(value)
