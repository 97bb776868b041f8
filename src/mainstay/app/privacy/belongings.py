"""Whose rows are whose: the entities that say so, and the rows of one person."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from mainstay.app.ordering import referred_first
from mainstay.kernel.bind import Bound
from mainstay.kernel.flow.records import AUDIT
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.faults import StartupFault
from mainstay.model.operation import source_of
from mainstay.model.personal import Person
from mainstay.model.schema import Attribute
from mainstay.model.structs import Entity
from mainstay.ports.auditing import AuditAction, AuditRow
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction
from mainstay.ports.unit_of_work import EntityPlan

MANY_IDS = 500


class Claim(NamedTuple):
    """An entity that says whose its rows are; ``above`` is the entity whose rows they go with, if it names one."""

    plan: EntityPlan
    person: Person
    above: type[Entity] | None

    @property
    def entity(self) -> type[Entity]:
        """The entity."""
        entity: type[Entity] = self.plan.shape.type
        return entity

    @property
    def personal(self) -> list[Attribute]:
        """The fields that say something about the person."""
        return [a for a in self.plan.shape.attributes if a.spec.personal]

    def where(self, person: UUID, above: Sequence[UUID]) -> Iterator[Condition]:
        """Give the conditions of the person's rows; ``above`` are the rows that they go with."""
        if self.above is None:
            yield Compare(self.person.field, "eq", person)
        else:
            for start in range(0, len(above), MANY_IDS):
                yield Among(self.person.field, tuple(above[start : start + MANY_IDS]))


def claims(bound: Bound) -> list[Claim]:
    """Return the entities that say whose their rows are, each behind those that its rows refer to."""
    declared = [p for p in bound.plans.values() if p.shape.type.__mainstay_options__.person is not None]
    made = []
    for plan in referred_first(declared):
        person = plan.shape.type.__mainstay_options__.person
        assert person is not None  # it was asked for
        made.append(Claim(plan, person, bound.blueprint.references.get((plan.shape.type, person.field))))
    return made


class Belongings:
    """The rows of one person: as they are, and the ids of those that were deleted and have entries in the audit."""

    def __init__(self, person: UUID, claimed: Sequence[Claim], audited: bool) -> None:
        self.person = person
        self.rows: dict[type[Entity], list[Any]] = {}
        self.gone: dict[type[Entity], list[UUID]] = {}
        self._claims = claimed
        self._audited = audited

    async def read(self, transaction: Transaction) -> None:
        """Look for all of them, past all policies: those of every tenant, and those that are kept when deleted."""
        for claim in self._claims:
            above = [] if claim.above is None else self.ids(claim.above)
            stored = transaction.rows(claim.entity)
            self.rows[claim.entity] = [
                row for where in claim.where(self.person, above) for row in await stored.fetch(Query(where=where))
            ]
            self.gone[claim.entity] = await self._deleted(transaction, claim, above)

    async def _deleted(self, transaction: Transaction, claim: Claim, above: Sequence[UUID]) -> list[UUID]:
        if not self._audited or claim.plan.trail is None:
            return []
        named = {str(id) for id in above} if claim.above is not None else {str(self.person)}
        here = Compare("table_name", "eq", claim.plan.table) & Compare("action", "eq", AuditAction.DELETE)
        if claim.person.field == "id":
            here = here & Compare("row_id", "eq", self.person)
        found = [entry async for entry in transaction.rows(AuditRow).stream(Query(where=here))]
        if claim.person.field == "id":
            return [entry.row_id for entry in found]
        field = claim.person.field
        return [e.row_id for e in found if field in e.changes and str(e.changes[field].old) in named]

    def ids(self, entity: type[Entity]) -> list[UUID]:
        """Return the ids of the rows of an entity, of those that are gone too."""
        return [*(row.id for row in self.rows[entity]), *self.gone[entity]]

    def marks(self) -> frozenset[str]:
        """Return every id that leads to the person, as text."""
        return frozenset({str(self.person), *(str(id) for entity in self.rows for id in self.ids(entity))})


def belongings(bound: Bound, person: UUID, claimed: Sequence[Claim]) -> Belongings:
    """Return the belongings of a person, not read yet."""
    return Belongings(person, claimed, any(plan.table == AUDIT for plan in bound.plans.values()))


def unclaimed(bound: Bound) -> list[StartupFault]:
    """Return what may belong to a person and says nothing of it: no fault, but export and erasure leave it out."""
    plans: Mapping[type[Entity], EntityPlan] = bound.plans
    found = []
    for entity in bound.blueprint.entities():
        plan = plans.get(entity)
        if plan is None or entity.__mainstay_options__.person is not None:
            continue
        for owner in plan.owners:
            message = f"its rows have an owner, {owner}, and nothing says whose they are when that person is erased"
            found.append(_told(entity, message, f'say person="{owner}", or person("{owner}", erase=...)'))
        for reference in plan.references:
            person = reference.entity.__mainstay_options__.person
            restricts = plan.shape.by_name[reference.field].spec.on_delete == "restrict"
            if restricts and person is not None and person.erase == "delete":
                message = f"{reference.field} keeps a {reference.entity.__name__} from being deleted with its person"
                found.append(_told(entity, message, f'say person="{reference.field}", or on_delete="cascade"'))
    return found


def _told(entity: type[Entity], message: str, hint: str) -> StartupFault:
    return StartupFault(source_of(entity), entity.__name__, message, hint)
