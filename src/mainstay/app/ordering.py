"""The order of entities: what is referred to comes before what refers to it."""

from __future__ import annotations

from collections.abc import Sequence

from mainstay.app.refusal import Refusal
from mainstay.model.structs import Entity
from mainstay.ports.unit_of_work import EntityPlan


def referred_first(plans: Sequence[EntityPlan]) -> list[EntityPlan]:
    """Return plans so that what is referred to comes first: where that is a ring, what must be referred to.

    Raises ``Refusal`` for a ring that no optional field opens.
    """
    left, done = list(plans), list[EntityPlan]()
    while left:
        among = {plan.shape.type for plan in left}
        ready = [plan for plan in left if not _others(plan, among, needed=False)]
        ready = ready or [plan for plan in left if not _others(plan, among, needed=True)][:1]
        if not ready:
            names = ", ".join(plan.shape.name for plan in left)
            raise Refusal(f"{names} refer to one another, and none of the fields is optional: no row can be the first")
        done += ready
        left = [plan for plan in left if plan not in ready]
    return done


def _others(plan: EntityPlan, among: set[type[Entity]], *, needed: bool) -> set[type[Entity]]:
    """Return which other entities among these a plan's rows refer to, or must refer to."""
    by_name = plan.shape.by_name
    named = {each.entity for each in plan.references if not (needed and by_name[each.field].optional)}
    return (named & among) - {plan.shape.type}
