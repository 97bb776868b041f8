"""Everything about one person, in a form that machines read: rows, what the audit has of them, the keys of objects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from mainstay.app.privacy.belongings import MANY_IDS, Belongings, Claim, belongings, claims
from mainstay.app.privacy.working import operator_unit
from mainstay.kernel.bind import Bound
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.inputs import Sort
from mainstay.model.values import Secret
from mainstay.ports.auditing import Altered, AuditRow
from mainstay.ports.rows import Query
from mainstay.ports.store import Transaction

FORM = "mainstay.person/1"


class ExportedRows(msgspec.Struct, kw_only=True):
    """The rows of one entity; ``withheld`` names fields that nobody is ever shown: hashes of passwords, tokens."""

    entity: str
    description: str
    rows: list[dict[str, Any]]
    withheld: list[str]


class ExportedEntry(msgspec.Struct, kw_only=True):
    """A change of a row of the person, or one that the person made."""

    at: datetime
    table: str
    row: UUID
    action: str
    version: int
    operation: str
    by_person: bool
    changes: dict[str, Altered]


class ExportedPerson(msgspec.Struct, kw_only=True):
    """What a service has of one person, at one moment. ``objects`` are the keys of objects that rows name."""

    form: str = FORM
    person: UUID
    service: str
    version: str
    at: datetime
    entities: list[ExportedRows]
    audit: list[ExportedEntry]
    objects: list[str]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return sum(len(each.rows) for each in self.entities)


async def export(bound: Bound, person: UUID) -> ExportedPerson:
    """Return everything about a person, as one moment has it. The store is open."""
    claimed = claims(bound)
    found = belongings(bound, person, claimed)
    unit = operator_unit(bound, "privacy export", write=False)
    unit.several()
    try:
        await found.read(unit.transaction())
        audit = await _audit(unit.transaction(), found, claimed) if AuditRow in bound.plans else []
    finally:
        await unit.rollback()
    return ExportedPerson(
        person=person,
        service=bound.service.name,
        version=bound.service.version,
        at=bound.ports.clock.now(),
        entities=[_rows(claim, found) for claim in claimed if found.rows[claim.entity]],
        audit=audit,
        objects=sorted(objects_of(claimed, found)),
    )


def objects_of(claimed: Sequence[Claim], found: Belongings) -> set[str]:
    """Return the keys of the objects that the rows of a person name."""
    return {key for claim in claimed for row in found.rows[claim.entity] for key in keys_of(claim, row)}


def keys_of(claim: Claim, row: Any) -> Iterator[str]:
    """Give the keys of the objects that a row names."""
    for attribute in claim.personal:
        key = getattr(row, attribute.name) if attribute.spec.personal == "blob" else None
        if key:
            yield key


def _rows(claim: Claim, found: Belongings) -> ExportedRows:
    shape = claim.plan.shape
    shown = [a.name for a in shape.attributes if not a.hidden]
    return ExportedRows(
        entity=f"{claim.plan.module}.{shape.name}",
        description=shape.doc.partition("\n")[0],
        rows=[{name: _told(getattr(row, name)) for name in shown} for row in found.rows[claim.entity]],
        withheld=[a.name for a in shape.attributes if a.hidden],
    )


def _told(value: Any) -> Any:
    """Return a value in its JSON form, without what is secret inside of it."""
    return msgspec.to_builtins(value, enc_hook=lambda held: "***" if isinstance(held, Secret) else repr(held))


async def _audit(transaction: Transaction, found: Belongings, claimed: Sequence[Claim]) -> list[ExportedEntry]:
    stored, entries = transaction.rows(AuditRow), dict[UUID, AuditRow]()
    for where in (Compare("actor_id", "eq", found.person), *entries_of(found, claimed)):
        entries |= {row.id: row for row in await stored.fetch(Query(where=where, sort=(Sort("id"),)))}
    return [
        ExportedEntry(
            at=row.created_at,
            table=row.table_name,
            row=row.row_id,
            action=row.action.value,
            version=row.row_version,
            operation=row.operation,
            by_person=row.actor_id == found.person,
            changes=row.changes,
        )
        for _, row in sorted(entries.items())
    ]


def entries_of(found: Belongings, claimed: Sequence[Claim]) -> Iterator[Condition]:
    """Give the conditions of the entries that the audit has of the rows of a person."""
    for claim in claimed:
        ids = found.ids(claim.entity) if claim.plan.trail is not None else []
        for start in range(0, len(ids), MANY_IDS):
            here = Compare("table_name", "eq", claim.plan.table)
            yield here & Among("row_id", tuple(ids[start : start + MANY_IDS]))
