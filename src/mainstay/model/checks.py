"""Start-up checks of a blueprint: all faults are found in one go, each with file and line."""

from __future__ import annotations

import re
from typing import Any

from mainstay.model.blueprint import Blueprint, Planned, draw, entities_in
from mainstay.model.conditions import fields as condition_fields
from mainstay.model.module import Resource
from mainstay.model.operation import Operation, OperationKind, Signed, Source
from mainstay.model.patterns import linear_fault
from mainstay.model.policy import Owner, Policy, Where
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.service import Service
from mainstay.model.signature import Source as From
from mainstay.model.structs import Entity

_NUMERIC = frozenset({FieldKind.INTEGER, FieldKind.FLOAT, FieldKind.DECIMAL})
_SIZED = frozenset({FieldKind.STRING, FieldKind.BYTES, FieldKind.LIST, FieldKind.MAP})
_ON_DELETE = frozenset({"restrict", "cascade", "null"})


def check_service(service: Service) -> Blueprint:
    """Draw the blueprint of a service and check it; all faults that need no adapters are in it."""
    blueprint = draw(service)
    check_blueprint(blueprint)
    return blueprint


def check_blueprint(blueprint: Blueprint) -> None:
    """Note every fault of the model's own rules. Dependencies are checked where they are bound."""
    for planned in blueprint.planned:
        _check_operation(blueprint, planned)
    for _, resource in blueprint.resources:
        _check_resource(blueprint, resource)
    _check_names(blueprint)
    _check_boundaries(blueprint)
    for entity in blueprint.entities():
        _check_entity(blueprint, entity)
    for planned in blueprint.planned:
        _check_inputs(blueprint, planned)


def _check_operation(blueprint: Blueprint, planned: Planned) -> None:
    operation, signature = planned.operation, planned.signature
    if operation.kind is OperationKind.CONSUMER:
        _check_consumer(blueprint, operation)
        return
    if operation.allow is None:
        hint = "say allow=anyone, authenticated, role(...) or another policy: what nobody allowed is denied"
        blueprint.fault(operation.source, operation.name, "it has no allow=", hint)
    elif not isinstance(operation.allow, Policy):
        blueprint.fault(operation.source, operation.name, f"allow={operation.allow!r} is no policy")
    elif operation.allow.looks_at_row:
        hint = "a row policy belongs to its entity: class Order(Entity, rows=owner(...)); or to store.resource(...)"
        blueprint.fault(operation.source, operation.name, "allow= names a policy on rows", hint)
    if (operation.method == "GET") != (operation.kind is OperationKind.QUERY):
        hint = "a query is GET; a command is POST, PUT, PATCH or DELETE"
        blueprint.fault(operation.source, operation.name, f"a {operation.kind.value} on {operation.method}", hint)
    bodies = signature.of(From.BODY, From.PATCH, From.UPLOAD, From.RAW)
    if len(bodies) > 1 or (bodies and signature.of(From.MEMBER)):
        names = ", ".join(p.name for p in (*bodies, *signature.of(From.MEMBER)))
        hint = "put the scalars into the Dto"
        blueprint.fault(operation.source, operation.name, f"{names}: a call has one body", hint)
    if operation.kind is OperationKind.QUERY and bodies:
        blueprint.fault(operation.source, operation.name, f"{bodies[0].name}: a query takes no body")
    if isinstance(operation.allow, Signed) and not signature.of(From.RAW):
        blueprint.fault(operation.source, operation.name, "allow=signed(...) needs a RawBody parameter to check")


def _check_consumer(blueprint: Blueprint, operation: Operation) -> None:
    event = operation.event
    if isinstance(event, str) and event not in blueprint.events:
        known = ", ".join(sorted(blueprint.events)) or "none"
        blueprint.fault(operation.source, operation.name, f'no event is named "{event}"', f"known are: {known}")


def _check_resource(blueprint: Blueprint, resource: Resource) -> None:
    subject = f"resource {resource.path}"
    verbs = {"read": resource.read, "create": resource.create, "update": resource.update, "delete": resource.delete}
    if all(policy is None for policy in verbs.values()):
        hint = "give at least one of read=, create=, update=, delete="
        blueprint.fault(resource.source, subject, "it serves nothing", hint)
    if not resource.path.startswith("/") or "{" in resource.path:
        blueprint.fault(resource.source, subject, 'the path of a resource is plain, for example "/products"')
    shape = _shape(blueprint, resource.entity)
    for verb, policy in verbs.items():
        if policy is not None and shape is not None:
            _check_policy(blueprint, policy, shape, resource.source, f"{subject} {verb}=")


def _check_names(blueprint: Blueprint) -> None:
    """Two operations may not share a route, nor a name."""
    routes: dict[tuple[str, str], tuple[str, Source]] = {}
    names: dict[str, Source] = {}
    for name, method, path, source in _routes(blueprint):
        if name in names:
            blueprint.fault(source, name, f"another operation is named {name}, at {names[name]}", "give one name=")
        names.setdefault(name, source)
        if not method:
            continue
        key = (method, re.sub(r"\{[^}/]*\}", "{}", path))
        if key in routes:
            other, place = routes[key]
            blueprint.fault(source, name, f"{method} {path} is the route of {other} too, at {place}")
        routes.setdefault(key, (name, source))


