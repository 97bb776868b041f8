"""The rows of two callers, and what gives away those that one of them may not see."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from mainstay.app.authorising.subjects import masks_of, rows_by
from mainstay.app.authorising.verdicts import whole
from mainstay.app.volume.filling import Wanted, fill
from mainstay.model.checks import KERNEL
from mainstay.model.conditions import TRUE, Compare, holds
from mainstay.model.principal import Principal
from mainstay.model.schema import FieldKind
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.ports.rows import Change, Query
from mainstay.ports.unit_of_work import EntityPlan
from mainstay.testing.client import Client

ROWS = 12
"""Of each entity, made up."""

SHORTEST = 6
"""Characters of a text that gives a row away: shorter ones stand in other rows, and in words."""

_TELLING = (FieldKind.STRING, FieldKind.UUID)  # a number or a member of an enum is any row's

ABSENT = UUID("0199c0de-0000-7000-8000-00000000dead")
"""An id that no row has."""


class World:
    """The rows in a client's store, as they are for one who must not see all of them."""

    def __init__(self, client: Client, one: Principal, other: Principal) -> None:
        self.client = client
        self.other = other
        self._bound = client.bound
        self._one, self._other = (whole(who, self._bound.service, client.clock) for who in (one, other))
        self.plans: dict[type[Entity], EntityPlan] = {
            entity: plan
            for entity, plan in self._bound.plans.items()
            if plan.module != KERNEL and entity in self._bound.blueprint.owners
        }

    async def make(self) -> None:
        """Make up rows where an entity has none, and deal those that have owners to the two and to a third."""
        empty = [plan.shape.name for entity, plan in self.plans.items() if not await self.rows(entity)]
        for tenant in dict.fromkeys((self._one.tenant, self._other.tenant)):
            if empty:
                await fill(self._bound, Wanted(rows=ROWS, seed=1, entities=tuple(empty), tenant=tenant))
        for plan in self.plans.values():
            if plan.shape.name in empty and plan.owners:
                await self._deal(plan)

    async def _deal(self, plan: EntityPlan) -> None:
        transaction = self._bound.ports.store.begin(write=True)
        try:
            rows = await transaction.rows(plan.shape.type).fetch(Query(where=TRUE))
            unique = any(plan.shape.by_name[field].spec.unique for field in plan.owners)
            for place, row in enumerate(rows[:2] if unique else rows):
                owner = (self._one.id, self._other.id, None)[place % 3]
                if owner is not None:
                    changes = {**dict.fromkeys(plan.owners, owner), "version": row.version + 1}
                    change = Change(where=Compare("id", "eq", row.id), changes=changes, id=row.id, before=row)
                    transaction.rows(plan.shape.type).enqueue(change)
            await transaction.commit()
        finally:
            await transaction.rollback()

    async def rows(self, entity: type[Entity]) -> list[Any]:
        """Return all rows of an entity."""
        transaction = self._bound.ports.store.begin(write=False)
        try:
            return list(await transaction.rows(entity).fetch(Query(where=TRUE)))
        finally:
            await transaction.rollback()

    async def visible(self, entity: type[Entity]) -> list[Any]:
        """Return the rows that the other caller may see."""
        allowed = rows_by(self.plans[entity]).reduce(self._other)
        return [row for row in await self.rows(entity) if holds(allowed, row)]

    async def hidden(self, entity: type[Entity]) -> list[Any]:
        """Return the rows that the other caller may not see, those of the first caller before the rest."""
        policy = rows_by(self.plans[entity])
        allowed, own = policy.reduce(self._other), policy.reduce(self._one)
        found = [row for row in await self.rows(entity) if not holds(allowed, row)]
        return sorted(found, key=lambda row: not holds(own, row))

    async def marks(self) -> dict[str, str]:
        """Return the texts that stand in what is hidden and nowhere else, each with what it gives away."""
        hidden: dict[str, str] = {}
        seen: list[bytes] = []
        for entity, plan in self.plans.items():
            for row in await self.hidden(entity):
                hidden |= {text: f"a row of {plan.shape.name}" for text in _texts(plan, row, frozenset())}
            masked = self._masked(plan)
            for row in await self.visible(entity):
                hidden |= {
                    text: f"a masked field of {plan.shape.name}" for text in _texts(plan, row, masked, only=True)
                }
                seen.append("\n".join(_texts(plan, row, masked)).encode())
        shown = b"\n".join(seen)
        return {text: what for text, what in hidden.items() if text.encode() not in shown}

    def _masked(self, plan: EntityPlan) -> frozenset[str]:
        """Return the fields that the other caller may read in no row."""
        read = {name: policy for name, policy, _ in masks_of(plan.shape) if policy is not None}
        return frozenset(name for name, policy in read.items() if policy.reduce(self._other) != TRUE)

    async def snapshot(self) -> dict[UUID, Any]:
        """Return every hidden row by its id."""
        return {row.id: row for entity in self.plans for row in await self.hidden(entity)}


def _texts(plan: EntityPlan, row: Any, names: frozenset[str], *, only: bool = False) -> list[str]:
    """Return the texts of a row that tell it from others: without the fields of these names, or of them only."""
    found = []
    for attribute in plan.shape.attributes:
        chosen = (attribute.name in names) == only
        standard = attribute.name in STANDARD_FIELDS and attribute.name != "id"
        if not chosen or standard or attribute.hidden or attribute.kind not in _TELLING:
            continue
        value = msgspec.to_builtins(getattr(row, attribute.name), enc_hook=str)
        if isinstance(value, str) and len(value) >= SHORTEST:
            found.append(value)
    return found
