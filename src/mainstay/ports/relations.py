"""Relations: the rows that belong to rows, loaded in one batch a relation, under the target's own policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from mainstay.model.conditions import FALSE, Among
from mainstay.model.inputs import MAX_DEPTH, MAX_LIMIT, Sort
from mainstay.model.problem import Malformed
from mainstay.model.schema import FieldKind
from mainstay.model.structs import Entity
from mainstay.model.values import UNASSIGNED
from mainstay.ports.rows import Query
from mainstay.ports.tenants import inherited
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.writing import check_references, prepared

MAX_RELATED = 10_000
"""The rows that all relations of one answer may bring, before it is refused."""

_PARENTS = 200
_BY_ID = Sort("id")


class UnknownRelation(Malformed):
    """There is no relation of this name."""


class IncludeTooLarge(Malformed, hint="Ask for fewer rows, or for fewer relations."):
    """The relations asked for have more rows than one answer may bring."""


async def attach(unit: UnitOfWork, plan: EntityPlan, items: list[Any], wanted: Sequence[str]) -> list[Any]:
    """Return the rows with the relations in ``wanted`` loaded ("lines", or "lines.parts" for two steps).

    Each row gets at most 200 rows a relation, in the order of their ids; of a relation through rows between, those that
    the first 200 of these refer to. Raises ``UnknownRelation``, and ``IncludeTooLarge`` over 10,000 rows in all.
    """
    return await _attach(unit, plan, items, wanted, [MAX_RELATED])


async def _attach(
    unit: UnitOfWork, plan: EntityPlan, items: list[Any], wanted: Sequence[str], left: list[int]
) -> list[Any]:
    deeper: dict[str, list[str]] = {}
    for path in wanted:
        first, _, rest = path.partition(".")
        below = deeper.setdefault(first, [])
        if rest:
            below.append(rest)
        if path.count(".") >= MAX_DEPTH:
            raise UnknownRelation(f"include {path}: at most {MAX_DEPTH} steps")
    for name, below in deeper.items():
        items = await _attach_one(unit, plan, items, name, below, left)
    return items


async def _attach_one(
    unit: UnitOfWork, plan: EntityPlan, items: list[Any], name: str, below: list[str], left: list[int]
) -> list[Any]:
    attribute = plan.shape.by_name.get(name)
    if attribute is None or attribute.relation is None:
        raise UnknownRelation(f"{plan.shape.name} has no relation {name}")
    batch = _Batch(unit, unit.frame.plans[attribute.base], below, left)
    relation = attribute.relation
    if attribute.kind is FieldKind.ONE:
        found = await batch.referred([getattr(item, relation.key) for item in items])
        return [msgspec.structs.replace(item, **{name: found.get(getattr(item, relation.key))}) for item in items]
    ids = [item.id for item in items]
    if relation.through is None:
        grouped = await batch.referring(relation.key, ids)
    else:
        grouped = await batch.linked(unit.frame.plans[relation.through], relation.key, relation.to, ids)
    return [msgspec.structs.replace(item, **{name: grouped[item.id]}) for item in items]


class _Batch:
    """The rows of one relation, loaded for all rows that have it."""

    def __init__(self, unit: UnitOfWork, target: EntityPlan, below: list[str], left: list[int]) -> None:
        self._unit = unit
        self._target = target
        self._below = below
        self._left = left

    async def referring(self, key: str, ids: list[Any]) -> dict[Any, list[Any]]:
        """Return the rows whose field refers to one of these ids, by that id."""
        grouped: dict[Any, list[Any]] = {id_: [] for id_ in ids}
        for child in await self._deeper(await self._fetch(self._target, key, ids, (_BY_ID,), per=key)):
            grouped[getattr(child, key)].append(child)
        return grouped

    async def referred(self, ids: Iterable[Any]) -> dict[Any, Any]:
        """Return the rows of these ids (None: of none), by their ids."""
        wanted = list(dict.fromkeys(id_ for id_ in ids if id_ is not None))
        return {row.id: row for row in await self._deeper(await self._fetch(self._target, "id", wanted, (_BY_ID,)))}

    async def linked(self, between: EntityPlan, key: str, to: str, ids: list[Any]) -> dict[Any, list[Any]]:
        """Return the rows that rows between refer to, each once, by the ids that these refer to on the other side."""
        links = await self._fetch(between, key, ids, (Sort(to), _BY_ID), per=key)
        pairs = dict.fromkeys((getattr(link, key), getattr(link, to)) for link in links)
        found = await self.referred(to for _, to in pairs)
        grouped: dict[Any, list[Any]] = {id_: [] for id_ in ids}
        for from_, to_ in sorted(pair for pair in pairs if pair[1] in found):
            grouped[from_].append(found[to_])
        return grouped

    async def _fetch(
        self, plan: EntityPlan, field: str, values: list[Any], sort: tuple[Sort, ...], *, per: str | None = None
    ) -> list[Any]:
        """Return the rows that have one of the values in a field, with ``per`` the first 200 of each."""
        reach = self._unit.reach(plan)
        if reach == FALSE:
            return []
        rows = self._unit.transaction().rows(plan.shape.type)
        limit = None if per is None else MAX_LIMIT
        found: list[Any] = []
        for start in range(0, len(values), _PARENTS):
            where = Among(field, tuple(values[start : start + _PARENTS])) & reach
            part = await rows.fetch(Query(where=where, sort=sort, limit=limit, per=per))
            self._left[0] -= len(part)
            if self._left[0] < 0:
                raise IncludeTooLarge
            found += part
        return found

    async def _deeper(self, rows: list[Any]) -> list[Any]:
        return await _attach(self._unit, self._target, rows, self._below, self._left) if self._below else rows


async def with_related(
    unit: UnitOfWork, plan: EntityPlan, parent: Any, pointer: str, related: list[tuple[type[Entity], list[Any]]]
) -> Any:
    """Return a new row with the rows of its relations as they will be stored, and append these to ``related``."""
    for relation in plan.shape.relations:
        children = getattr(parent, relation.name)
        if children is msgspec.UNSET or relation.relation is None:
            continue
        if relation.kind is FieldKind.ONE or relation.relation.through is not None:
            raise TypeError(
                f"{plan.shape.name}.{relation.name} is read only: add rows by the fields that refer to them"
            )
        target, key, place = unit.frame.plans[relation.base], relation.relation.key, f"{pointer}/{relation.name}"
        made = []
        for index, child in enumerate(children):
            if getattr(child, key) not in (UNASSIGNED, parent.id):
                raise ValueError(f"{plan.shape.name}{place}/{index}: {key} names another {plan.shape.name}")
            own = msgspec.structs.replace(child, **{key: parent.id, **inherited(plan, parent, target, child)})
            made.append(prepared(unit, target, own, f"{place}/{index}"))
        await check_references(unit, target, made, known=key)
        if made:
            related.append((relation.base, made))
        for index, child in enumerate(made):
            made[index] = await with_related(unit, target, child, f"{place}/{index}", related)
        parent = msgspec.structs.replace(parent, **{relation.name: made})
    return parent
