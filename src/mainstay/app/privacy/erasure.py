"""One transaction of an erasure: what it will do is looked for in a snapshot, and then done.

First comes what tells of the person elsewhere, then rows, those that refer to others before these. What leads to a row
is needed to find it, so that it goes last; whatever was done is not found by the next transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from uuid import UUID

from mainstay.app.privacy.belongings import MANY_IDS, Belongings, Claim
from mainstay.app.privacy.exporting import entries_of, keys_of
from mainstay.app.refusal import Refusal
from mainstay.kernel.flow.desk import unpark
from mainstay.kernel.flow.principals import encode_principal
from mainstay.kernel.flow.records import IdempotencyRecord, InboxMessage, OutboxMessage, State
from mainstay.kernel.guard.once import emptied_reply, shown_by
from mainstay.model.conditions import Among, Compare, Condition
from mainstay.model.fields import MISSING
from mainstay.model.principal import Principal
from mainstay.model.schema import Attribute
from mainstay.model.structs import Entity
from mainstay.model.values import UNASSIGNED
from mainstay.ports.auditing import MASK, Altered, AuditRow
from mainstay.ports.blobs import Blobs
from mainstay.ports.indexing import replace_words
from mainstay.ports.rows import Change, Query
from mainstay.ports.soft_deletion import purge_followers
from mainstay.ports.store import Transaction
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

NOBODY = "erased"
"""What stands for the name of a caller that was erased."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HIDDEN = Altered(old=MASK, new=MASK)


_NOTHING_TOLD = {
    "payload": "null",
    "principal": encode_principal(Principal.anonymous),
    "key": None,
    "detail": None,
    "cause": NOBODY,
    "state": State.DROPPED,  # it is never done again, and what waits behind it goes on
}
"""What a message is changed to: that it came is still known, so that it does not come twice."""


class Round:
    """What one transaction does: ``limit`` rows of any table at most."""

    def __init__(self, found: Belongings, claimed: Sequence[Claim], limit: float) -> None:
        self.rows: dict[type[Entity], list[Any]] = {}
        self.messages: list[InboxMessage] = []
        self.waiting = 0
        self.replies: list[IdempotencyRecord] = []
        self.entries_deleted: list[UUID] = []
        self.entries_emptied: dict[UUID, tuple[AuditRow, dict[str, Any]]] = {}
        self.objects: list[str] = []
        self._found = found
        self._claims = claimed
        self._left = limit

    @property
    def is_last(self) -> bool:
        """Whether there was room for everything."""
        return self._left > 0

    async def look(self, transaction: Transaction, *, audited: bool) -> None:
        """Look for what is to be done, as far as there is room for it."""
        marks = self._found.marks()
        await self._events(transaction, marks)
        records = transaction.rows(IdempotencyRecord).stream(Query())
        self.replies = self._some([record async for record in records if _names(shown_by(record.reply), marks)])
        if audited:
            await self._entries(transaction)
        for claim in reversed(self._claims):
            rows = self._found.rows[claim.entity]
            if claim.person.erase == "anonymise":
                rows = [row for row in rows if emptied_fields(claim, row)]
            self.rows[claim.entity] = rows if claim.person.erase == "keep" else self._some(rows)
            if claim.person.erase != "keep":
                self.objects += [key for row in self.rows[claim.entity] for key in keys_of(claim, row)]

    def _some(self, rows: Sequence[Any]) -> list[Any]:
        """Return as many of the rows as there is room for, and take that room."""
        taken = list(rows[: int(min(self._left, len(rows)))])
        self._left -= len(taken)
        return taken

    async def _events(self, transaction: Transaction, marks: frozenset[str]) -> None:
        """Look for messages that tell of the person, and count those that are still to be delivered."""
        ended: list[InboxMessage] = []
        async for message in transaction.rows(OutboxMessage).stream(Query()):
            self.waiting += _tells(message, marks)
        async for row in transaction.rows(InboxMessage).stream(Query()):
            if _tells(row, marks) and row.state is State.PENDING:
                self.waiting += 1
            elif _tells(row, marks):
                ended.append(row)
        self.messages = self._some(ended)

    async def _entries(self, transaction: Transaction) -> None:
        """Look for what the audit has of rows that are deleted or emptied, and of what the person did."""
        stored = transaction.rows(AuditRow)
        for claim in (claim for claim in self._claims if claim.person.erase != "keep"):
            for where in entries_of(self._found, [claim]):
                entries = await stored.fetch(Query(where=where))
                if claim.person.erase == "delete":
                    self.entries_deleted += self._some([entry.id for entry in entries])
                else:
                    self._mask(claim, entries)
        own: Condition = Compare("actor_id", "eq", self._found.person)
        for table in (claim.plan.table for claim in self._claims if claim.person.erase == "keep"):
            own = own & Compare("table_name", "ne", table)
        gone = set(self.entries_deleted)
        for entry in self._some([entry for entry in await stored.fetch(Query(where=own)) if entry.id not in gone]):
            self._note(entry, {"actor_id": UNASSIGNED, "actor": NOBODY})

    def _mask(self, claim: Claim, entries: Sequence[AuditRow]) -> None:
        names = {a.name for a in claim.personal} | ({claim.person.field} - {"id"})
        open_ones = [e for e in entries if any(e.changes.get(name, _HIDDEN) != _HIDDEN for name in names)]
        for entry in self._some(open_ones):
            masked = {name: _HIDDEN if name in names else altered for name, altered in entry.changes.items()}
            self._note(entry, {"changes": masked})

    def _note(self, entry: AuditRow, changes: dict[str, Any]) -> None:
        known = self.entries_emptied.get(entry.id)
        self.entries_emptied[entry.id] = (entry, changes if known is None else {**known[1], **changes})

    async def carry_out(self, unit: UnitOfWork, blobs: Blobs | None) -> None:
        """Do it. Raises ``Refusal`` where rows name objects, and ``blobs`` is None."""
        for message in self.messages:
            _change(unit, InboxMessage, message, _NOTHING_TOLD)
        await unpark(unit.transaction(), self.messages, unit.frame.clock.now())
        for record in self.replies:
            _change(unit, IdempotencyRecord, record, {"reply": emptied_reply(record.reply)})
        await _take_away(unit, AuditRow, self.entries_deleted)
        for entry, changes in self.entries_emptied.values():
            _change(unit, AuditRow, entry, changes)
        for claim in reversed(self._claims):
            if claim.person.erase == "delete":
                await _delete(unit, claim.plan, [row.id for row in self.rows[claim.entity]])
            elif claim.person.erase == "anonymise":
                _empty(unit, claim, self.rows[claim.entity])
        await unit.flush()
        await self._forget_objects(blobs)

    async def _forget_objects(self, blobs: Blobs | None) -> None:
        """Delete objects before the commit, so that none is left that no row names: it is done again if need be."""
        for key in self.objects:
            if blobs is None:
                raise Refusal("rows of the person name objects, and there is no store of them", "set blobs.url")
            await blobs.delete(key)


