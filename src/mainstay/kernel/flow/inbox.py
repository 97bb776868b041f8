"""The inbox: a consumer's mark on a message is committed with what the consumer changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from mainstay.kernel.bound import Ports
from mainstay.kernel.call import Call
from mainstay.kernel.flow.records import InboxMark, mark_of
from mainstay.model.conditions import Compare
from mainstay.ports.unit_of_work import UnitOfWork


def bind_inbox(ports: Ports) -> Callable[[Call, UnitOfWork], Awaitable[bool]]:
    """Return the function that marks a message as taken, and says False where it was taken before."""

    async def mark(call: Call, unit: UnitOfWork) -> bool:
        if call.message is None:
            return True
        text = mark_of(call.operation.name, call.message)
        rows = unit.transaction().rows(InboxMark)
        if await rows.count(Compare("mark", "eq", text)):
            call.replayed = True
            return False
        now = ports.clock.now()
        rows.insert([InboxMark(id=ports.ids.next(), version=1, created_at=now, updated_at=now, mark=text)])
        return True

    return mark
