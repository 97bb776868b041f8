"""The blueprint of a service: its declarations, resolved and put in relation, with the faults that were found.

Nothing here runs a use case or knows a store: it is what checks, contracts and the kernel's binding start from.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import msgspec

from mainstay.model.faults import StartupFault
from mainstay.model.module import Module, Resource
from mainstay.model.operation import Operation, source_of
from mainstay.model.schema import Shape, Shapes
from mainstay.model.service import Service
from mainstay.model.signature import Signature, signature_of
from mainstay.model.structs import Dto, Entity, Event


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """An operation with its resolved signature."""

    operation: Operation
    signature: Signature


class Blueprint(msgspec.Struct, kw_only=True, eq=False):
    """A service, resolved. ``owners`` names the module of each entity; ``events`` the class of each "module.Name"."""

    service: Service
    shapes: Shapes
    planned: list[Planned] = []
    resources: list[tuple[Module, Resource]] = []
    owners: dict[type[Entity], str] = {}
    events: dict[str, type[Event]] = {}
    event_names: dict[type[Event], str] = {}
    references: dict[tuple[type[Entity], str], type[Entity]] = {}
    faults: list[StartupFault] = []

    def fault(self, source: Any, subject: str, message: str, hint: str | None = None) -> None:
        """Note a fault; ``source`` is a Source, or a class or function whose place is looked up."""
        place = source if hasattr(source, "line") and hasattr(source, "file") else source_of(source)
        found = StartupFault(place, subject, message, hint)
        if found not in self.faults:  # a class that several operations name is looked at for each of them
            self.faults.append(found)

    def entities(self) -> list[type[Entity]]:
        """Return all entities, in a stable order."""
        return sorted(self.owners, key=lambda e: (self.owners[e], e.__name__))


def draw(service: Service) -> Blueprint:
    """Resolve everything that a service declares. Never raises for a team's mistake: it notes a fault."""
    blueprint = Blueprint(service=service, shapes=Shapes())
    for module in service.modules:
        for operation in module.operations:
            signature = _signature(blueprint, operation)
            if signature is not None:
                blueprint.planned.append(Planned(operation=operation, signature=signature))
        blueprint.resources.extend((module, resource) for resource in module.resources)
    _own_entities(blueprint)
    _name_events(blueprint)
    declared: list[type[msgspec.Struct]] = [*blueprint.owners, *blueprint.event_names]
    for struct in declared:
        resolve_shape(blueprint, struct)
    for planned in blueprint.planned:
        for struct in _structs(planned.signature):
            resolve_shape(blueprint, struct)
    return blueprint


def _signature(blueprint: Blueprint, operation: Operation) -> Signature | None:
    try:
        return signature_of(operation)
    except (NameError, TypeError) as error:
        blueprint.fault(operation.source, operation.name, str(error))
        return None


def entities_in(annotation: Any) -> Iterator[type[Entity]]:
    """Walk the entities that an annotation names: ``Repository[Order]``, ``Page[Order]``, ``Order``."""
    if isinstance(annotation, type) and issubclass(annotation, Entity) and annotation is not Entity:
        yield annotation
    for argument in get_args(annotation):
        yield from entities_in(argument)


def _structs(signature: Signature) -> Iterator[type[msgspec.Struct]]:
    """Walk the Dtos and events of a signature."""
    for annotation in (*(p.type for p in signature.parameters), signature.returns):
        for part in (annotation, *get_args(annotation)):
            if isinstance(part, type) and issubclass(part, Dto | Event) and get_origin(part) is None:
                yield part


def _home(blueprint: Blueprint, python_module: str) -> str | None:
    """Return the module that what is declared in a Python module belongs to: declared there, or next to or above it."""
    modules = blueprint.service.modules
    tests = (
        lambda home: home == python_module,
        lambda home: python_module.startswith(home + "."),
        lambda home: home.rpartition(".")[0] == python_module.rpartition(".")[0] != "",
    )
    for test in tests:
        found = [m.name for m in modules if test(m.home)]
        if len(found) == 1:
            return found[0]
    return None


def _own_entities(blueprint: Blueprint) -> None:
    """Find every entity and the module it belongs to: the one that declares it, else the one that names it first."""
    named: dict[type[Entity], list[tuple[int, str]]] = {}
    for module in blueprint.service.modules:
        for entity in (*module.entities, *(r.entity for r in module.resources)):
            named.setdefault(entity, []).append((0, module.name))
    for planned in blueprint.planned:
        for annotation in (*(p.type for p in planned.signature.parameters), planned.signature.returns):
            for entity in entities_in(annotation):
                named.setdefault(entity, []).append((2, planned.operation.module))
    pending = list(named)
    while pending:
        entity = pending.pop()
        home = _home(blueprint, entity.__module__)
        claims = [*named[entity], *([(1, home)] if home is not None else [])]
        owner = blueprint.owners[entity] = min(claims, key=lambda claim: claim[0])[1]
        for target in _targets(blueprint, entity):
            if target not in named:
                named[target] = [(3, owner)]
                pending.append(target)


def _targets(blueprint: Blueprint, entity: type[Entity]) -> Iterator[type[Entity]]:
    """Walk the entities that an entity refers to or is related with, noting references that name none."""
    try:
        shape = blueprint.shapes.of(entity)
    except (NameError, TypeError):
        return
    for relation in shape.relations:
        yield relation.base
        if relation.relation is not None and relation.relation.through is not None:
            yield relation.relation.through
    for attribute in shape.attributes:
        reference = attribute.spec.references
        if reference is None:
            continue
        target = _find_entity(blueprint, entity, reference)
        if target is None:
            hint = "give the entity's class, or its name where it is declared further down in the same file"
            blueprint.fault(entity, f"{entity.__name__}.{attribute.name}", f"references {reference!r}: no entity", hint)
        else:
            blueprint.references[entity, attribute.name] = target
            yield target


def _find_entity(blueprint: Blueprint, entity: type[Entity], reference: Any) -> type[Entity] | None:
    if isinstance(reference, str):
        scope = vars(sys.modules.get(entity.__module__, sys))
        by_name = {e.__name__: e for e in blueprint.owners}
        reference = scope.get(reference) or by_name.get(reference)
    return reference if isinstance(reference, type) and issubclass(reference, Entity) else None


def _name_events(blueprint: Blueprint) -> None:
    """Give each event that a use case can reach its name: that of the module it is declared in, and its own."""
    for planned in blueprint.planned:
        reachable = [v for v in planned.operation.function.__globals__.values() if isinstance(v, type)]
        if isinstance(planned.operation.event, type):
            reachable.append(planned.operation.event)
        for event in reachable:
            if issubclass(event, Event) and event is not Event and event not in blueprint.event_names:
                _name_event(blueprint, event, planned.operation.module)


def _name_event(blueprint: Blueprint, event: type[Event], module: str) -> None:
    name = f"{_home(blueprint, event.__module__) or module}.{event.__name__}"
    if name in blueprint.events:
        blueprint.fault(event, event.__name__, f"another event is named {name} too")
    blueprint.events[name] = event
    blueprint.event_names[event] = name


def resolve_shape(blueprint: Blueprint, struct: type[msgspec.Struct]) -> Shape | None:
    """Return the shape of a struct, or None where an annotation of it does not resolve, which is noted."""
    try:
        return blueprint.shapes.of(struct)
    except NameError as error:
        blueprint.fault(struct, struct.__name__, f"an annotation does not resolve: {error}")
    except TypeError as error:
        blueprint.fault(struct, struct.__name__, str(error))
    return None
