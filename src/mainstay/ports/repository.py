"""The repository: how a use case finds and changes rows. Row policy, checks and cursors are here, for all stores."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import TRUE, Compare, Condition, holds
from mainstay.model.inputs import DEFAULT_LIMIT, MAX_LIMIT, Find, Page, Patch, Sort
from mainstay.model.merging import applied
from mainstay.model.problem import Conflict, Forbidden, NotFound, PreconditionFailed, StaleVersion
from mainstay.model.structs import Entity
from mainstay.ports.asking import narrowed, order_of
from mainstay.ports.cursor import after, open_cursor, seal_cursor
from mainstay.ports.indexing import insert, replace_words
from mainstay.ports.kept import Kept, KeptPage
from mainstay.ports.relations import attach, with_related
from mainstay.ports.rows import Change, Query, Rows, reference_conflict
from mainstay.ports.soft_deletion import deleted_now, follow_deletion
from mainstay.ports.tenants import tenant_of
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.upserts import Upserted, upsert
from mainstay.ports.writing import check_named, check_references, checked_changes, prepared

E = TypeVar("E", bound=Entity)
_ANY: Find[Any] = Find()


class MoreThanOne(Conflict):
    """More than one row matches where one was asked for."""


class Repository(Generic[E]):
    """The rows of one entity, as the caller of this use case may see and change them.

    Conditions are keywords, ``price=ge(10)``, or built with ``any_of`` and the like. What the entity's row policy hides
    is not found, not listed, not counted and not changed.
    """

    __slots__ = ("_keeps", "_plan", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan, *, keeps: bool = False) -> None:
        self._unit = unit
        self._plan = plan
        self._keeps = keeps  # its one page goes out as it is: nobody sees whether it is a ``KeptPage``

    def _rows(self) -> Rows[Any]:
        return self._unit.transaction().rows(self._plan.shape.type)

    def _where(self, conditions: Sequence[Condition], fields: dict[str, Any]) -> Condition:
        return narrowed(self._plan, conditions, fields) & self._unit.reach(self._plan)

    async def get(self, id: UUID, /, *, include: Sequence[str] = (), lock: bool = False) -> E:
        """Return the row with this id. Raises ``NotFound``, for what the caller may not see too.

        With ``lock``, in a command, nobody else changes the row before its end: a command that is to change what many
        want waits here, rather than to be run again.
        """
        unit, plan = self._unit, self._plan
        reach = TRUE if plan.policy is None else unit.visible(plan.key, plan.policy)
        if lock:
            unit.changing()
            row = await unit.transaction().rows(plan.shape.type).get(id, reach, lock=True)
        else:
            row = await unit.transaction().rows(plan.shape.type).get(id, reach)
        if row is None:
            raise self._missing()
        if include:
            row = (await attach(unit, plan, [row], include))[0]
        return row  # type: ignore[no-any-return]  # the plan's shape is that of E

    async def one(self, *conditions: Condition, **fields: Any) -> E:
        """Return the one row of which the conditions are true. Raises ``NotFound``, or ``MoreThanOne``."""
        found = await self._rows().fetch(Query(where=self._where(conditions, fields), limit=2))
        if not found:
            raise self._missing()
        if len(found) > 1:
            raise MoreThanOne(f"more than one {self._plan.shape.name} matches")
        return found[0]  # type: ignore[no-any-return]  # the plan's shape is that of E

    async def page(
        self,
        find: Find[E] | Condition | None = None,
        /,
        *conditions: Condition,
        sort: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        count: bool = False,
        include: Sequence[str] = (),
        **fields: Any,
    ) -> Page[E]:
        """Return a page of rows in a stable order, with the cursor of the next one.

        ``sort`` is "name" or "-created_at,name"; ``limit`` is at least 1, and what is over 200 is 200. A ``find``
        brings all of it from the caller, and conditions narrow it. A cursor is good for the same filters, the same
        order and conditions of the same form. Raises ``Malformed`` where it is not of this search.
        """
        unit, plan = self._unit, self._plan
        if isinstance(find, Condition):
            conditions, find = (find, *conditions), None
        find = _ANY if find is None else find
        order = order_of(plan, sort, find.sort)
        size = min(find.limit if limit is None else limit, MAX_LIMIT)
        if size < 1:
            raise ValueError(f"limit: expected at least 1, got {size}")
        given = narrowed(plan, conditions, fields)
        asked = (find.condition, given)
        where = narrowed(plan, (find.condition,), {}) & given & unit.reach(plan)
        text = find.cursor if cursor is None else cursor
        beyond = where
        if text is not None:
            beyond = where & after(plan, order, open_cursor(unit.frame, plan, asked, order, text))
        wanted = (*include, *find.include)
        if wanted or count or find.count:
            unit.several()
        rows, query = self._rows(), Query(where=beyond, sort=order, limit=size + 1, unread=find.unread)
        items: Any = await (rows.keep(query) if self._keeps and not wanted else rows.fetch(query))
        following = None
        if len(items) > size:
            following = seal_cursor(unit.frame, plan, asked, order, _ends(items, size, order))
        total = await rows.count(where) if count or find.count else None
        if wanted and items:
            items = await attach(unit, plan, items, wanted)
        kind: Any = Page if type(items) is list else KeptPage
        return kind(items=items, next=following, count=total)  # type: ignore[no-any-return]  # as its user sees it

    async def stream(self, *conditions: Condition, sort: str | None = None, **fields: Any) -> AsyncGenerator[E, None]:
        """Give all matching rows in order, in constant memory."""
        query = Query(where=self._where(conditions, fields), sort=order_of(self._plan, sort, ()))
        async with aclosing(self._rows().stream(query)) as rows:
            async for row in rows:
                yield row

    async def count(self, *conditions: Condition, **fields: Any) -> int:
        """Return how many rows match."""
        return await self._rows().count(self._where(conditions, fields))

    async def add(self, row: E, /) -> E:
        """Add a row, and the rows of its relations, and return it as it will be stored: with id, version and times.

        An owner field that was left ``UNASSIGNED`` is set from the caller. Raises ``Invalid`` where a value breaks its
        field's rules, ``Forbidden`` where the caller's row policy would not hold of it. A broken unique rule or
        reference surfaces at the flush.
        """
        unit, plan = self._unit, self._plan
        unit.changing()
        made = prepared(unit, plan, row)
        if plan.references:
            await check_references(unit, plan, (made,))
        if not plan.shape.relations:
            insert(unit, plan, [made])
            return made  # type: ignore[no-any-return]  # the plan's shape is that of E
        related: list[tuple[type[Entity], list[Any]]] = []
        made = await with_related(unit, plan, made, "", related)
        insert(unit, plan, [made])
        for entity, rows in related:
            insert(unit, unit.frame.plans[entity], rows)
        return made  # type: ignore[no-any-return]  # the plan's shape is that of E

    async def update(self, row: E, patch: Patch[E] | None = None, /, **changes: Any) -> E:
        """Change fields of a row and return the new one.

        Raises ``Invalid`` where a value breaks its field's rules, ``Forbidden`` where the new row would be out of the
        caller's reach, ``PreconditionFailed`` where the call named another version of the row. Where the row was
        changed meanwhile, ``StaleVersion`` surfaces at the flush.
        """
        unit, plan = self._unit, self._plan
        unit.altering(plan)
        if patch is not None:
            changes = {**applied(row, patch, unit.frame.who, plan.shape), **changes}
        wanted = checked_changes(plan, row, changes)
        wanted["version"] = row.version + 1
        wanted["updated_at"] = unit.frame.clock.now()
        changed = msgspec.structs.replace(row, **wanted)
        if plan.referred:  # what was loaded for a reference that changes is another row's
            changed = msgspec.structs.replace(
                changed, **{n: msgspec.UNSET for n, key in plan.referred if key in wanted}
            )
        reach = unit.reach(plan)
        if reach is not TRUE and not holds(reach, changed):
            if not holds(reach, row):
                raise self._missing()
            raise Forbidden(f"the change would take the {plan.shape.name} out of the caller's reach")
        for reference in plan.references:
            named = wanted.get(reference.field)
            if reference.guarded and named is not None:
                await check_named(unit, reference, [named], tenant_of(plan, row))
        await self._change(Compare("id", "eq", row.id) & reach, wanted, row.id, row)
        if plan.words is not None:
            replace_words(unit, plan, [row.id], wanted)
        return changed

    async def upsert(self, row: E, /, *, on: str, change: Sequence[str] | None = None) -> Upserted[E]:
        """Add a row, or change the one that has its value of the unique field ``on``, now.

        The row that is there keeps its id and time of creation, and gets the other fields, or those of ``change``
        only; its version goes up by one. The given row must be as ``add`` and the change as ``update`` ask for it. A
        row that the caller may not see is a ``UniqueConflict``, as where it were added. Of two such calls at once one
        adds and the other changes. Rows of relations are not taken.
        """
        return (await upsert(self._unit, self._plan, (row,), on, change, many=False))[0]

    async def delete(self, row: E | UUID, /) -> None:
        """Delete a row; given as a row, only in the version that was read.

        Raises ``NotFound`` where there is none, ``PreconditionFailed`` where the call named another version of it. A
        reference that restricts surfaces at the flush.
        """
        unit, plan = self._unit, self._plan
        unit.altering(plan)
        id_, known = (row, None) if isinstance(row, UUID) else (row.id, row)
        changes: dict[str, Any] | None = None
        if plan.followers or (known is None and (plan.soft_delete or plan.trail is not None)):
            found = await self.get(id_)  # nobody learns what refers to a row that is not theirs
            known = found if known is None else known
        if plan.soft_delete and known is not None:
            marks = deleted_now(unit)
            await follow_deletion(unit, plan, [id_], marks)
            changes = {**marks, "version": known.version + 1}
        await self._change(Compare("id", "eq", id_) & unit.reach(plan), changes, id_, known)

    async def _change(self, where: Condition, changes: dict[str, Any] | None, id_: UUID, row: E | None) -> None:
        unit, rows = self._unit, self._rows()
        version = None if row is None else row.version
        allowed = unit.conditional(id_) if unit.frame.if_match else ()
        if not allowed:
            rows.enqueue(Change(where=where, changes=changes, id=id_, version=version, expected=1, before=row))
            return
        if version is None:
            version = allowed[0] if len(allowed) == 1 else (await self.get(id_)).version
        if version not in allowed:
            raise PreconditionFailed(f"the {self._plan.shape.name} is of another version")
        await unit.flush()  # so that what was queued before tells faults of its own
        rows.enqueue(Change(where=where, changes=changes, id=id_, version=version, expected=1, before=row))
        try:
            await unit.flush()
        except StaleVersion as stale:
            raise PreconditionFailed(f"the {self._plan.shape.name} is of another version") from stale
        unit.met(id_)

    def _missing(self) -> NotFound:
        return NotFound(f"there is no such {self._plan.shape.name}")


def _ends(items: Any, size: int, order: Sequence[Sort]) -> list[Any]:
    """Let go of the row behind a page, and return the values of the last one that its order is told by."""
    if isinstance(items, Kept):
        items.cut(size)
        return items.ends_with([by.field for by in order])
    del items[size:]
    return [getattr(items[-1], by.field) for by in order]


__all__ = ["DEFAULT_LIMIT", "MoreThanOne", "Repository", "reference_conflict"]
