"""The words of rows that were stored before their fields became searchable, or by an older version of the service."""

from __future__ import annotations

from uuid import UUID

from mainstay.kernel.bind import Bound
from mainstay.model.operation import Isolation
from mainstay.model.principal import Principal
from mainstay.model.problem import SerializationConflict
from mainstay.ports.indexing import index_portion
from mainstay.ports.unit_of_work import EntityPlan, Frame, UnitOfWork

_ATTEMPTS = 20


async def index(bound: Bound) -> dict[str, int]:
    """Store the words of all rows anew, and return how many rows of which entity there were. The store is open.

    It goes by portions, each in a transaction of its own, so that the service goes on meanwhile; it may be run again.
    """
    done: dict[str, int] = {}
    if bound.ports.store.capabilities.words is not None:
        for plan in bound.plans.values():
            if plan.words is not None:
                done[plan.shape.name] = await _index(bound, plan)
    return done


async def _index(bound: Bound, plan: EntityPlan) -> int:
    count, after = 0, UUID(int=0)
    while True:
        ids = await _portion(bound, plan, after)
        if not ids:
            return count
        count, after = count + len(ids), ids[-1]


async def _portion(bound: Bound, plan: EntityPlan, after: UUID) -> list[UUID]:
    """Do one portion, again where it met a command of the service.

    Words within a row are written with it: who changes it meanwhile is met in any case, and nobody else need be.
    """
    ports = bound.ports
    isolation: Isolation = "repeatable_read" if ports.store.capabilities.words == "within" else "serializable"
    for left in reversed(range(_ATTEMPTS)):
        frame = Frame(Principal.system, "index", ports.clock, ports.ids, ports.sealer, bound.plans, ports.store)
        unit = UnitOfWork(frame, write=True, isolation=isolation)
        try:
            ids = await index_portion(unit, plan, after)
            await unit.commit()
        except SerializationConflict:
            if not left:
                raise
        else:
            return ids
        finally:
            await unit.rollback()
    raise AssertionError("unreachable")
