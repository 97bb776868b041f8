"""Values of rows that are there, so that an operation is explained on the data that it works on."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from mainstay.app.volume.patterns import Patterned
from mainstay.app.volume.values import lengths_of
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.model.checks import KERNEL
from mainstay.model.conditions import FALSE, TRUE
from mainstay.model.inputs import Sort
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.structs import Entity
from mainstay.ports.rows import Query
from mainstay.ports.store import Store
from mainstay.ports.unit_of_work import EntityPlan


class Existing:
    """Looks for the newest rows of entities: of those of the operation's module first."""

    def __init__(self, bound: Bound, store: Store, operation: BoundOperation) -> None:
        self._store = store
        self._module = module = operation.operation.module
        self._plans = [plan for plan in bound.plans.values() if plan.module != KERNEL]
        self._rows: dict[tuple[type[Entity], UUID | None], Any] = {}
        resource, answer = operation.operation.resource, operation.signature.answer[1]
        self._own: Any = resource.entity if resource is not None else answer
        self._plans.sort(key=lambda plan: (plan.shape.type is not self._own, plan.module != module))
        self._writes = operation.operation.kind is not OperationKind.QUERY
        self._ids = operation.ports.ids

    async def value(self, name: str, who: Principal) -> Any:
        """Return the value that an input of this name has in a row that the caller may see, or None.

        An input is taken for one of a row where it is ``id``, ``customer_id`` where there are customers, or is named
        like a unique field; where that is a field of what is written, it is a value that no row has.
        """
        asked = _plain(name)
        for plan in self._plans:
            own = plan.shape.type is self._own
            if (asked == "id" and own) or asked == f"{plan.shape.name.lower()}id":
                row = await self._newest(plan, who)
                return None if row is None else row.id
        for plan in self._plans:
            for attribute in plan.shape.attributes:
                if attribute.spec.unique and _plain(attribute.name) == asked:
                    if self._writes and plan.shape.type is self._own:
                        return self._fresh(attribute)
                    row = await self._newest(plan, who)
                    return None if row is None else getattr(row, attribute.name)
        return None

    def _fresh(self, attribute: Attribute) -> str | None:
        """Return a text that no row has, or None where there is no telling."""
        number = self._ids.next().int & 0xFFFF_FFFF_FFFF
        if attribute.kind is not FieldKind.STRING:
            return None
        if attribute.format == "email":
            return f"{number:x}@example.com"
        least, most, pattern = lengths_of(attribute)
        try:
            return Patterned(pattern or "[a-z0-9]{8}[a-z0-9]*", least, most).text(number)
        except ValueError:
            return None

    async def owner(self) -> UUID | None:
        """Return who owns a row of the module, of those that are asked for first of all.

        None where no row has an owner, or where an owner has one row and one is to be added.
        """
        for plan in self._plans:
            for field in plan.owners if plan.module == self._module else ():
                if self._writes and plan.shape.type is self._own and plan.shape.by_name[field].spec.unique:
                    return None
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


def _plain(name: str) -> str:
    """Return a name as it is in any spelling, snake_case or camelCase."""
    return name.replace("_", "").lower()