def _routes(blueprint: Blueprint) -> list[tuple[str, str, str, Source]]:
    found = [(p.operation.name, p.operation.method, p.operation.path, p.operation.source) for p in blueprint.planned]
    for _, resource in blueprint.resources:
        for verb, method, path in resource.routes():
            found.append((resource.operation_name(verb), method, path, resource.source))
    return found


def _check_boundaries(blueprint: Blueprint) -> None:
    """A module's entities are its own."""
    for planned in blueprint.planned:
        operation = planned.operation
        for parameter in planned.signature.parameters:
            for entity in entities_in(parameter.type):
                owner = blueprint.owners.get(entity)
                if owner is not None and owner != operation.module:
                    blueprint.fault(
                        operation.source,
                        operation.name,
                        f"parameter {parameter.name}: {entity.__name__} belongs to module {owner}",
                        "read it with Ask, change it by an event",
                    )


def _shape(blueprint: Blueprint, struct: Any) -> Shape | None:
    try:
        return blueprint.shapes.of(struct)
    except (NameError, TypeError):
        return None  # noted where the blueprint was drawn


def _check_entity(blueprint: Blueprint, entity: type[Entity]) -> None:
    shape = _shape(blueprint, entity)
    if shape is None:
        return
    if entity.__mainstay_rows__ is not None:
        _check_policy(blueprint, entity.__mainstay_rows__, shape, entity, f"{entity.__name__} rows=")
    for attribute in shape.attributes:
        _check_field(blueprint, entity, attribute)
        for policy in (attribute.spec.read, attribute.spec.write):
            if policy is not None:
                _check_policy(blueprint, policy, shape, entity, f"{entity.__name__}.{attribute.name}")
    for relation in shape.relations:
        target = _shape(blueprint, relation.base)
        key = relation.relation.key if relation.relation is not None else ""
        if target is not None and key not in target.by_name:
            blueprint.fault(entity, f"{entity.__name__}.{relation.name}", f"{target.name} has no field {key}")


def _check_policy(blueprint: Blueprint, policy: Policy, shape: Shape, source: Any, subject: str) -> None:
    for part in policy.parts():
        if isinstance(part, Owner):
            attribute = shape.by_name.get(part.field)
            if attribute is None:
                blueprint.fault(source, subject, f"{part!r}: {shape.name} has no field {part.field}")
            elif attribute.kind is not FieldKind.UUID:
                blueprint.fault(source, subject, f"{part!r}: the field of an owner is a UUID")
        elif isinstance(part, Where):
            _check_predicate(blueprint, part, shape, subject)


def _check_predicate(blueprint: Blueprint, part: Where, shape: Shape, subject: str) -> None:
    try:
        template = part.template()
    except Exception as error:
        blueprint.fault(part.predicate, subject, f"the row predicate has no SQL form: {error}")
        return
    for name in condition_fields(template):
        if name not in shape.by_name or shape.by_name[name].relation is not None:
            blueprint.fault(part.predicate, subject, f"the row predicate names {name}, which {shape.name} has not")


def _check_field(blueprint: Blueprint, struct: Any, attribute: Attribute) -> None:
    spec = attribute.spec
    subject = f"{struct.__name__}.{attribute.name}"
    bounds = (spec.ge, spec.gt, spec.le, spec.lt)
    if any(b is not None for b in bounds) and attribute.kind not in _NUMERIC:
        blueprint.fault(struct, subject, f"ge, gt, le, lt are for numbers, not for {attribute.kind.value}")
    if (spec.digits, spec.places) != (None, None) and attribute.kind is not FieldKind.DECIMAL:
        blueprint.fault(struct, subject, f"digits and places are for Decimal, not for {attribute.kind.value}")
    if attribute.kind is FieldKind.DECIMAL and not 0 <= attribute.places <= attribute.digits <= 18:
        blueprint.fault(struct, subject, "a Decimal has 1 to 18 digits, and no more places than digits")
    if (spec.min_length, spec.max_length) != (None, None) and attribute.kind not in _SIZED:
        blueprint.fault(struct, subject, f"min_length and max_length are not for {attribute.kind.value}")
    if spec.on_delete not in _ON_DELETE:
        blueprint.fault(struct, subject, f'on_delete="{spec.on_delete}"', 'it is "restrict", "cascade" or "null"')
    if spec.on_delete == "null" and not attribute.optional:
        blueprint.fault(struct, subject, 'on_delete="null" needs a type with | None')
    if spec.references is not None and attribute.kind is not FieldKind.UUID:
        blueprint.fault(struct, subject, "the field of a reference is a UUID")
    if spec.pattern is not None:
        _check_pattern(blueprint, struct, subject, attribute)


def _check_pattern(blueprint: Blueprint, struct: Any, subject: str, attribute: Attribute) -> None:
    if attribute.kind is not FieldKind.STRING:
        blueprint.fault(struct, subject, f"a pattern is for str, not for {attribute.kind.value}")
        return
    fault = linear_fault(attribute.spec.pattern or "")
    if fault is not None:
        blueprint.fault(struct, subject, f"pattern {attribute.spec.pattern!r}: {fault}")


def _check_inputs(blueprint: Blueprint, planned: Planned) -> None:
    for parameter in planned.signature.of(From.BODY, From.EVENT):
        shape = _shape(blueprint, parameter.target)
        for attribute in shape.attributes if shape is not None else ():
            _check_field(blueprint, parameter.target, attribute)
