"""Values of rows that are there, so that an operation is explained on the data that it works on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.model.conditions import FALSE, TRUE
from mainstay.model.inputs import Sort
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.structs import Entity
from mainstay.ports.rows import Query
from mainstay.ports.store import Store
from mainstay.ports.unit_of_work import EntityPlan


class Existing:
    """Looks for the newest rows of the entities of an operation's module."""

    def __init__(self, bound: Bound, store: Store, operation: BoundOperation) -> None:
        self._store = store
        module = operation.operation.module
        self._plans = [plan for plan in bound.plans.values() if plan.module == module]
        self._rows: dict[tuple[type[Entity], UUID | None], Any] = {}
        resource, answer = operation.operation.resource, operation.signature.answer[1]
        self._own: Any = resource.entity if resource is not None else answer
        self._writes = operation.operation.kind is not OperationKind.QUERY

    async def value(self, name: str, who: Principal) -> Any:
        """Return the value that an input of this name has in a row that the caller may see, or None.

        An input is taken for one of a row where it is ``id``, ``customer_id`` where there are customers, or is named
        like a unique field.
        """
        for plan in self._plans:
            own = plan.shape.type is self._own
            entity = plan.shape.name.lower()
            if (name == "id" and own) or name.replace("_", "").lower() == f"{entity}id":
                row = await self._newest(plan, who)
                return None if row is None else row.id
        for plan in self._plans:
            attribute = plan.shape.by_name.get(name)
            if attribute is not None and attribute.spec.unique and not (self._writes and plan.shape.type is self._own):
                row = await self._newest(plan, who)
                return None if row is None else getattr(row, name)
        return None

    async def owner(self) -> UUID | None:
        """Return who owns a row of the module, where its rows have owners."""
        for plan in self._plans:
            for field in plan.owners:
                row = await self._newest(plan, None)
                if row is not None:
                    return UUID(str(getattr(row, field)))
        return None

    async def _newest(self, plan: EntityPlan, who: Principal | None) -> Any:
        key = (plan.shape.type, None if who is None else who.id)
        if key not in self._rows:
            where = TRUE if plan.policy is None or who is None else plan.policy.reduce(who)
            transaction = self._store.begin(write=False)
            try:
                query = Query(where=where, sort=(Sort("id", descending=True),), limit=1)
                found = [] if where is FALSE else await transaction.rows(plan.shape.type).fetch(query)
            finally:
                await transaction.rollback()
            self._rows[key] = found[0] if found else None
        return self._rows[key]
