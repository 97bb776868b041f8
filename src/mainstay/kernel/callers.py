"""The caller of a call, made whole before it is judged: inherited roles, what the service knows of it, circumstances.

The stage is there where a service declares roles, a source of attributes, or a policy that asks for circumstances; any
other service has none. Credentials say who calls; what they are good for here is found out here, whoever verified them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any

from msgspec.structs import replace

from mainstay.kernel.bound import Ports, Stage
from mainstay.kernel.call import Call
from mainstay.kernel.providers import Providers, Resolver, Unresolved, parameters_of, resolve
from mainstay.kernel.scope import Scope
from mainstay.model.blueprint import Blueprint
from mainstay.model.circumstances import Circumstances
from mainstay.model.policy_checks import placed_policies
from mainstay.model.principal import Principal
from mainstay.model.problem import Unavailable
from mainstay.model.roles import Roles, roles_of
from mainstay.model.service import AttributeSource
from mainstay.model.structs import Entity
from mainstay.ports.clock import Clock
from mainstay.ports.unit_of_work import EntityPlan, Frame, UnitOfWork

MAX_ATTRIBUTES = 64
"""How many attributes a caller may have."""

MAX_KEPT = 10_000
"""Of how many callers attributes are kept; the longest known go first."""

_MAX_ROLE_SETS = 1024

Load = Callable[[Call], Awaitable[None]]


def bind_caller(
    blueprint: Blueprint, ports: Ports, providers: Providers, plans: Mapping[type[Entity], EntityPlan]
) -> Stage | None:
    """Return the stage that makes the caller of a call whole, or None where there is nothing to add.

    A source of attributes that cannot be bound is a start-up fault.
    """
    service = blueprint.service
    if blueprint.faults:
        return None  # a policy that has a fault cannot be asked what it needs
    expand = None if service.roles is None else _expansion(roles_of(service.roles))
    circumstantial = any(placed.policy.circumstantial for placed in placed_policies(blueprint))
    source = service.attribute_source
    load = None if source is None else _loader(source, blueprint, ports, providers, plans)
    if expand is None and load is None and not circumstantial:
        return None

    def stage(call: Call) -> Awaitable[None] | None:
        who = call.principal
        if who.is_system:
            return None
        if expand is not None:
            who = expand(who)
        if circumstantial:
            who = replace(who, circumstances=_circumstances(call, ports.clock))
        call.principal = who
        return load(call) if load is not None and who.authenticated else None

    return stage


def _circumstances(call: Call, clock: Clock) -> Circumstances:
    return Circumstances(at=clock.now(), protocol=call.protocol, operation=call.operation.name, address=call.peer)


def _expansion(roles: Roles) -> Callable[[Principal], Principal]:
    """Return what gives a caller the roles that its own bring along; each set of roles is worked out once."""
    known: dict[frozenset[str], frozenset[str]] = {}

    def expand(who: Principal) -> Principal:
        wider = known.get(who.roles)
        if wider is None:
            wider = roles.expand(who.roles)
            if len(known) < _MAX_ROLE_SETS:
                known[who.roles] = wider
        return who if wider == who.roles else replace(who, roles=wider)

    return expand


def _loader(
    source: AttributeSource,
    blueprint: Blueprint,
    ports: Ports,
    providers: Providers,
    plans: Mapping[type[Entity], EntityPlan],
) -> Load:
    resolvers = _resolvers(source, blueprint, providers)
    kept: dict[Any, tuple[float, Mapping[str, Any]]] = {}
    monotonic = ports.clock.monotonic

    async def load(call: Call) -> None:
        who = call.principal
        key = who.id, who.subject, who.tenant
        until, attributes = kept.get(key, (0.0, None))
        if attributes is None or monotonic() >= until:
            attributes = await _load(source.function, resolvers, call, ports, plans)
            if source.keep:
                kept.pop(key, None)
                kept[key] = monotonic() + source.keep, attributes
                if len(kept) > MAX_KEPT:
                    del kept[next(iter(kept))]
        call.principal = replace(who, attributes=attributes)

    return load


def _resolvers(source: AttributeSource, blueprint: Blueprint, providers: Providers) -> dict[str, Resolver]:
    resolvers: dict[str, Resolver] = {}
    try:
        for name, type_ in parameters_of(source.function).items():
            resolvers[name] = providers.resolver(type_)
            if resolvers[name].writes:
                blueprint.fault(
                    source.source, "attributes", f"parameter {name} changes things, and attributes are read"
                )
    except Unresolved as unresolved:
        blueprint.fault(source.source, "attributes", str(unresolved))
    return resolvers


async def _load(
    function: Callable[..., Any],
    resolvers: Mapping[str, Resolver],
    call: Call,
    ports: Ports,
    plans: Mapping[type[Entity], EntityPlan],
) -> Mapping[str, Any]:
    """Return what is known of a caller. Raises ``Unavailable`` where it cannot be had, which is no refusal."""
    system = Principal.system
    who = system if call.principal.tenant is None else system.acting_for(call.principal.tenant)
    frame = Frame(who, "attributes", ports.clock, ports.ids, ports.sealer, plans, ports.store)
    unit = UnitOfWork(frame, write=False, deadline=call.deadline, latest=True)
    scope = Scope(call, unit)
    try:
        found = await function(**{name: await resolve(resolver, scope) for name, resolver in resolvers.items()})
        return _checked(found)
    except Exception as error:
        raise Unavailable("what is known of the caller cannot be had now", retry_after=1) from error
    finally:
        await unit.rollback()
        await scope.close()


def _checked(found: Any) -> Mapping[str, Any]:
    if not isinstance(found, Mapping) or not all(isinstance(name, str) for name in found):
        raise TypeError(f"attributes are a mapping by name, not {type(found).__name__}")
    if len(found) > MAX_ATTRIBUTES:
        raise ValueError(f"a caller has {len(found)} attributes, at most {MAX_ATTRIBUTES} are taken")
    return MappingProxyType(dict(found))
