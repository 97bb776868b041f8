"""The way of a call: one flat loop over its stages, then the use case, and one observation at the end."""

from __future__ import annotations

from asyncio import CancelledError

from mainstay.kernel.call import Call, Reply
from mainstay.model.problem import DeadlineExceeded, Internal, Problem
from mainstay.ports.observer import CallEnded

Outcome = Reply | Problem


async def dispatch(call: Call) -> Outcome:
    """Run a call and return its reply or its problem; nothing but a cancellation is raised.

    The stages stand in the order admit, authenticate, limit, authorise, read, validate, once. An exception that is no
    Problem becomes an ``Internal`` without detail; the observation carries it for the log.
    """
    bound = call.operation
    clock = bound.ports.clock
    started = clock.monotonic()
    problem: Problem | None = None
    error: BaseException | None = None
    bound.running += 1
    try:
        for stage in bound.stages:
            waiting = stage(call)
            if waiting is not None:
                await waiting
        if call.reply is not None:
            return call.reply
        return await bound.invoke(call)  # type: ignore[misc]  # bound before the first call
    except Problem as raised:
        problem = raised
        error = raised.__cause__ if isinstance(raised, Internal) else None
        return raised
    except CancelledError as cancelled:
        error = cancelled
        if call.deadline is not None and clock.monotonic() >= call.deadline:
            problem = DeadlineExceeded(f"the call took longer than {bound.deadline:g} s")
            return problem
        problem = Internal("the caller left")
        raise
    except Exception as unexpected:
        error = unexpected
        problem = Internal(request_id=call.request_id)
        return problem
    finally:
        bound.running -= 1
        if call.claim is not None:
            await bound.ports.store.claims.drop(call.claim)
        bound.ports.observer.observe(
            CallEnded(
                bound.name,
                call.protocol,
                call.method,
                call.target,
                bound.status,
                None if problem is None else problem.kind,
                None if problem is None else problem.code,
                clock.monotonic() - started,
                call.principal,
                call.peer,
                call.request_id,
                call.traceparent,
                call.replayed,
                call.attempts,
                error,
            )
        )
