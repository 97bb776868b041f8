"""The repository: how a use case finds and changes rows. Row policy, checks and cursors live here, once for all stores."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Generic, TypeVar
from uuid import UUID

import msgspec

from mainstay.model.conditions import FALSE, TRUE, Compare, Condition, all_of, holds
from mainstay.model.inputs import DEFAULT_LIMIT, MAX_LIMIT, Find, Page, Patch, Sort
from mainstay.model.problem import Conflict, Fault, Forbidden, Invalid, NotFound, ReferenceConflict
from mainstay.model.structs import Entity
from mainstay.model.values import UNASSIGNED
from mainstay.ports.cursor import after, open_cursor, ordered, seal_cursor
from mainstay.ports.relations import attach
from mainstay.ports.rows import Change, Query, Rows
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.writing import check_changes, check_row, stamped

E = TypeVar("E", bound=Entity)


class MoreThanOne(Conflict):
    """More than one row matches where one was asked for."""


class Repository(Generic[E]):
    """The rows of one entity, as the caller of this use case may see and change them.

    Conditions are keywords, ``price=ge(10)``, or built with ``any_of`` and the like. What the entity's row policy hides
    is not found, not listed, not counted and not changed.
    """

    __slots__ = ("_plan", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan) -> None:
        self._unit = unit
        self._plan = plan

    def _rows(self) -> Rows[Any]:
        return self._unit.transaction().rows(self._plan.shape.type)

    def _visible(self) -> Condition:
        policy = self._plan.policy
        return TRUE if policy is None else self._unit.visible(self._plan.shape.type, policy)

    def _where(self, conditions: Sequence[Condition], fields: dict[str, Any]) -> Condition:
        known = self._plan.shape.by_name
        for name in fields:
            if name not in known:
                raise TypeError(f"{self._plan.shape.name} has no field {name}")
        return all_of(*conditions, **fields) & self._visible()

    async def get(self, id: UUID, /) -> E:
        """Return the row with this id. Raises ``NotFound``, for what the caller may not see too."""
        row = await self._rows().get(id, self._visible())
        if row is None:
            raise self._missing()
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
        find: Find[E] | None = None,
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

        ``sort`` is "name" or "-created_at,name"; ``limit`` is at most 200. A ``find`` brings all of it from the caller,
        and conditions narrow it. Raises ``Malformed`` where the cursor is not of this search.
        """
        find = find or Find()
        order = ordered(_parse_sort(sort) if sort else find.sort)
        size = min(limit or find.limit, MAX_LIMIT)
        where = self._where((find.condition, *conditions), fields)
        frame = self._unit.frame
        text = cursor or find.cursor
        asked = (find.condition, *conditions, *fields.items())
        start = open_cursor(frame, self._plan, asked, order, text) if text else None
        beyond = where if start is None else where & after(order, start)
        rows = self._rows()
        items: list[Any] = await rows.fetch(Query(where=beyond, sort=order, limit=size + 1))
        more = len(items) > size
        following = None
        if more:
            del items[size:]
            following = seal_cursor(frame, self._plan, asked, order, items[-1])
        total = await rows.count(where) if count or find.count else None
        wanted = (*include, *find.include)
        if wanted and items:
            items = await attach(self._unit, self._plan, items, wanted)
        return Page(items=items, next=following, count=total)

    async def stream(self, *conditions: Condition, sort: str | None = None, **fields: Any) -> AsyncIterator[E]:
        """Give all matching rows in order, in constant memory."""
        where = self._where(conditions, fields)
        order = ordered(_parse_sort(sort) if sort else ())
        async for row in self._rows().stream(Query(where=where, sort=order)):
            yield row

    async def count(self, *conditions: Condition, **fields: Any) -> int:
        """Return how many rows match."""
        return await self._rows().count(self._where(conditions, fields))

    async def add(self, row: E, /) -> E:
        """Add a row and return it as it will be stored, with its id, version and times.

        An owner field that was left ``UNASSIGNED`` is set from the caller. Raises ``Invalid`` where a value breaks its
        field's rules, ``Forbidden`` where the caller's row policy would not hold of it. A broken unique rule or reference
        surfaces at the flush.
        """
        frame, plan = self._unit.frame, self._plan
        made: Any = stamped(frame, plan, row)
        faults = check_row(plan, made)
        if faults:
            raise Invalid(faults=faults)
        if not holds(self._visible(), made):
            raise Forbidden(f"the caller may not have such a {plan.shape.name}")
        await self._check_references({r.field: getattr(made, r.field) for r in plan.references if r.guarded})
        self._rows().insert([made])
        await self._add_children(made)
        return made  # type: ignore[no-any-return]  # the plan's shape is that of E

    async def update(self, row: E, patch: Patch[E] | None = None, /, **changes: Any) -> E:
        """Change fields of a row and return the new one.

        Raises ``Invalid`` where a value breaks its field's rules, ``Forbidden`` where the new row would be out of the
        caller's reach. Where the row was changed meanwhile, ``StaleVersion`` surfaces at the flush.
        """
        frame, plan = self._unit.frame, self._plan
        wanted = {**(patch.changes if patch is not None else {}), **changes}
        faults = check_changes(plan, row, wanted)
        if faults:
            raise Invalid(faults=faults)
        wanted["version"] = row.version + 1
        wanted["updated_at"] = frame.clock.now()
        changed = msgspec.structs.replace(row, **wanted)
        visible = self._visible()
        if not holds(visible, changed):
            raise Forbidden(f"the change would take the {plan.shape.name} out of the caller's reach")
        guarded = {r.field: wanted[r.field] for r in plan.references if r.guarded and r.field in wanted}
        await self._check_references(guarded)
        where = Compare("id", "eq", row.id) & visible
        self._rows().enqueue(Change(where=where, changes=wanted, id=row.id, version=row.version, expected=1))
        return changed

    async def delete(self, row: E | UUID, /) -> None:
        """Delete a row; given as a row, only in the version that was read.

        Raises ``NotFound`` where there is none. A reference that restricts surfaces at the flush.
        """
        id_, version = (row, None) if isinstance(row, UUID) else (row.id, row.version)
        where = Compare("id", "eq", id_) & self._visible()
        self._rows().enqueue(Change(where=where, changes=None, id=id_, version=version, expected=1))

    def _missing(self) -> NotFound:
        return NotFound(f"there is no such {self._plan.shape.name}")

    async def _check_references(self, named: dict[str, Any]) -> None:
        """Refuse a reference to a row that the caller may not see exactly as one to a row that is not there."""
        frame = self._unit.frame
        for reference in self._plan.references:
            id_ = named.get(reference.field)
            if id_ is None:
                continue
            policy = frame.plans[reference.entity].policy
            visible = self._unit.visible(reference.entity, policy) if policy is not None else TRUE
            if visible is TRUE:
                continue
            target = self._unit.transaction().rows(reference.entity)
            if visible is FALSE or await target.get(id_, visible) is None:
                raise reference_conflict(reference.field)

    async def _add_children(self, parent: Any) -> None:
        for relation in self._plan.shape.relations:
            children = getattr(parent, relation.name)
            if children is msgspec.UNSET or relation.relation is None:
                continue
            repository: Repository[Any] = Repository(self._unit, self._unit.frame.plans[relation.base])
            added = []
            for child in children:
                key = relation.relation.key
                own = msgspec.structs.replace(child, **{key: parent.id}) if getattr(child, key) == UNASSIGNED else child
                added.append(await repository.add(own))
            children[:] = added


def reference_conflict(field: str) -> ReferenceConflict:
    """Return the problem of a field that names no row (that the caller may know of)."""
    fault = Fault("reference_not_found", "names a row that is not there", pointer=f"/{field}")
    return ReferenceConflict(f"{field} names a row that is not there", faults=[fault], field=field)


def _parse_sort(text: str) -> tuple[Sort, ...]:
    return tuple(Sort(part.lstrip("-"), part.startswith("-")) for part in text.split(","))


__all__ = ["DEFAULT_LIMIT", "MoreThanOne", "Repository", "reference_conflict"]
