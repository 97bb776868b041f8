"""Rows that a part of Mainstay looks at and changes beside calls: as the system, in units of work of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from mainstay.model.conditions import TRUE, Condition
from mainstay.model.inputs import Sort
from mainstay.model.operation import Isolation
from mainstay.model.problem import SerializationConflict, StaleVersion, UniqueConflict
from mainstay.model.structs import Entity
from mainstay.ports.repository import Repository
from mainstay.ports.rows import Query
from mainstay.ports.unit_of_work import Frame, UnitOfWork

E = TypeVar("E", bound=Entity)
T = TypeVar("T")

ATTEMPTS = 5
_CONFLICTS = (SerializationConflict, StaleVersion, UniqueConflict)


class Records:
    """Reads all that was committed, and changes rows in transactions of its own. ``frame`` is the system's."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    async def read(self, work: Callable[[UnitOfWork], Awaitable[T]], *, deadline: float | None = None) -> T:
        """Return what ``work`` reads, from one snapshot; ``deadline`` is monotonic."""
        unit = UnitOfWork(self.frame, write=False, latest=True, deadline=deadline)
        try:
            return await work(unit)
        finally:
            await unit.rollback()

    async def all(
        self, entity: type[E], where: Condition = TRUE, *, sort: tuple[Sort, ...] = (), deadline: float | None = None
    ) -> list[E]:
        """Return all rows of which a condition is true."""
        unit = UnitOfWork(self.frame, write=False, single=True, latest=True, deadline=deadline)
        try:
            found: list[E] = await unit.transaction().rows(entity).fetch(Query(where=where, sort=sort))
            return found
        finally:
            await unit.rollback()

    async def change(self, work: Callable[[UnitOfWork], Awaitable[T]], *, isolation: Isolation = "serializable") -> T:
        """Run ``work`` in a transaction and commit it; again, some times, where it met another.

        ``isolation`` is how far it is kept apart from others, at least: less where the versions of its rows are enough.
        """
        attempts = 0
        while True:
            unit = UnitOfWork(self.frame, write=True, isolation=isolation)
            try:
                done = await work(unit)
                await unit.commit()
                return done
            except BaseException as error:
                await unit.rollback()
                attempts += 1
                if attempts >= ATTEMPTS or not isinstance(error, _CONFLICTS):
                    raise
            await self.frame.clock.sleep(0.005 * 2**attempts)


def rows_of(unit: UnitOfWork, entity: type[E]) -> Repository[E]:
    """Return the repository of an entity in a unit of work."""
    plan: Any = unit.frame.plans[entity]
    return Repository(unit, plan)
