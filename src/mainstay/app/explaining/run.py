"""Calling an operation to look at what it asks of its database."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from mainstay.adapters.memory.limiter import MemoryLimiter
from mainstay.adapters.observe.statements import RehearsedStore
from mainstay.app.assembly import Application, assemble
from mainstay.app.explaining.existing import Existing
from mainstay.app.explaining.finding import Named, find_operation
from mainstay.app.explaining.inputs import Input, make_input
from mainstay.app.explaining.plans import read_statements
from mainstay.app.explaining.report import Explanation
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.app.stores import scheme_of
from mainstay.kernel.bound import BoundOperation, Ports
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.dispatch import Outcome, dispatch
from mainstay.kernel.protect import encrypting
from mainstay.model.operation import OperationKind
from mainstay.model.policy import Policy, Role, Scope
from mainstay.model.principal import Principal
from mainstay.model.service import Service
from mainstay.ports.observer import CallEnded, Observation, Observer
from mainstay.ports.statements import Statement, Watch, Watching
from mainstay.ports.store import Store
from mainstay.ports.tokens import TokenVerifier

STREAMED = 1000
"""So many items of a stream are taken."""

_TOKEN = b"explain"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be explained: an operation by its name or its route, its input by names, and who calls (None: whoever
    may).

    ``external`` lets a command run that reaches beyond the database, where nothing is undone; ``analyze`` runs each
    read once more for its plan.
    """

    operation: str
    given: Mapping[str, Any] = MappingProxyType({})
    who: Principal | None = None
    external: bool = False
    analyze: bool = False


async def explain(service: Service, settings: Settings, asked: Asked) -> Explanation:
    """Call an operation once, undo what it changed, and return its statements with their plans and what to mend.

    Raises ``Refusal`` where it cannot be called, and what ``assemble`` raises.
    """
    seen, callers, bare = _Seen(), _OneCaller(), list[Store]()

    def adapt(ports: Ports) -> Ports:
        bare.append(ports.store)
        watched, limiter = RehearsedStore(ports.store, seen), MemoryLimiter(ports.clock)
        return msgspec.structs.replace(ports, store=watched, tokens=callers, limiter=limiter, held_seconds=None)

    application = assemble(service, settings, observer=seen, adapt=adapt)
    named = find_operation(application.bound, asked.operation)
    _check_reach(named.operation, asked)
    await application.start(deliver=False)
    try:
        return await _explained(application, named, asked, seen, callers, bare[0])
    finally:
        await application.stop()


async def _explained(
    application: Application, named: Named, asked: Asked, seen: _Seen, callers: _OneCaller, store: Store
) -> Explanation:
    bound, operation = application.bound, named.operation
    own = encrypting(store, bound.plans, bound.ports.cipher, bound.ports.observer)
    existing = Existing(bound, own, operation)
    who = callers.who = asked.who or await _whoever(operation, existing)
    made = await make_input(bound, named, asked.given, who, existing)
    call = _call(operation, made, who)
    seen.listening = True
    outcome = await dispatch(call)
    if isinstance(outcome, Reply) and outcome.stream is not None:
        await _take(outcome.stream)
    seen.listening = False
    source = str(operation.operation.source)
    readings = await read_statements(store, bound.tables, seen.statements, source=source, analyze=asked.analyze)
    return Explanation(
        operation=operation.name,
        kind=operation.operation.kind.value,
        source=source,
        target=f"{operation.operation.method} {made.target(operation)}".strip() or "EVENT",
        caller=_told(who),
        input=made.shown,
        made_up=made.made_up,
        outcome=_said(outcome, seen),
        failed=not isinstance(outcome, Reply),
        undone=operation.operation.kind is not OperationKind.QUERY,
        database=scheme_of(application.settings),
        plans=any(reading.sql is not None for reading in readings) or not readings,
        statements=readings,
    )


