"""Relations: the rows that belong to rows, loaded in one batch a relation, under the target's own policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from mainstay.model.conditions import TRUE, Among
from mainstay.model.inputs import MAX_DEPTH, MAX_LIMIT, Sort
from mainstay.model.problem import Malformed
from mainstay.ports.rows import Query
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork


class UnknownRelation(Malformed):
    """There is no relation of this name."""


async def attach(unit: UnitOfWork, plan: EntityPlan, items: list[Any], wanted: Sequence[str]) -> list[Any]:
    """Return the rows with the relations in ``wanted`` loaded ("lines", or "lines.parts" for two steps).

    Each parent gets at most 200 rows a relation, in the order of their ids. Raises ``UnknownRelation``.
    """
    deeper: dict[str, list[str]] = {}
    for path in wanted:
        first, _, rest = path.partition(".")
        below = deeper.setdefault(first, [])
        if rest:
            below.append(rest)
        if path.count(".") >= MAX_DEPTH:
            raise UnknownRelation(f"include {path}: at most {MAX_DEPTH} steps")
    for name, below in deeper.items():
        items = await _attach_one(unit, plan, items, name, below)
    return items


async def _attach_one(unit: UnitOfWork, plan: EntityPlan, items: list[Any], name: str, below: list[str]) -> list[Any]:
    attribute = plan.shape.by_name.get(name)
    if attribute is None or attribute.relation is None:
        raise UnknownRelation(f"{plan.shape.name} has no relation {name}")
    target = unit.frame.plans[attribute.base]
    key = attribute.relation.key
    visible = TRUE if target.policy is None else unit.visible(attribute.base, target.policy)
    where = Among(key, tuple(item.id for item in items)) & visible
    query = Query(where=where, sort=(Sort("id"),), limit=MAX_LIMIT, per=key)
    children = await unit.transaction().rows(attribute.base).fetch(query)
    if below and children:
        children = await attach(unit, target, children, below)
    grouped: dict[Any, list[Any]] = {item.id: [] for item in items}
    for child in children:
        grouped[getattr(child, key)].append(child)
    return [msgspec.structs.replace(item, **{name: grouped[item.id]}) for item in items]
