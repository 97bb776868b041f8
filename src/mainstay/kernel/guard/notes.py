"""Security events noted in a call: committed with what it did, and kept where it did nothing but be refused.

A note of a command is a row of its transaction. Where that comes to nothing, the notes of the last attempt are written
in a transaction of their own before the caller is told; those of attempts that were run again are forgotten with them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from mainstay.kernel.bound import Invoke, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.scope import Scope
from mainstay.model.limits import Limit
from mainstay.model.operation import OperationKind
from mainstay.model.problem import Problem, UniqueConflict
from mainstay.ports.observer import Notice
from mainstay.ports.security_log import SecurityEvent, SecurityLog, SecurityRecord
from mainstay.ports.unit_of_work import EntityPlan
from mainstay.ports.writing import prepared

NoteRefusal = Callable[[Call, Problem], Awaitable[None]]

REFUSALS = Limit(name="refusal-records", quota=60, window=3600, burst=60)
"""How many refusals of one caller are kept: the log has them all."""

KEEP_SECONDS = 5.0
"""How long it may take to keep the notes of a refused call."""


def notes_of(scope: Scope) -> SecurityLog:
    """Return the security log of an attempt of a call: the same to whoever asks. Its service keeps security events."""
    found: SecurityLog | None = scope.made.get(SecurityLog)
    if found is None:
        found = scope.made[SecurityLog] = CallNotes(scope, scope.unit.frame.plans[SecurityRecord])
    return found


class CallNotes(SecurityLog):
    """The security log of one attempt of one call."""

    __slots__ = ("_call", "_notes", "_plan", "_unit")

    def __init__(self, scope: Scope, plan: EntityPlan) -> None:
        self._call = scope.call
        self._unit = scope.unit
        self._plan = plan
        self._notes = scope.call.notes = list[SecurityRecord]()

    def note(self, event: SecurityEvent) -> None:
        call, unit = self._call, self._unit
        record = SecurityRecord(
            kind=event.kind,
            outcome=event.outcome,
            subject=event.subject,
            actor=event.actor,
            tenant=call.principal.tenant,
            address=call.peer,
            operation=call.operation.name,
            request_id=call.request_id,
            facts={name: str(value) for name, value in event.facts.items()},
        )
        row = prepared(unit, self._plan, record)
        self._notes.append(row)
        if unit.write:
            unit.transaction().rows(SecurityRecord).insert([row])
        call.operation.ports.observer.observe(_notice(event, record))


def _notice(event: SecurityEvent, record: SecurityRecord) -> Notice:
    facts = {
        **record.facts,
        "kind": record.kind,
        "outcome": record.outcome,
        "subject": str(record.subject) if record.subject else None,
        "actor": str(record.actor) if record.actor else None,
        "address": record.address,
        "operation": record.operation,
        "request_id": record.request_id,
    }
    level = "info" if event.outcome == "success" else "warning"
    return Notice(level, "security", f"{record.kind}: {record.outcome}", facts)


def keeping_notes(invoke: Invoke) -> Invoke:
    """Return ``invoke`` with the notes of a call kept, however it ends."""

    async def invoke_and_keep(call: Call) -> Reply:
        try:
            reply = await invoke(call)
        except Exception:
            await _keep(call)
            raise
        if call.operation.operation.kind is OperationKind.QUERY:
            await _keep(call)
        return reply

    return invoke_and_keep


def note_refusals(ports: Ports) -> NoteRefusal:
    """Return what keeps that a known caller was refused by a policy, so many times an hour at most."""

    async def refused(call: Call, problem: Problem) -> None:
        if call.principal.authenticated:
            # In a Task of its own: a call that was to touch nothing may have been begun without one.
            await asyncio.ensure_future(note(call, problem))

    async def note(call: Call, problem: Problem) -> None:
        who, now = call.principal, ports.clock.now()
        verdicts = ports.limiter.charge([(REFUSALS, f"{REFUSALS.name}:{who.tenant or ''}/{who.id}")])
        told = await verdicts if isinstance(verdicts, Awaitable) else verdicts
        if not told[0].allowed:
            return
        record = SecurityRecord(
            id=ports.ids.next(),
            version=1,
            created_at=now,
            updated_at=now,
            kind="access.refused",
            outcome="denied",
            actor=who.id,
            tenant=who.tenant,
            address=call.peer,
            operation=call.operation.name,
            request_id=call.request_id,
            facts={"code": problem.code},
        )
        await _write(call, [record])

    return refused


async def _keep(call: Call) -> None:
    """Write the notes of a call whose own transaction has not kept them."""
    if call.notes:
        await _write(call, call.notes)


async def _write(call: Call, notes: list[SecurityRecord]) -> None:
    """Write records in a transaction of their own. Where that fails the outcome of the call stands."""
    ports = call.operation.ports
    transaction = ports.store.begin(write=True, deadline=ports.clock.monotonic() + KEEP_SECONDS)
    try:
        transaction.rows(SecurityRecord).insert(notes)
        await transaction.commit()
    except UniqueConflict:
        await transaction.rollback()  # it was committed with the call after all, of which nobody knew
    except Exception as error:
        await transaction.rollback()
        facts = {"kinds": [note.kind for note in notes], "request_id": call.request_id}
        lost = Notice("error", "security_record_lost", "security events of a refused call were not kept", facts, error)
        ports.observer.observe(lost)