def _check_reach(operation: BoundOperation, asked: Asked) -> None:
    outside = operation.operation.external or (operation.operation.kind is OperationKind.CONSUMER)
    if outside and not asked.external:
        kind = "a consumer may reach" if operation.operation.kind is OperationKind.CONSUMER else "it reaches"
        raise Refusal(
            f"{operation.name} is not called: {kind} beyond the database, and nothing undoes that",
            "--external calls it all the same",
        )


async def _whoever(operation: BoundOperation, existing: Existing) -> Principal:
    """Return a caller whom the operation lets in: with the roles and scopes that it names, the owner of a row."""
    if operation.operation.kind is OperationKind.CONSUMER:
        return Principal.system
    policy = operation.operation.allow
    parts = list(policy.parts()) if isinstance(policy, Policy) else []
    roles = frozenset(name for part in parts if isinstance(part, Role) for name in part.names)
    scopes = frozenset(name for part in parts if isinstance(part, Scope) for name in part.names)
    owner = await existing.owner()
    id_ = operation.ports.ids.next() if owner is None else owner
    return Principal(id=id_, subject=str(id_), roles=roles, scopes=scopes)


def _call(operation: BoundOperation, made: Input, who: Principal) -> Call:
    declared, ids = operation.operation, operation.ports.ids
    consumer = declared.kind is OperationKind.CONSUMER
    return Call(
        operation=operation,
        protocol="explain",
        method=declared.method,
        target=declared.path,
        peer="127.0.0.1",
        credentials=None if consumer or not who.authenticated else _TOKEN,
        principal=who if consumer else Principal.anonymous,
        request_id=ids.token(),
        arguments=made.arguments,
        query=made.query,
        headers=made.headers.get,
        body=made.encoded,
        media_type=operation.media.accepts[0] if made.encoded is not None and operation.media.accepts else None,
        idempotency_key=ids.token() if declared.idempotency == "required" else None,
        if_match=() if declared.precondition else None,
        deadline=operation.ports.clock.monotonic() + operation.deadline,
    )


async def _take(stream: Any) -> None:
    """Take the first items of a stream, and end it."""
    taken = 0
    try:
        async for _ in stream:
            taken += 1
            if taken >= STREAMED:
                break
    finally:
        await stream.aclose()


def _said(outcome: Outcome, seen: _Seen) -> str:
    if isinstance(outcome, Reply):
        return f"answered {outcome.status}"
    error = "" if seen.error is None else f" ({type(seen.error).__name__}: {seen.error})"
    faults = "".join(f"; {fault.pointer or fault.parameter or 'it'} {fault.detail}" for fault in outcome.faults)
    return f"refused: {outcome.code}: {outcome.detail or type(outcome).__doc__}{faults}{error}"


def _told(who: Principal) -> str:
    if who.is_system or not who.authenticated:
        return "the system" if who.is_system else "nobody known"
    named = ", ".join([*sorted(who.roles), *sorted(who.scopes)])
    return f"{who.subject or who.id}{f' ({named})' if named else ''}"


class _Seen(Observer, Watch, Watching):
    """Keeps the statements of the call, and the cause of its failure."""

    def __init__(self) -> None:
        self.listening = False
        self.statements: list[Statement] = []
        self.error: BaseException | None = None

    def observe(self, observation: Observation) -> None:
        """Keep what is no fault of the caller's."""
        if isinstance(observation, CallEnded) and observation.error is not None:
            self.error = observation.error

    def begun(self) -> Watching | None:
        return self if self.listening else None

    def ran(self, statement: Statement) -> None:
        self.statements.append(statement)

    def ended(self) -> None:
        """Go on: a call has one transaction or more."""


class _OneCaller(TokenVerifier):
    """Takes whoever comes for the one that the call is made for."""

    def __init__(self) -> None:
        self.who: Principal = Principal.anonymous

    def verify(self, token: bytes) -> Principal:  # noqa: ARG002 - there is one
        return self.who
