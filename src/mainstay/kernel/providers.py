"""Dependencies: found by type once, at start-up; made for each call by functions that look nothing up."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from mainstay.kernel.bound import Ports
from mainstay.kernel.guard.notes import notes_of
from mainstay.kernel.scope import Scope
from mainstay.model.principal import Principal
from mainstay.model.service import Provision
from mainstay.model.structs import Entity
from mainstay.ports.aggregates import Aggregates
from mainstay.ports.answering import Answering
from mainstay.ports.audit import AuditTrail
from mainstay.ports.bulk import Bulk
from mainstay.ports.clock import Clock
from mainstay.ports.deleted import Deleted
from mainstay.ports.events import Events
from mainstay.ports.ids import Entropy, Ids
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.limiter import Limiter
from mainstay.ports.log import Log
from mainstay.ports.origin import Origin
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.repository import Repository
from mainstay.ports.scores import StoredLeaderboard, board_of
from mainstay.ports.sealer import Sealer
from mainstay.ports.security_log import SecurityLog, SecurityRecord
from mainstay.ports.unit_of_work import EntityPlan, UnitOfWork

Make = Callable[[Scope], Any]
MakeAsync = Callable[[Scope], Awaitable[Any]]


class Resolver(msgspec.Struct, frozen=True, kw_only=True):
    """How one dependency is made: at once, or by waiting.

    ``outside`` says that it reaches beyond the service's database; ``writes`` that it can change rows or emit;
    ``tasks`` that it may need the call to run in a Task, for a time-out of its own; ``shared`` that it is the same for
    every call, so that what is made once for the service may need it; ``notes`` that it may note security events.
    """

    make: Make | None = None
    make_async: MakeAsync | None = None
    outside: bool = False
    writes: bool = False
    tasks: bool = False
    shared: bool = False
    notes: bool = False


class Unresolved(Exception):
    """No way is known to make a dependency of a type. The message says what to do."""


class Providers:
    """What dependencies are made of, for one running service.

    ``known`` are the ports that the assembly hands over by type; that of ``Leaderboard`` is what returns the board of a
    name, for leaderboards outside the service's database. Service-scoped provisions are made by ``start`` and
    cleaned up, last first, by ``stop``.
    """

    def __init__(
        self,
        provisions: list[Provision],
        known: Mapping[Any, Resolver],
        plans: Mapping[type[Entity], EntityPlan],
    ) -> None:
        self._provisions = {p.type: p for p in provisions}
        self._known = {**_BUILT_IN, **known}
        self._plans = plans
        self._resolved: dict[Any, Resolver] = {}
        self._values: dict[Any, Any] = {}
        self._stack = AsyncExitStack()

    def resolver(self, type_: Any, path: tuple[Any, ...] = ()) -> Resolver:
        """Return how a dependency of this type is made. Raises ``Unresolved``."""
        if type_ in path:
            chain = " -> ".join(map(_name, (*path, type_)))
            raise Unresolved(f"it depends on itself: {chain}")
        entity = (get_args(type_) or (None,))[0]
        doorway = _DOORWAYS.get(get_origin(type_))
        if doorway is not None:
            return self._doorway(doorway, entity)
        if get_origin(type_) is Leaderboard:
            return self._leaderboard(entity)
        if type_ in self._provisions:
            found = self._resolved.get(type_)
            if found is None:
                found = self._resolved[type_] = self._provided(self._provisions[type_], (*path, type_))
            return found
        if type_ is SecurityLog and SecurityRecord not in self._plans:
            raise Unresolved("nothing keeps security events: give the service an identity, Service(..., identity=...)")
        if type_ in self._known:
            return self._known[type_]
        raise Unresolved(f"nothing provides {_name(type_)}: service.provide({_name(type_)}, factory)")

    def _doorway(self, doorway: Any, entity: Any) -> Resolver:
        plan = self._plans.get(entity)
        if plan is None:
            raise Unresolved(f"{doorway.__name__}[...] needs an entity of the service, not {entity!r}")
        if doorway is Deleted and plan.deleted is None:
            raise Unresolved(f"{plan.shape.name} keeps no deleted rows: declare it with soft_delete=True")
        if doorway is AuditTrail and plan.trail is None:
            raise Unresolved(f"{plan.shape.name} has no audit trail: declare it with audit=True")
        return Resolver(make=lambda scope: doorway(scope.unit, plan), writes=doorway is Bulk)

    def _leaderboard(self, entity: Any) -> Resolver:
        plan = self._plans.get(entity)
        if plan is None:
            raise Unresolved(f"Leaderboard[...] needs an entity of the service, not {entity!r}")
        kept = self._known.get(Leaderboard)
        if kept is None or kept.make is None:
            return Resolver(make=lambda scope: StoredLeaderboard(scope.unit, board_of(plan, scope.unit.frame)))
        board_named = kept.make
        return Resolver(
            make=lambda scope: board_named(scope)(board_of(plan, scope.unit.frame)), outside=True, tasks=True
        )

    def _provided(self, provision: Provision, path: tuple[Any, ...]) -> Resolver:
        resolvers = {name: self.resolver(type_, path) for name, type_ in parameters_of(provision.factory).items()}
        if provision.scope == "service":
            for name, resolver in resolvers.items():
                if not resolver.shared:
                    raise Unresolved(
                        f"{_name(provision.type)} is made once for the service, and its {name} anew for each call: "
                        f'service.provide({_name(provision.type)}, ..., scope="call")'
                    )
            values, type_ = self._values, provision.type
            outside = provision.outside or any(r.outside for r in resolvers.values())
            return Resolver(make=lambda _scope: values[type_], outside=outside, tasks=True, shared=True)

        async def make(scope: Scope) -> Any:
            if provision.type not in scope.made:
                if scope.stack is None:
                    scope.stack = AsyncExitStack()
                arguments = {name: await resolve(r, scope) for name, r in resolvers.items()}
                scope.made[provision.type] = await _produce(provision.factory, arguments, scope.stack)
            return scope.made[provision.type]

        outside = provision.outside or any(r.outside for r in resolvers.values())
        return Resolver(make_async=make, outside=outside, notes=any(r.notes for r in resolvers.values()))

    def faults(self) -> list[tuple[Provision, str]]:
        """Return what is wrong with provisions, whether an operation needs them or not."""
        found = []
        for provision in self._provisions.values():
            try:
                self.resolver(provision.type)
            except Unresolved as unresolved:
                found.append((provision, str(unresolved)))
        return found

    async def start(self) -> None:
        """Make the service-scoped provisions, each after what it needs. Where one fails, those made are cleaned up."""
        try:
            for provision in self._provisions.values():
                await self._make(provision)
        except BaseException:
            await self.stop()
            raise

    async def _make(self, provision: Provision) -> None:
        if provision.scope != "service" or provision.type in self._values:
            return
        arguments = {}
        for name, type_ in parameters_of(provision.factory).items():
            if type_ in self._provisions:
                await self._make(self._provisions[type_])
            arguments[name] = await resolve(self.resolver(type_), _NO_SCOPE)
        self._values[provision.type] = await _produce(provision.factory, arguments, self._stack)

    async def stop(self) -> None:
        """Clean up, last made first."""
        try:
            await self._stack.aclose()
        finally:
            self._values.clear()


_NO_SCOPE: Any = None  # what is shared looks at no call


def _name(type_: Any) -> str:
    return getattr(type_, "__name__", str(type_))


async def resolve(resolver: Resolver, scope: Scope) -> Any:
    """Make one dependency."""
    if resolver.make is not None:
        return resolver.make(scope)
    return await resolver.make_async(scope)  # type: ignore[misc]  # a resolver has one of the two


def parameters_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """Return the types of a factory's parameters. Raises ``Unresolved`` where one has none that resolves."""
    target = factory.__init__ if inspect.isclass(factory) else factory
    try:
        hints = get_type_hints(target, include_extras=True)
    except (NameError, TypeError) as error:
        raise Unresolved(f"the factory's annotations do not resolve: {error}") from error
    found = {}
    for name, parameter in inspect.signature(factory).parameters.items():
        if parameter.default is not parameter.empty or parameter.kind in (
            parameter.VAR_KEYWORD,
            parameter.VAR_POSITIONAL,
        ):
            continue
        if name not in hints:
            raise Unresolved(f"the factory's parameter {name} has no annotation")
        found[name] = hints[name]
    return found


