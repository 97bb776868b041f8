"""The way of a call: one flat loop over its stages, then the use case, and one observation at the end."""

from __future__ import annotations

from asyncio import CancelledError

from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.model.problem import CallerLeft, DeadlineExceeded, Internal, Kind, Problem
from mainstay.ports.observer import CallEnded, Notice

Outcome = Reply | Problem

_OURS = (Kind.INTERNAL, Kind.UNAVAILABLE)
"""Kinds of which whoever runs the service wants to know the cause."""


async def dispatch(call: Call) -> Outcome:
    """Run a call and return its reply or its problem; nothing but a cancellation is raised.

    The stages stand in the order admit, authenticate, limit, caller, authorise, read, validate, once. An exception that
    is no Problem becomes an ``Internal`` without detail; the observation carries it for the log.
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
        return await bound.invoke(call)
    except Problem as raised:
        problem, error = _told(raised, call)
        if bound.refused is not None and raised.kind is Kind.FORBIDDEN:
            await bound.refused(call, raised)
        return problem
    except Exception as unexpected:
        error = unexpected
        problem = Internal(request_id=call.request_id)
        return problem
    except BaseException as left:
        error = left
        problem = _left(call, left)
        if isinstance(problem, DeadlineExceeded):
            return problem
        raise
    finally:
        bound.running -= 1
        if call.claim is not None:
            await _release(call.claim, bound.ports)
        bound.ports.observer.observe(_ended(call, bound, problem, error, clock.monotonic() - started))


def _told(raised: Problem, call: Call) -> tuple[Problem, BaseException | None]:
    """Return what the caller is told, and the cause, for the log, of what is no fault of the caller's."""
    told = Internal(request_id=call.request_id) if isinstance(raised, Internal) else raised
    return told, raised.__cause__ if raised.kind in _OURS else None


def _left(call: Call, left: BaseException) -> Problem:
    """Return what a call that was not let end is observed as: past its deadline, or without anyone to answer."""
    late = call.deadline is not None and call.operation.ports.clock.monotonic() >= call.deadline
    if late and isinstance(left, CancelledError):
        return DeadlineExceeded(f"the call took longer than {call.operation.deadline:g} s")
    return CallerLeft() if isinstance(left, CancelledError) else Internal(request_id=call.request_id)


async def _release(claim: bytes, ports: Ports) -> None:
    """Let a claim go. Where that fails the outcome of the call stands; the claim ends with its holder at the latest."""
    try:
        await ports.store.claims.drop(claim)
    except Exception as error:
        ports.observer.observe(Notice("error", "claim_kept", "a claim could not be released", {}, error))


def _ended(
    call: Call, bound: BoundOperation, problem: Problem | None, error: BaseException | None, seconds: float
) -> CallEnded:
    return CallEnded(
        bound.name,
        call.protocol,
        call.method,
        call.target,
        bound.status,
        None if problem is None else problem.kind,
        None if problem is None else problem.code,
        seconds,
        call.principal,
        call.peer,
        call.request_id,
        call.traceparent,
        call.replayed,
        call.attempts,
        error,
    )
