"""One transaction of an erasure: first what tells of the person elsewhere, then rows, those that refer to others first.

What leads to a row is needed to find it, so that it goes last; whatever was done is not found by the next transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from mainstay.app.privacy.belongings import MANY_IDS, Belongings, Claim
from mainstay.app.privacy.exporting import entries_of, keys_of
from mainstay.app.refusal import Refusal
from mainstay.kernel.flow.records import IdempotencyRecord, OutboxMessage
from mainstay.kernel.guard.once import emptied_reply, shown_by
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.fields import MISSING
from mainstay.model.schema import Attribute
from mainstay.model.structs import Entity
from mainstay.model.values import UNASSIGNED
from mainstay.ports.auditing import MASK, Altered, AuditRow
from mainstay.ports.blobs import Blobs
from mainstay.ports.indexing import replace_words
from mainstay.ports.rows import Change, Query
from mainstay.ports.soft_deletion import purge_followers
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

NOBODY = "erased"
"""What stands for the name of a caller that was erased."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Round:
    """What one transaction does, and how much of it. Without a ``limit`` (of rows) it counts, and changes nothing."""

    def __init__(
        self, unit: UnitOfWork, found: Belongings, claimed: Sequence[Claim], *, limit: int | None, blobs: Blobs | None
    ) -> None:
        self.rows: dict[type[Entity], int] = {}
        self.entries_deleted: set[UUID] = set()
        self.entries_emptied: set[UUID] = set()
        self.replies_emptied = 0
        self.dead_letters_deleted = 0
        self.waiting = 0
        self.objects = 0
        self._unit = unit
        self._found = found
        self._claims = claimed
        self._counts_only = limit is None
        self._left: float = float("inf") if limit is None else limit
        self._blobs = blobs

    @property
    def is_last(self) -> bool:
        """Whether there was room for everything."""
        return self._left > 0

    async def run(self) -> None:
        """Do as much as there is room for."""
        marks = self._found.marks()
        await self._letters(marks)
        await self._replies(marks)
        if AuditRow in self._unit.frame.plans:
            await self._entries()
        for claim in reversed(self._claims):
            rows = self._found.rows[claim.entity]
            if claim.person.erase == "keep":
                self.rows[claim.entity] = len(rows)
            elif claim.person.erase == "delete":
                await self._delete(claim, self._some(rows))
            else:
                await self._empty(claim, self._some([row for row in rows if emptied_fields(claim, row)]))

    def _some(self, rows: Sequence[Any]) -> list[Any]:
        """Return as many of the rows as there is room for, and take that room."""
        taken = list(rows) if self._counts_only else list(rows[: int(self._left)])
        self._left -= len(taken)
        return taken

    async def _letters(self, marks: frozenset[str]) -> None:
        """Delete dead letters that tell of the person, and count what is still to be delivered."""
        stored, dead = self._unit.transaction().rows(OutboxMessage), list[UUID]()
        async for message in stored.stream(Query()):
            told = (message.payload, message.principal, message.key, message.cause)
            if any(text is not None and _names(text, marks) for text in told):
                if message.dead:
                    dead.append(message.id)
                else:
                    self.waiting += 1
        self.dead_letters_deleted += await self._take_away(OutboxMessage, self._some(dead))

    async def _replies(self, marks: frozenset[str]) -> None:
        """Empty the stored replies that show something of the person: their keys stay used."""
        stored = self._unit.transaction().rows(IdempotencyRecord)
        told = [record async for record in stored.stream(Query()) if _names(shown_by(record.reply), marks)]
        for record in self._some(told):
            self.replies_emptied += 1
            self._change(IdempotencyRecord, record, {"reply": emptied_reply(record.reply)})

    async def _entries(self) -> None:
        """Delete what the audit has of rows that are deleted, and empty the rest of it."""
        stored = self._unit.transaction().rows(AuditRow)
        for claim in self._claims:
            for where in entries_of(self._found, [claim]) if claim.person.erase != "keep" else ():
                entries = await stored.fetch(Query(where=where))
                if claim.person.erase == "delete":
                    some = self._some([entry.id for entry in entries])
                    self.entries_deleted.update(some)
                    await self._take_away(AuditRow, some)
                else:
                    self._mask(claim, entries)
        own: Condition = Compare("actor_id", "eq", self._found.person)
        for table in (claim.plan.table for claim in self._claims if claim.person.erase == "keep"):
            own = own & Compare("table_name", "ne", table)
        entries = [e for e in await stored.fetch(Query(where=own)) if e.id not in self.entries_deleted]
        for entry in self._some(entries):
            self.entries_emptied.add(entry.id)
            self._change(AuditRow, entry, {"actor_id": UNASSIGNED, "actor": NOBODY})

    def _mask(self, claim: Claim, entries: Sequence[AuditRow]) -> None:
        names = {a.name for a in claim.personal} | ({claim.person.field} - {"id"})
        hidden = Altered(old=MASK, new=MASK)
        for entry in self._some([e for e in entries if any(e.changes.get(name, hidden) != hidden for name in names)]):
            masked = {name: hidden if name in names else altered for name, altered in entry.changes.items()}
            self.entries_emptied.add(entry.id)
            self._change(AuditRow, entry, {"changes": masked})

    async def _delete(self, claim: Claim, rows: Sequence[Any]) -> None:
        self.rows[claim.entity] = len(rows)
        ids = [row.id for row in rows]
        await self._forget_objects(claim, rows)
        if not self._counts_only:
            await self._let_go(claim.plan, ids)
        if claim.plan.followers and not self._counts_only:
            await purge_followers(self._unit, claim.plan, ids)
        await self._take_away(claim.entity, ids)

    async def _let_go(self, plan: EntityPlan, ids: Sequence[UUID]) -> None:
        """Empty the fields by which rows of the same entity refer to those that go, and would keep them."""
        stored = self._unit.transaction().rows(plan.shape.type)
        for reference in plan.references:
            attribute = plan.shape.by_name[reference.field]
            own = reference.entity is plan.shape.type and attribute.spec.on_delete == "restrict"
            for where in _by_id(ids, reference.field) if own and attribute.optional else ():
                await stored.apply(Change(where=where, changes={reference.field: None}))

    async def _empty(self, claim: Claim, rows: Sequence[Any]) -> None:
        self.rows[claim.entity] = len(rows)
        await self._forget_objects(claim, rows)
        now = self._unit.frame.clock.now()
        for row in rows:
            changes = emptied_fields(claim, row)
            self._change(claim.entity, row, {**changes, "version": row.version + 1, "updated_at": now})
            if claim.plan.words is not None and not self._counts_only:
                replace_words(self._unit, claim.plan, [row.id], changes)

    async def _forget_objects(self, claim: Claim, rows: Sequence[Any]) -> None:
        """Delete objects before the commit, so that none is left that no row names: it is done again if need be."""
        for key in (key for row in rows for key in keys_of(claim, row)):
            self.objects += 1
            if self._blobs is None:
                raise Refusal(f"{claim.plan.shape.name} names objects, and there is no store of them", "set blobs.url")
            if not self._counts_only:
                await self._blobs.delete(key)

    def _change(self, entity: type[Entity], row: Any, changes: dict[str, Any]) -> None:
        if not self._counts_only:
            told = {"version": row.version, **changes}
            where = Compare("id", "eq", row.id)
            change = Change(where=where, changes=told, id=row.id, version=row.version, expected=1, before=row)
            self._unit.transaction().rows(entity).enqueue(change)

    async def _take_away(self, entity: type[Entity], ids: Sequence[UUID]) -> int:
        for where in () if self._counts_only else _by_id(ids):
            await self._unit.transaction().rows(entity).apply(Change(where=where, changes=None))
        return len(ids)


def emptied_fields(claim: Claim, row: Any) -> dict[str, Any]:
    """Return what empties a row of what tells of its person; nothing where that was done."""
    named = [a for a in claim.plan.shape.attributes if a.name == claim.person.field != "id"]
    empty = {a.name: _empty_of(a) for a in (*claim.personal, *named)}
    return {name: value for name, value in empty.items() if getattr(row, name) != value}


def _empty_of(attribute: Attribute) -> Any:
    if attribute.optional:
        return None
    spec = attribute.spec
    make: Callable[[], Any] | None = spec.default_factory
    return make() if make is not None else None if spec.default is MISSING else spec.default


def _names(text: str, marks: frozenset[str]) -> bool:
    return any(found.lower() in marks for found in _UUID.findall(text))


def _by_id(ids: Sequence[UUID], field: str = "id") -> Iterator[Condition]:
    for start in range(0, len(ids), MANY_IDS):
        yield Among(field, tuple(ids[start : start + MANY_IDS]))
