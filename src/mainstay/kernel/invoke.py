"""The thin controller: the unit of work, the use case with what its signature names, the reply, the commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

import msgspec

from mainstay.kernel.bare import bare_command, bare_query, is_bare
from mainstay.kernel.bound import BoundOperation, Invoke, Ports, Render
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.flow.bell import Bell
from mainstay.kernel.flow.contention import Contention
from mainstay.kernel.flow.inbox import After, Before
from mainstay.kernel.flow.outbox import NOTHING, Outbox
from mainstay.kernel.flow.sequences import told_of_keys
from mainstay.kernel.guard.once import recall, settle, store_reply
from mainstay.kernel.held import runner
from mainstay.kernel.providers import Make, Resolver, resolve
from mainstay.kernel.scope import Scope
from mainstay.kernel.standing import Judged
from mainstay.kernel.streamed import Item, awaitable, items_of
from mainstay.model.inputs import Stream
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.problem import CommitUnknown, DeadlineExceeded, Kind, Problem, SerializationConflict, Unavailable
from mainstay.ports.auditing import AuditRow, audited
from mainstay.ports.observer import Notice
from mainstay.ports.recent_writes import RecentWrites
from mainstay.ports.unit_of_work import Frame, UnitOfWork

MAX_ATTEMPTS = 5
BASE_DELAY = 0.005  # seconds before the second attempt; doubled for each further one, and jittered
RETRY_AFTER = 1.0  # seconds; told of a commit that ended unknown to who has a key, and so may repeat it

_NONE_NAMED: frozenset[UUID] = frozenset()
_NOTHING_DONE = (Kind.UNAVAILABLE, Kind.DEADLINE)  # problems that rest on nothing that was read


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an operation's invocation is bound from."""

    bound: BoundOperation
    render: Render
    resolvers: Mapping[str, Resolver]
    outbox: Outbox
    bell: Bell
    single: bool = False
    repeatable: bool = True
    before: Before | None = None  # of a consumer or a webhook: its mark, False where it was set before
    after: After | None = None  # of one that reaches outside: its mark, once it has done so
    in_time: Before | None = None  # of a consumer: False where it was overtaken meanwhile


def bind_invoke(plan: Plan) -> Invoke:
    """Return the function that runs the use case of a call."""
    bound = plan.bound
    bare = is_bare(bound, dependencies=bool(plan.resolvers) or plan.before is not None)
    if bound.operation.kind is OperationKind.QUERY:
        return bare_query(bound, plan.render) if bare else _query(plan)
    return bare_command(bound, plan.render, _command(plan)) if bare else _command(plan)


def frame_of(call: Call) -> Frame:
    """Return what a call lends to its repositories."""
    bound = call.operation
    ports = bound.ports
    return Frame(
        call.principal,
        bound.name,
        ports.clock,
        ports.ids,
        ports.sealer,
        bound.plans,
        ports.store,
        _NONE_NAMED if call.if_match is None else _named(call),
        call.if_match,
    )


def audited_frame_of(call: Call) -> Frame:
    """Return what a call lends to its repositories, where what they change is written down."""
    return audited(frame_of(call), call.request_id, call.traceparent)


def _named(call: Call) -> frozenset[UUID]:
    return frozenset(v for v in call.inputs.values() if type(v) is UUID)


