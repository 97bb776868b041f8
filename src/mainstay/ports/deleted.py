"""Deleted rows that are kept: looked at, brought back, and done away with."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import Compare, Condition
from mainstay.model.inputs import Find, Page
from mainstay.model.soft_deletion import DELETED_AT
from mainstay.model.structs import Entity
from mainstay.ports.asking import narrowed
from mainstay.ports.repository import Repository
from mainstay.ports.rows import Change, Query
from mainstay.ports.soft_deletion import follow_restoring, purge_followers
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.writing import check_references

E = TypeVar("E", bound=Entity)


class Deleted(Generic[E]):
    """The deleted rows of an entity with ``soft_delete=True``, as the caller of this use case may see them.

    Tenancy and row policy hold as for the others; ``deleted_at`` says when a row was deleted.
    """

    __slots__ = ("_plan", "_rows", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan) -> None:
        if plan.deleted is None:
            raise TypeError(f"{plan.shape.name} keeps no deleted rows: declare it with soft_delete=True")
        self._unit = unit
        self._plan = plan.deleted
        self._rows: Repository[E] = Repository(unit, plan.deleted)

    async def get(self, id: UUID, /) -> E:
        """Return the deleted row with this id. Raises ``NotFound``."""
        return await self._rows.get(id)

    async def page(
        self,
        find: Find[E] | Condition | None = None,
        /,
        *conditions: Condition,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        count: bool = False,
        **fields: Any,
    ) -> Page[E]:
        """Return a page of deleted rows, as ``Repository.page`` does."""
        return await self._rows.page(find, *conditions, sort=sort, limit=limit, cursor=cursor, count=count, **fields)

    async def stream(self, *conditions: Condition, sort: str | None = None, **fields: Any) -> AsyncGenerator[E, None]:
        """Give all matching deleted rows in order, in constant memory."""
        async for row in self._rows.stream(*conditions, sort=sort, **fields):
            yield row

    async def count(self, *conditions: Condition, **fields: Any) -> int:
        """Return how many deleted rows match."""
        return await self._rows.count(*conditions, **fields)

    async def restore(self, id: UUID, /) -> E:
        """Bring a row back, with those that were deleted along with it, and return it.

        Raises ``NotFound``, and ``ReferenceConflict`` where it refers to a row that is deleted. Where a unique value
        was taken meanwhile, ``UniqueConflict`` surfaces at the flush.
        """
        unit, plan = self._unit, self._plan
        unit.changing()
        row: Any = await self.get(id)
        changes = {DELETED_AT: None, "version": row.version + 1, "updated_at": unit.frame.clock.now()}
        restored: E = msgspec.structs.replace(row, **changes)
        await check_references(unit, plan, (restored,))
        where = Compare("id", "eq", id) & unit.reach(plan)
        rows = unit.transaction().rows(plan.shape.type)
        rows.enqueue(Change(where=where, changes=changes, id=id, version=row.version, expected=1, before=row))
        await follow_restoring(unit, plan, [id], row.deleted_at)
        return restored

    async def purge(self, *conditions: Condition, before: datetime, **fields: Any) -> int:
        """Delete for good, now, the rows that were deleted before a moment, and return how many there were.

        Rows that refer to them fare as their fields declare. Raises ``ReferenceConflict`` where one restricts: purge
        those first.
        """
        unit, plan = self._unit, self._plan
        unit.changing()
        where = narrowed(plan, conditions, fields) & Compare(DELETED_AT, "lt", before) & unit.reach(plan)
        rows = unit.transaction().rows(plan.shape.type)
        if plan.followers:
            await purge_followers(unit, plan, [row.id for row in await rows.fetch(Query(where=where))])
        return await rows.apply(Change(where=where, changes=None))
