"""Relations: the rows that belong to rows, loaded in one batch a relation, under the target's own policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstay.model.conditions import FALSE, Among
from mainstay.model.inputs import MAX_DEPTH, MAX_LIMIT, Sort
from mainstay.model.problem import Malformed
from mainstay.model.structs import Entity
from mainstay.model.values import UNASSIGNED
from mainstay.ports.rows import Query
from mainstay.ports.tenants import inherited
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork
from mainstay.ports.writing import check_references, prepared

MAX_RELATED = 10_000
"""The rows that all relations of one answer may bring, before it is refused."""

_PARENTS = 200


class UnknownRelation(Malformed):
    """There is no relation of this name."""


class IncludeTooLarge(Malformed, hint="Ask for fewer rows, or for fewer relations."):
    """The relations asked for have more rows than one answer may bring."""


async def attach(unit: UnitOfWork, plan: EntityPlan, items: list[Any], wanted: Sequence[str]) -> list[Any]:
    """Return the rows with the relations in ``wanted`` loaded ("lines", or "lines.parts" for two steps).

    Each parent gets at most 200 rows a relation, in the order of their ids. Raises ``UnknownRelation``, and
    ``IncludeTooLarge`` over 10,000 rows in all.
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
    target = unit.frame.plans[attribute.base]
    key = attribute.relation.key
    children = await _children(unit, target, key, [item.id for item in items], left)
    if below:
        children = await _attach(unit, target, children, below, left)
    grouped: dict[Any, list[Any]] = {item.id: [] for item in items}
    for child in children:
        grouped[getattr(child, key)].append(child)
    return [msgspec.structs.replace(item, **{name: grouped[item.id]}) for item in items]


async def _children(unit: UnitOfWork, target: EntityPlan, key: str, ids: list[Any], left: list[int]) -> list[Any]:
    reach = unit.reach(target)
    if reach == FALSE:
        return []
    rows = unit.transaction().rows(target.shape.type)
    found: list[Any] = []
    for start in range(0, len(ids), _PARENTS):
        where = Among(key, tuple(ids[start : start + _PARENTS])) & reach
        part = await rows.fetch(Query(where=where, sort=(Sort("id"),), limit=MAX_LIMIT, per=key))
        left[0] -= len(part)
        if left[0] < 0:
            raise IncludeTooLarge
        found += part
    return found


async def with_related(
    unit: UnitOfWork, plan: EntityPlan, parent: Any, pointer: str, related: list[tuple[type[Entity], list[Any]]]
) -> Any:
    """Return a new row with the rows of its relations as they will be stored, and append these to ``related``."""
    for relation in plan.shape.relations:
        children = getattr(parent, relation.name)
        if children is msgspec.UNSET or relation.relation is None:
            continue
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