def _query(plan: Plan) -> Invoke:
    streams = plan.bound.signature.answer[0] == "stream"
    function, render = awaitable(plan.bound.operation.function), plan.render
    at_once, waiting = _split(plan.resolvers)
    single = plan.single and not streams
    behind = _behind(plan.bound.ports)

    async def invoke(call: Call) -> Reply:
        deadline = None if streams else call.deadline  # a stream has bounds of its own
        latest = behind is not None and behind(call.principal)
        unit = UnitOfWork(frame_of(call), write=False, single=single, deadline=deadline, latest=latest)
        scope = Scope(call, unit)
        try:
            arguments = call.inputs
            for name, make in at_once:
                arguments[name] = make(scope)
            for name, resolver in waiting:
                arguments[name] = await resolve(resolver, scope)
            call.result = await function(**arguments)
            if streams and isinstance(call.result, Stream | AsyncIterator):
                call.result = Judged(items_of(call.result), call, unit)
            reply = render(call, call.result)
        except BaseException:
            await _end(unit, scope)
            raise
        if reply.stream is not None:  # the snapshot lives as long as the stream
            reply.stream = Snapshot(reply.stream, call.result, unit, scope)
            return reply
        if scope.stack is not None:
            await _end(unit, scope)
        else:
            await unit.rollback()
        return reply

    return invoke


def _behind(ports: Ports) -> Callable[[Principal], bool] | None:
    """Return what says whether a replica may not have yet what a caller has changed; None where there is none."""
    recent, current = ports.recent, ports.store.current
    return None if recent is None else lambda who: recent.last(who) >= current()


async def _end(unit: UnitOfWork, scope: Scope) -> None:
    try:
        if unit.begun:
            await unit.rollback()
    finally:
        if scope.stack is not None:
            await _clean(scope)


async def _clean(scope: Scope) -> None:
    """Clean up what was made for the call. Where that fails the outcome stands: it may be committed already."""
    try:
        await scope.close()
    except Exception as error:
        facts = {"operation": scope.call.operation.name, "request_id": scope.call.request_id}
        notice = Notice("error", "cleanup_failed", "what was made for a call could not be cleaned up", facts, error)
        scope.call.operation.ports.observer.observe(notice)


class Snapshot(AsyncIterator[Item]):
    """A stream with the transaction that it reads in, which ends with it: at its last item, at a fault, or closed."""

    __slots__ = ("_parts", "_rows", "_scope", "_unit")

    def __init__(self, parts: AsyncIterator[Item], rows: AsyncIterator[Any], unit: UnitOfWork, scope: Scope) -> None:
        self._parts: AsyncIterator[Item] | None = parts
        self._rows = rows
        self._unit = unit
        self._scope = scope

    async def __anext__(self) -> Item:
        """Return the next item."""
        if self._parts is None:
            raise StopAsyncIteration
        try:
            return await anext(self._parts)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """End the stream, begun or not, and the transaction that it reads in."""
        parts, self._parts = self._parts, None
        if parts is None:
            return
        try:
            for iterator in (parts, self._rows):  # the first does not close the second where it was never begun
                closer = getattr(iterator, "aclose", None)
                if closer is not None:
                    await closer()
        finally:
            await _end(self._unit, self._scope)


def _command(plan: Plan) -> Invoke:
    run = _attempt(plan)
    ports = plan.bound.ports
    clock, entropy = ports.clock, ports.entropy
    contention = Contention(clock)

    async def invoke(call: Call) -> Reply:
        given = call.inputs
        doubt = False  # of an attempt nobody knows yet whether it was committed
        while True:
            call.attempts += 1
            call.committing = doubt
            last = not plan.repeatable or call.attempts >= MAX_ATTEMPTS
            try:
                if not contention.stands:
                    return await run(call, dict(given))
                async with contention.turn:
                    return await run(call, dict(given))
            except Problem as error:
                doubt = doubt or isinstance(error, CommitUnknown)
                if isinstance(error, SerializationConflict):
                    contention.met()
                if last or not isinstance(error, SerializationConflict):
                    settled = await _settled(call, error, ports, doubt=doubt, last=last)
                    if settled is not None:
                        return settled
            await clock.sleep(BASE_DELAY * 2 ** (call.attempts - 1) * (0.5 + entropy.uniform()))

    return invoke if ports.recent is None else _noted(invoke, ports.recent)


def _noted(invoke: Invoke, recent: RecentWrites) -> Invoke:
    """Have it noted whose command was committed, or may have been: who is told that nobody knows shall look and see."""

    async def invoke_and_note(call: Call) -> Reply:
        try:
            return await invoke(call)
        finally:
            if call.committing:
                recent.note(call.principal)

    return invoke_and_note