async def _produce(factory: Callable[..., Any], arguments: dict[str, Any], stack: AsyncExitStack) -> Any:
    if inspect.isasyncgenfunction(factory):
        return await stack.enter_async_context(asynccontextmanager(factory)(**arguments))
    made = factory(**arguments)
    return await made if inspect.isawaitable(made) else made


def _log(scope: Scope) -> Log:
    call = scope.call
    return Log(call.operation.ports.observer, {"operation": call.operation.name, "request_id": call.request_id})


def port_resolvers(ports: Ports) -> dict[Any, Resolver]:
    """Return how ports are handed over that are the same for every call: what is made for the service may need them."""
    shared = {
        Clock: ports.clock,
        Ids: ports.ids,
        Entropy: ports.entropy,
        Limiter: ports.limiter,
        Sealer: ports.sealer,
    }
    return {port: Resolver(make=partial(_always, adapter), shared=True) for port, adapter in shared.items()}


def _origin(scope: Scope) -> Origin:
    return Origin(address=scope.call.peer, request_id=scope.call.request_id)


def _always(value: Any, _scope: Scope) -> Any:
    return value


_DOORWAYS: Mapping[Any, Any] = {port: port for port in (Repository, ReadAhead, Bulk, Aggregates, Deleted, AuditTrail)}
_BUILT_IN: Mapping[Any, Resolver] = {
    Principal: Resolver(make=lambda scope: scope.call.principal),
    UnitOfWork: Resolver(make=lambda scope: scope.unit),
    Events: Resolver(make=lambda scope: Events(scope.emit), writes=True),
    Answering: Resolver(make=lambda scope: scope, writes=True),
    Log: Resolver(make=_log),
    Origin: Resolver(make=_origin),
    SecurityLog: Resolver(make=notes_of, notes=True),
    Clock: Resolver(make=lambda scope: scope.unit.frame.clock),
    Ids: Resolver(make=lambda scope: scope.unit.frame.ids),
    Entropy: Resolver(make=lambda scope: scope.call.operation.ports.entropy),
}
