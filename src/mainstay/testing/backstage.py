"""What a test puts into a store, and looks at, behind the back of the service: as the system, in units of its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec.structs import replace

from mainstay.model.circumstances import Circumstances
from mainstay.model.conditions import Condition
from mainstay.model.principal import Principal
from mainstay.model.structs import Entity
from mainstay.ports.auditing import audited
from mainstay.ports.bulk import Bulk
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository
from mainstay.ports.sealer import Sealer
from mainstay.ports.store import Store
from mainstay.ports.tenants import across_tenants
from mainstay.ports.unit_of_work import EntityPlan, Frame, UnitOfWork

E = TypeVar("E", bound=Entity)


class Backstage:
    """A store with the plans of its entities."""

    def __init__(
        self, store: Store, plans: Mapping[type[Entity], EntityPlan], clock: Clock, ids: Ids, sealer: Sealer
    ) -> None:
        self.store = store
        self.plans = plans
        self._every = {entity: across_tenants(plan) for entity, plan in plans.items()}
        self._lent = (clock, ids, sealer)

    def on(self, store: Store) -> Backstage:
        """Return one with the same entities on another store, or before the same one."""
        made = copy.copy(self)
        made.store = store
        return made

    def unit(self, who: Principal, *, write: bool) -> UnitOfWork:
        """Return a unit of work for a caller, in the circumstances of a test where it has none of its own."""
        if who.circumstances is None and not who.is_system:
            who = replace(who, circumstances=Circumstances(at=self._lent[0].now(), protocol="test"))
        return self._unit(who, self.plans, write)

    def _unit(self, who: Principal, plans: Mapping[type[Entity], EntityPlan], write: bool) -> UnitOfWork:
        clock, ids, sealer = self._lent
        return UnitOfWork(audited(Frame(who, "test", clock, ids, sealer, plans, self.store)), write=write)

    def plan(self, entity: type[Entity]) -> EntityPlan:
        """Return the plan of an entity. Raises ``LookupError`` for one that is not there."""
        try:
            return self.plans[entity]
        except KeyError:
            raise LookupError(f"{entity.__name__} is no entity of this test: name it with the others") from None

    async def given(self, *rows: Any) -> list[Any]:
        """Add rows as the system, in one transaction, and return them as they are stored; each names its tenant."""
        unit = self._unit(Principal.system, self._every, write=True)
        try:
            made: list[Any] = []
            for row in rows:
                made += await Bulk(unit, across_tenants(self.plan(type(row)))).add_all([row])
            await unit.commit()
        finally:
            await unit.rollback()
        return made

    async def stored(
        self, entity: type[E], /, *conditions: Condition, sort: str | None = None, **fields: Any
    ) -> list[E]:
        """Return the rows that match, as the system sees them, in the order of their adding unless told otherwise."""
        unit = self._unit(Principal.system, self._every, write=False)
        try:
            rows: Repository[E] = Repository(unit, across_tenants(self.plan(entity)))
            return [row async for row in rows.stream(*conditions, sort=sort, **fields)]
        finally:
            await unit.rollback()
