"""The inbox: a consumer's mark on a message is committed with what the consumer changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call
from mainstay.kernel.flow.records import InboxMark, mark_of
from mainstay.model.conditions import Compare
from mainstay.ports.store import Transaction
from mainstay.ports.unit_of_work import UnitOfWork

Before = Callable[[Call, UnitOfWork], Awaitable[bool]]
After = Callable[[Call, UnitOfWork], None]


def bind_inbox(ports: Ports) -> Before:
    """Return the function that marks a message as taken, and says False where it was taken before."""

    async def mark(call: Call, unit: UnitOfWork) -> bool:
        if call.message is None:
            return True
        if await _taken(call, unit.transaction()):
            return False
        _mark(call, unit, ports)
        return True

    return mark


def bind_late_inbox(ports: Ports) -> tuple[Before, After]:
    """Return the same in two, for a consumer that reaches outside: the look before it, and the mark behind it.

    Nothing is held open while it waits. Of two deliveries at once only one can commit the mark.
    """

    async def look(call: Call, unit: UnitOfWork) -> bool:
        if call.message is None:
            return True
        transaction = ports.store.begin(write=False, single=True, latest=True, deadline=unit.deadline)
        try:
            return not await _taken(call, transaction)
        finally:
            await transaction.rollback()

    def mark(call: Call, unit: UnitOfWork) -> None:
        if call.message is not None:
            _mark(call, unit, ports)

    return look, mark


async def _taken(call: Call, transaction: Transaction) -> bool:
    assert call.message is not None  # whoever asks has one
    text = mark_of(call.operation.name, call.message)
    call.replayed = bool(await transaction.rows(InboxMark).count(Compare("mark", "eq", text)))
    return call.replayed


def _mark(call: Call, unit: UnitOfWork, ports: Ports) -> None:
    assert call.message is not None  # whoever marks has one
    now, text = ports.clock.now(), mark_of(call.operation.name, call.message)
    mark = InboxMark(id=ports.ids.next(), version=1, created_at=now, updated_at=now, mark=text)
    unit.transaction().rows(InboxMark).insert([mark])
