"""The inbox: a consumer's message is done in the transaction of what the consumer changed.

The step from pending to done is a compare and set on the row as it was when the consumer was called. Whoever comes
second, in this process or another, finds it changed and is undone with all that it did; so is who adds the row of a
message that was not stored before, and finds its mark. A message that may come late is undone too where a later one of
its key has become done by then.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call
from mainstay.kernel.flow.lateness import is_late, may_be_late
from mainstay.kernel.flow.records import UNSTORED, InboxMessage, State
from mainstay.model.conditions import Compare
from mainstay.model.structs import Entity
from mainstay.ports.rows import Change
from mainstay.ports.unit_of_work import UnitOfWork

_DONE: Mapping[str, Any] = MappingProxyType({"state": State.DONE, "place": None, "due_at": None})

Before = Callable[[Call, UnitOfWork], Awaitable[bool]]
After = Callable[[Call, UnitOfWork], None]


def bind_inbox(ports: Ports) -> Before:
    """Return the function that takes a message from pending to done, as the first write of its consumer.

    One that is not stored yet becomes a row that is done.
    """

    async def step(call: Call, unit: UnitOfWork) -> bool:
        if call.message is not None:
            _step(call.message, unit, ports)
        return True

    return step


def bind_late_inbox(ports: Ports) -> tuple[Before, After]:
    """Return the same in two, for a consumer that reaches outside: a look before it, and the step behind it.

    Nothing is held open while it waits. Of two deliveries at once only one can commit the step.
    """

    async def look(call: Call, unit: UnitOfWork) -> bool:
        row = call.message
        if row is None:
            return True
        transaction = ports.store.begin(write=False, single=True, latest=True, deadline=unit.deadline)
        try:
            found = await transaction.rows(InboxMessage).get(row.id, Compare("version", "eq", row.version))
        finally:
            await transaction.rollback()
        call.replayed = found is None
        return found is not None

    def step(call: Call, unit: UnitOfWork) -> None:
        if call.message is not None:
            _step(call.message, unit, ports)

    return look, step


def bind_lateness(ports: Ports, *, latest_only: bool) -> Before | None:
    """Return the function that says, once a consumer is through, whether its message is in time; None: any is.

    It looks behind the consumer, not before it: nothing is held open while the consumer waits for something else.
    """
    shuffled = ports.broker is not None

    async def is_in_time(call: Call, unit: UnitOfWork) -> bool:
        row = call.message
        if row is not None and may_be_late(row, latest_only=latest_only, shuffled=shuffled):
            call.replayed = await is_late(unit.transaction(), row)
        return not call.replayed

    return is_in_time if latest_only or shuffled else None


def _step(row: InboxMessage, unit: UnitOfWork, ports: Ports) -> None:
    rows = unit.transaction().rows(InboxMessage)
    if row.version == UNSTORED:
        rows.insert([replace(row, version=1, updated_at=ports.clock.now(), **_DONE)])
    else:
        rows.enqueue(stepped(row, _DONE, ports, shared=True))


def stepped(row: Entity, changes: Mapping[str, Any], ports: Ports, *, shared: bool = False) -> Change:
    """Return the change of a row that must be as it was read: else it raises as ``Change`` says."""
    told = {**changes, "version": row.version + 1, "updated_at": ports.clock.now()}
    by_id = Compare("id", "eq", row.id)
    return Change(where=by_id, changes=told, id=row.id, version=row.version, expected=1, shared=shared)
