"""Calling a consumer with a message, and what follows where it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.flow.principals import decode_principal
from mainstay.kernel.flow.records import InboxMessage
from mainstay.kernel.flow.upcasting import EventVersionUnknown
from mainstay.model.problem import DeadlineExceeded, Internal, Malformed, Problem

Dispatch = Callable[[Call], Awaitable[Reply | Problem]]

MARGIN = 0.05  # seconds beyond its deadline that a call is given to say so itself
BASE_DELAY = 0.5
MAX_DELAY = 300.0


async def deliver(row: InboxMessage, consumer: BoundOperation, dispatch: Dispatch) -> Reply | Problem:
    """Call a consumer as the caller whose command emitted the message. What it changes is committed when it returns."""
    try:
        principal = decode_principal(row.principal)
    except msgspec.MsgspecError:
        return Malformed("for whom the event was emitted cannot be read")
    call = Call(
        operation=consumer,
        protocol="event",
        method="EVENT",
        target=row.event,
        request_id=row.request_id or str(row.message),
        traceparent=row.traceparent,
        body=row.payload.encode(),
        principal=principal,
        message=row,
        deadline=consumer.ports.clock.monotonic() + consumer.deadline,
    )
    return await _within(call, consumer.deadline, dispatch)


async def _within(call: Call, seconds: float, dispatch: Dispatch) -> Reply | Problem:
    """Run a call for so long at most; one whose commit has begun is left to end."""
    running = asyncio.ensure_future(dispatch(call))
    try:
        await asyncio.wait((running,), timeout=seconds + MARGIN)
        if not running.done():
            if not call.committing:
                running.cancel()
            await asyncio.wait((running,))
    finally:
        if not call.committing:
            running.cancel()
    return DeadlineExceeded("it took too long") if running.cancelled() else running.result()


def pause_after(attempts: int, problem: Problem, ports: Ports) -> float:
    """Return the seconds until a message is tried again: doubled each time, jittered, and as the problem asks for."""
    delay = min(BASE_DELAY * 2.0 ** min(attempts - 1, 32), MAX_DELAY) * (0.5 + ports.entropy.uniform())
    return max(delay, problem.retry_after or 0.0)


def detail_of(problem: Problem, row: InboxMessage) -> str:
    """Return what is kept of a problem: what its kind says, and none of the values that it was about."""
    if isinstance(problem, EventVersionUnknown):
        return f"{problem.detail}. {problem.hint}"
    if isinstance(problem, Internal):
        return f"{problem.title}: the log has the cause, under {row.request_id or row.message}."
    return problem.title