async def _delete(unit: UnitOfWork, plan: EntityPlan, ids: Sequence[UUID]) -> None:
    """Delete rows, and before them what goes with them; what refers to them within their entity lets go of them."""
    stored = unit.transaction().rows(plan.shape.type)
    for reference in plan.references:
        attribute = plan.shape.by_name[reference.field]
        own = reference.entity is plan.shape.type and attribute.spec.on_delete == "restrict"
        for where in _by_id(ids, reference.field) if own and attribute.optional else ():
            await stored.apply(Change(where=where, changes={reference.field: None}))
    if plan.followers:
        await purge_followers(unit, plan, ids)
    await _take_away(unit, plan.shape.type, ids)


def _empty(unit: UnitOfWork, claim: Claim, rows: Sequence[Any]) -> None:
    now = unit.frame.clock.now()
    for row in rows:
        changes = emptied_fields(claim, row)
        _change(unit, claim.entity, row, {**changes, "version": row.version + 1, "updated_at": now})
        if claim.plan.words is not None:
            replace_words(unit, claim.plan, [row.id], changes)


def _change(unit: UnitOfWork, entity: type[Entity], row: Any, changes: dict[str, Any]) -> None:
    told = {"version": row.version, **changes}
    where = Compare("id", "eq", row.id)
    change = Change(where=where, changes=told, id=row.id, version=row.version, expected=1, before=row)
    unit.transaction().rows(entity).enqueue(change)


async def _take_away(unit: UnitOfWork, entity: type[Entity], ids: Sequence[UUID]) -> None:
    for where in _by_id(ids):
        await unit.transaction().rows(entity).apply(Change(where=where, changes=None))


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


def _tells(message: OutboxMessage | InboxMessage, marks: frozenset[str]) -> bool:
    """Whether a message tells of the person."""
    return any(_names(text, marks) for text in (message.payload, message.principal, message.key or ""))


def _names(text: str, marks: frozenset[str]) -> bool:
    return any(found.lower() in marks for found in _UUID.findall(text))


def _by_id(ids: Sequence[UUID], field: str = "id") -> Iterator[Condition]:
    for start in range(0, len(ids), MANY_IDS):
        yield Among(field, tuple(ids[start : start + MANY_IDS]))
