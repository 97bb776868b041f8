"""Reading ahead: what a command has to know before it waits, read without beginning its transaction.

Work that waits (a slow hash, a call to the outside) comes before the first touch of a repository, which would keep
others from writing meanwhile. What such work rests on is read here, from a snapshot of its own that has ended when the
row is there; whoever then changes the row reads it again, in the transaction.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar
from uuid import UUID

from mainstay.model.conditions import Condition
from mainstay.model.structs import Entity
from mainstay.ports.repository import Repository
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

E = TypeVar("E", bound=Entity)


class ReadAhead(Generic[E]):
    """Rows of one entity as they are committed now, under the caller's row policy, one look at a time."""

    __slots__ = ("_plan", "_unit")

    def __init__(self, unit: UnitOfWork, plan: EntityPlan) -> None:
        self._unit = unit
        self._plan = plan

    async def get(self, id: UUID, /) -> E:
        """Return the row with this id. Raises ``NotFound``, for what the caller may not see too."""
        unit = self._apart()
        try:
            return await Repository[E](unit, self._plan).get(id)
        finally:
            await unit.rollback()

    async def one(self, *conditions: Condition, **fields: Any) -> E:
        """Return the one row of which the conditions are true. Raises ``NotFound``, or ``MoreThanOne``."""
        unit = self._apart()
        try:
            return await Repository[E](unit, self._plan).one(*conditions, **fields)
        finally:
            await unit.rollback()

    def _apart(self) -> UnitOfWork:
        outer = self._unit
        return UnitOfWork(outer.frame, write=False, single=True, deadline=outer.deadline, latest=True)
