"""Many rows at once: added, changed and deleted by statements over sets, under the rules of the repository."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from mainstay.model.conditions import TRUE, Condition
from mainstay.model.conditions import fields as fields_of
from mainstay.model.problem import Forbidden
from mainstay.model.structs import Entity
from mainstay.ports.asking import narrowed
from mainstay.ports.indexing import ids_of, insert, replace_words
from mainstay.ports.relations import with_related
from mainstay.ports.rows import Change
from mainstay.ports.soft_deletion import delete_matching
from mainstay.ports.substitution import after_change
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.upserts import Upserted, upsert
from mainstay.ports.writing import check_named, check_references, checked_changes, prepared

E = TypeVar("E", bound=Entity)


class Bulk(Generic[E]):
    """Changes of many rows of one entity, as the caller of this use case may make them.

    What the entity's row policy hides is not changed and not counted. A change of every row that the caller may see is
    asked for by ``all_of()``: a call without any condition is refused as a mistake.
    """

    __slots__ = ("_plan", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan) -> None:
        self._unit = unit
        self._plan = plan

    async def add_all(self, rows: Iterable[E], /) -> list[E]:
        """Add rows, with those of their relations, and return them as they will be stored.

        Raises ``Invalid`` and ``Forbidden`` as ``Repository.add`` does, the faults with pointers that begin with the
        index of the row; then no row is added. A broken unique rule or reference surfaces at the flush.
        """
        unit, plan = self._unit, self._plan
        unit.changing()
        made: list[Any] = [prepared(unit, plan, row, f"/{index}") for index, row in enumerate(rows)]
        if not made:
            return []
        await check_references(unit, plan, made)
        related: list[tuple[type[Entity], list[Any]]] = []
        if plan.shape.relations:
            made = [await with_related(unit, plan, row, f"/{index}", related) for index, row in enumerate(made)]
        insert(unit, plan, made)
        for entity, children in related:
            insert(unit, unit.frame.plans[entity], children)
        return made

    async def upsert(self, rows: Iterable[E], /, *, on: str, change: Sequence[str] | None = None) -> list[Upserted[E]]:
        """Add rows, or change those that have their values of the unique field ``on``, now, and return each in order.

        The rules are those of ``Repository.upsert``; the pointers of faults begin with the index of the row. Two rows
        of one value are ``Invalid``. Where one row is refused, none is stored.
        """
        return await upsert(self._unit, self._plan, list(rows), on, change, many=True)

    async def update(self, *conditions: Condition, set: Mapping[str, Any], **fields: Any) -> int:
        """Give fields of all matching rows the values of ``set`` now, and return how many rows there were.

        Each row's version goes up by one. Raises ``Invalid`` where a value breaks its field's rules, ``Forbidden``
        where a row would be taken out of the caller's reach, ``UniqueConflict`` and ``ReferenceConflict``.
        """
        unit, plan = self._unit, self._plan
        unit.altering(plan)
        where = self._where(conditions, fields)
        changes = checked_changes(plan, None, set)
        if not changes:
            return await unit.transaction().rows(plan.shape.type).count(where)
        changes["updated_at"] = unit.frame.clock.now()
        await self._check_reach(where, changes)
        for reference in plan.references:
            named = changes.get(reference.field)
            if reference.guarded and named is not None:
                await check_named(unit, reference, [named], None)
        ids = await ids_of(unit, plan, where, changes)
        met = await unit.transaction().rows(plan.shape.type).apply(Change(where=where, changes=changes))
        replace_words(unit, plan, ids, changes)
        return met

    async def delete(self, *conditions: Condition, **fields: Any) -> int:
        """Delete all matching rows now, and return how many there were. Raises ``ReferenceConflict``."""
        unit, plan = self._unit, self._plan
        unit.altering(plan)
        where = self._where(conditions, fields)
        if plan.soft_delete:
            return await delete_matching(unit, plan, where)
        return await unit.transaction().rows(plan.shape.type).apply(Change(where=where, changes=None))

    def _where(self, conditions: tuple[Condition, ...], fields: dict[str, Any]) -> Condition:
        if not conditions and not fields:
            raise TypeError(f"which {self._plan.shape.name} rows? give a condition, or all_of() for all of them")
        return narrowed(self._plan, conditions, fields) & self._unit.reach(self._plan)

    async def _check_reach(self, where: Condition, changes: Mapping[str, Any]) -> None:
        """Refuse a change after which the row policy would not hold of a row that it held of before."""
        unit, plan = self._unit, self._plan
        reach = unit.reach(plan)
        if changes.keys().isdisjoint(fields_of(reach)):
            return
        after = after_change(reach, changes)
        if after != TRUE and await unit.transaction().rows(plan.shape.type).count(where & ~after):
            raise Forbidden(f"the change would take a {plan.shape.name} out of the caller's reach")
