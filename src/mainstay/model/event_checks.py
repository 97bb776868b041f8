"""Start-up checks of versions of events: no step is missing, and what is emitted here is taken here."""

from __future__ import annotations

import inspect

from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.event_versions import Upcaster, Upcasters, steps_to, taken, upcasters_of, version_of
from mainstay.model.operation import OperationKind
from mainstay.model.signature import Source
from mainstay.model.structs import Event


def check_events(blueprint: Blueprint) -> None:
    """Note the faults of upcasters, and of consumers that cannot take what this service emits."""
    upcasters = upcasters_of(blueprint.service.modules)
    _check_upcasters(blueprint, upcasters)
    for planned in blueprint.planned:
        if planned.operation.kind is OperationKind.CONSUMER:
            _check_taken(blueprint, planned, upcasters)


def _check_upcasters(blueprint: Blueprint, upcasters: Upcasters) -> None:
    seen: dict[tuple[type[Event], int], Upcaster] = {}
    for module in blueprint.service.modules:
        for upcaster in module.upcasters:
            subject = f"upcast({upcaster.event.__name__}, {upcaster.version})"
            other = seen.setdefault((upcaster.event, upcaster.version), upcaster)
            if other is not upcaster:
                blueprint.fault(upcaster.source, subject, f"another step begins there too, at {other.source}")
            for message, hint in _faults_of(upcaster, upcasters):
                blueprint.fault(upcaster.source, subject, message, hint)


def _faults_of(upcaster: Upcaster, upcasters: Upcasters) -> list[tuple[str, str]]:
    found = []
    event, begin, newest = upcaster.event, upcaster.version, version_of(upcaster.event)
    if not 1 <= begin < newest:
        hint = f"the event's class says which is its newest: class {event.__name__}(Event, version={begin + 1})"
        found.append((f"it leads to version {begin + 1}, and {event.__name__} has version {newest}", hint))
    elif begin not in steps_to(event, upcasters):
        gap = next(v for v in range(begin, newest) if (event, v) not in upcasters)
        hint = f"declare upcast({event.__name__}, {gap})"
        found.append((f"it leads nowhere: there is no step from version {gap} to {gap + 1}", hint))
    parameters = inspect.signature(upcaster.function).parameters
    if inspect.iscoroutinefunction(upcaster.function) or len(parameters) != 1:
        hint = "write def ...(members: dict[str, Any]) -> dict[str, Any]"
        found.append(("a step is a plain function of one parameter: the members of the message's JSON object", hint))
    return found


def _check_taken(blueprint: Blueprint, planned: Planned, upcasters: Upcasters) -> None:
    operation = planned.operation
    taking = event_taken(planned)
    if taking is None:
        return
    own, named = version_of(taking), operation.event
    for version in operation.reads:
        if version < 1 or version in steps_to(taking, upcasters):
            how = "it is at least 1" if version < 1 else "that version is taken without it"
            blueprint.fault(operation.source, operation.name, f"reads={list(operation.reads)}: {version}: {how}")
    emitted = blueprint.events.get(named) if isinstance(named, str) else named
    if emitted is None or version_of(emitted) in taken(taking, operation.reads, upcasters):
        return
    sent = version_of(emitted)
    older = f"declare upcast({taking.__name__}, {sent}), or give the class the version that it reads"
    newer = f"take the class to version {sent}, or say reads=[{sent}] where nothing that it reads has changed"
    message = f"{emitted.__name__} is emitted in version {sent}, and it takes version {own}"
    blueprint.fault(operation.source, operation.name, message, older if sent < own else newer)


def event_taken(planned: Planned) -> type[Event] | None:
    """Return the class that a consumer reads its event as; None where it looks at none."""
    parameters = planned.signature.of(Source.EVENT)
    return parameters[0].target if parameters else None


def is_of_others(blueprint: Blueprint, name: str) -> bool:
    """Whether a name is one that an event of another service may have: that of no module of this one, and its own."""
    module, dot, event = name.partition(".")
    own = {one.name for one in blueprint.service.modules}
    return bool(dot) and module.isidentifier() and event.isidentifier() and module not in own
