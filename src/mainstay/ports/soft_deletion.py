"""Soft deletion: what a delete does where rows are kept, to a row and to those that refer to it.

A database does nothing to the rows that refer to one which is only marked: so it is done here, as their fields declare.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from mainstay.model.conditions import Among, Compare, Condition, Not
from mainstay.model.soft_deletion import DELETED_AT, KEPT
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change, Query, still_referenced
from mainstay.ports.unit_of_work import EntityPlan, Follower, UnitOfWork

_MANY_IDS = 500


def deleted_now(unit: UnitOfWork) -> dict[str, Any]:
    """Return the changes that a delete comes to."""
    now = unit.frame.clock.now()
    return {DELETED_AT: now, "updated_at": now}


async def delete_matching(unit: UnitOfWork, plan: EntityPlan, where: Condition) -> int:
    """Mark rows as deleted now, with what that does to others, and return how many there were."""
    rows, changes = unit.transaction().rows(plan.shape.type), deleted_now(unit)
    if plan.followers:
        await follow_deletion(unit, plan, [row.id for row in await rows.fetch(Query(where=where))], changes)
    return await rows.apply(Change(where=where, changes=changes))


async def follow_deletion(unit: UnitOfWork, plan: EntityPlan, ids: Sequence[UUID], changes: dict[str, Any]) -> None:
    """Do to the rows that refer to rows about to be deleted what their fields declare, before it is done.

    ``changes`` are those that the delete comes to: what goes along has the same moment, by which it comes back. Raises
    ``ReferenceConflict`` where a field restricts; then nothing was changed.
    """
    wanted: list[tuple[type[Entity], Change]] = []
    gone: dict[type[Entity], set[UUID]] = {plan.shape.type: set(ids)}
    pending: list[tuple[EntityPlan, Sequence[UUID]]] = [(plan, ids)]
    while pending:
        above, named = pending.pop()
        for follower, child, where in _below(unit, above, named):
            if follower.on_delete == "restrict":
                await _restrict(unit, above, child, where, gone)
            elif follower.on_delete == "null":
                emptied = {follower.field: None, "updated_at": changes["updated_at"]}
                wanted.append((follower.entity, Change(where=where, changes=emptied)))
            else:
                wanted.append((follower.entity, Change(where=where, changes=changes)))
                known = gone.setdefault(follower.entity, set())
                below = [id_ for id_ in await _ids(unit, child, where) if id_ not in known]
                known.update(below)
                pending.append((child, below))
    for entity, change in wanted:
        await unit.transaction().rows(entity).apply(change)


async def follow_restoring(unit: UnitOfWork, plan: EntityPlan, ids: Sequence[UUID], at: datetime) -> None:
    """Bring back the rows that were deleted along with rows, at that moment."""
    changes = {DELETED_AT: None, "updated_at": unit.frame.clock.now()}
    pending: list[tuple[EntityPlan, Sequence[UUID]]] = [(plan, ids)]
    while pending:
        above, named = pending.pop()
        for follower, child, _ in _below(unit, above, named):
            if follower.on_delete == "cascade":
                where = Among(follower.field, tuple(named)) & Compare(DELETED_AT, "eq", at)
                below = await _ids(unit, child, where)
                await unit.transaction().rows(follower.entity).apply(Change(where=where, changes=changes))
                pending.append((child, below))


def _below(unit: UnitOfWork, plan: EntityPlan, ids: Sequence[UUID]) -> Iterator[tuple[Follower, EntityPlan, Condition]]:
    """Give the fields that refer to rows, each with the condition of the rows in which it names some of these."""
    for follower in plan.followers:
        child = unit.frame.plans[follower.entity]
        for start in range(0, len(ids), _MANY_IDS):
            where = Among(follower.field, tuple(ids[start : start + _MANY_IDS]))
            yield follower, child, where & KEPT if child.soft_delete else where


async def _restrict(
    unit: UnitOfWork, plan: EntityPlan, child: EntityPlan, where: Condition, gone: dict[type[Entity], set[UUID]]
) -> None:
    """Refuse to delete rows to which others refer, unless these go with them."""
    going = tuple(gone.get(child.shape.type, ()))
    others = where & Not(Among("id", going)) if going else where
    if await unit.transaction().rows(child.shape.type).fetch(Query(where=others, limit=1)):
        raise still_referenced(plan.shape.name)


async def _ids(unit: UnitOfWork, child: EntityPlan, where: Condition) -> list[UUID]:
    """Return the ids of rows, where others may refer to these."""
    if not child.followers:
        return []
    return [row.id for row in await unit.transaction().rows(child.shape.type).fetch(Query(where=where))]


async def purge_followers(unit: UnitOfWork, plan: EntityPlan, ids: Sequence[UUID]) -> None:
    """Delete for good the rows that go with rows, those below them first: a database that does it tells nobody."""
    for follower, child, _ in _below(unit, plan, ids):
        if follower.on_delete == "cascade":
            where = Among(follower.field, tuple(ids))
            await purge_followers(unit, child, await _ids(unit, child, where))
            await unit.transaction().rows(follower.entity).apply(Change(where=where, changes=None))