async def _settled(call: Call, error: Problem, ports: Ports, *, doubt: bool, last: bool) -> Reply | None:
    """Return the reply that was committed all the same, or None where the call is to be run again; else raise.

    That takes a key: its record says what became of an attempt. Without one nobody knows, and nobody may repeat it. A
    refusal is looked into too: it may rest on what an attempt has changed whose end was not seen, of this call or of
    one with its key in another process that has lost its claim.
    """
    known = call.claim is not None and ports.store.capabilities.settles
    if not known or (not doubt and error.kind in _NOTHING_DONE):
        raise error
    try:
        settled = await (settle if doubt else recall)(call, ports)
    except (Unavailable, DeadlineExceeded):
        if doubt:
            raise CommitUnknown(retry_after=RETRY_AFTER) from error
        raise error from error.__cause__
    if settled is None and isinstance(error, CommitUnknown) and last:
        raise CommitUnknown(retry_after=RETRY_AFTER) from error
    if settled is None and not isinstance(error, CommitUnknown):
        raise error
    return settled


def _attempt(plan: Plan) -> Callable[[Call, dict[str, Any]], Awaitable[Reply]]:
    render, before, leave, marks_behind = plan.render, plan.before, _leaving(plan), plan.after is not None
    ring, isolation = plan.bell.ring, plan.bound.operation.isolation
    ports, in_time = plan.bound.ports, plan.in_time
    run = runner(plan.bound.operation, ports.clock, ports.observer, ports.held_seconds)
    at_once, waiting = _split(plan.resolvers)
    frame_for = audited_frame_of if AuditRow in plan.bound.plans else frame_of

    async def attempt(call: Call, arguments: dict[str, Any]) -> Reply:
        unit = UnitOfWork(frame_for(call), write=True, deadline=call.deadline, isolation=isolation)
        scope = Scope(call, unit)
        try:
            if before is not None and not await before(call, unit):
                await unit.rollback()
                return Reply(replayed=True)
            for name, make in at_once:
                arguments[name] = make(scope)
            for name, resolver in waiting:
                arguments[name] = await resolve(resolver, scope)
            result = await run(unit, arguments)
            if in_time is not None and not await in_time(call, unit):
                await unit.rollback()
                return Reply(replayed=True)
            reply = render(call, result)
            if scope.emitted or scope.said is not None or call.claim is not None or marks_behind:
                await leave(scope, reply)
            call.committing = True
            await unit.commit()
        except BaseException as error:
            await unit.rollback()
            told_of_keys(error, emitted=bool(scope.emitted))
            raise
        finally:
            if scope.stack is not None:
                await _clean(scope)
        if scope.stored:
            ring(scope.stored)
        return reply

    return attempt


def _leaving(plan: Plan) -> Callable[[Scope, Reply], Awaitable[None]]:
    """Return what queues that which commits with a command beside its rows: events, its reply, a consumer's mark.

    What it returns is awaited: events of a key wait for those before them.
    """
    outbox, after, ports = plan.outbox, plan.after, plan.bound.ports

    def leave(scope: Scope, reply: Reply) -> Awaitable[None]:
        call = scope.call
        if scope.said is not None:
            scope.tell(reply)
        if after is not None:
            after(call, scope.unit)
        if call.claim is not None:
            store_reply(call, reply, scope.unit.transaction(), ports)
        return outbox(scope) if scope.emitted else NOTHING

    return leave


def _split(resolvers: Mapping[str, Resolver]) -> tuple[list[tuple[str, Make]], list[tuple[str, Resolver]]]:
    """Part the dependencies that are made at once from those that must be waited for."""
    at_once = [(name, r.make) for name, r in resolvers.items() if r.make is not None]
    return at_once, [(name, r) for name, r in resolvers.items() if r.make is None]
