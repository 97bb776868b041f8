"""A row as it is stored, for explaining what a policy says of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from mainstay.app.assembly import assemble
from mainstay.app.authorising.subjects import plans_of
from mainstay.app.explaining.finding import find_operation
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.model.conditions import TRUE
from mainstay.model.service import Service
from mainstay.ports.observer import Observation, Observer


class _Nobody(Observer):
    """Nobody listens: one row is read."""

    def observe(self, observation: Observation) -> None:
        """Take it, and do nothing."""


async def row_of(service: Service, settings: Settings, operation: str, id_: UUID) -> Mapping[str, Any]:
    """Return the fields of a row of the entity that an operation works on, whoever may see it.

    Raises ``Refusal`` where there is none, and what opening the database raises.
    """
    application = assemble(service, settings, observer=_Nobody())
    plans = plans_of(application.bound, find_operation(application.bound, operation).operation)
    if not plans:
        raise Refusal("a row was named, and the operation works on no entity")
    await application.start(deliver=False)
    try:
        transaction = application.ports.store.begin(write=False)
        try:
            row = await transaction.rows(plans[0].shape.type).get(id_, TRUE)
        finally:
            await transaction.rollback()
    finally:
        await application.stop()
    if row is None:
        raise Refusal(f"no {plans[0].shape.name} has the id {id_}")
    return {attribute.name: getattr(row, attribute.name) for attribute in plans[0].shape.attributes}
