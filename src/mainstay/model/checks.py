"""Start-up checks of a blueprint: all faults are found in one go, each with file and line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from mainstay.model.blueprint import Blueprint, Planned, draw, entities_in, resolve_shape
from mainstay.model.caching_checks import check_caching
from mainstay.model.event_checks import check_events
from mainstay.model.field_checks import check_field, check_patterns
from mainstay.model.module import Resource
from mainstay.model.naming import table_name
from mainstay.model.operation import SelfAuthenticated, Signed, Source
from mainstay.model.operation_checks import check_operation, lifetime_faults, path_fault
from mainstay.model.option_checks import check_options
from mainstay.model.personal_checks import check_person
from mainstay.model.policy import Policy
from mainstay.model.policy_checks import check_policy, check_roles
from mainstay.model.protection_checks import check_encrypted_uses
from mainstay.model.relation_checks import check_relation
from mainstay.model.schema import Attribute, FieldKind, Shape
from mainstay.model.service import Case, Service
from mainstay.model.signature import Source as From
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.version_checks import check_versions
from mainstay.model.versions import span_of

KERNEL = "mainstay"
"""The module name of the kernel's own rows: no team's module may have it."""


def check_service(service: Service) -> Blueprint:
    """Draw the blueprint of a service and check it; all faults that need no adapters are in it."""
    blueprint = draw(service)
    check_blueprint(blueprint)
    return blueprint


def check_blueprint(blueprint: Blueprint) -> None:
    """Note every fault of the model's own rules. Dependencies are checked where they are bound."""
    if blueprint.service.case not in get_args(Case):
        message = f'case="{blueprint.service.case}": it is "snake" or "camel"'
        blueprint.fault(blueprint.service.source, blueprint.service.name, message)
    for planned in blueprint.planned:
        check_operation(blueprint, planned)
    check_events(blueprint)
    for _, resource in blueprint.resources:
        _check_resource(blueprint, resource)
    _check_modules(blueprint)
    check_versions(blueprint)
    check_caching(blueprint)
    check_roles(blueprint)
    _check_names(blueprint)
    _check_tables(blueprint)
    _check_boundaries(blueprint)
    for entity in blueprint.entities():
        _check_entity(blueprint, entity)
    _check_structs(blueprint)
    for planned in blueprint.planned:
        _check_inputs(blueprint, planned)


def _check_resource(blueprint: Blueprint, resource: Resource) -> None:
    subject = f"resource {resource.path}"
    for message in lifetime_faults(resource):
        blueprint.fault(resource.source, subject, message)
    verbs = {"read": resource.read, "create": resource.create, "update": resource.update, "delete": resource.delete}
    if all(policy is None for policy in verbs.values()):
        hint = "give at least one of read=, create=, update=, delete="
        blueprint.fault(resource.source, subject, "it serves nothing", hint)
    if not resource.path.startswith("/") or "{" in resource.path or path_fault(resource.path) is not None:
        blueprint.fault(resource.source, subject, 'the path of a resource is plain, for example "/products"')
    shape = _shape(blueprint, resource.entity)
    for verb, policy in verbs.items():
        if policy is not None and shape is not None:
            check_policy(blueprint, policy, shape, resource.source, f"{subject} {verb}=")
        if isinstance(policy, Policy) and any(isinstance(part, Signed | SelfAuthenticated) for part in policy.parts()):
            message = "signed(...) and self_authenticated are for a command that takes a RawBody"
            blueprint.fault(resource.source, f"{subject} {verb}=", message)


def _check_modules(blueprint: Blueprint) -> None:
    """A module's name is its own."""
    seen: dict[str, Source] = {}
    for module in blueprint.service.modules:
        if module.name == KERNEL:
            blueprint.fault(module.source, module.name, f'the name "{KERNEL}" is the kernel\'s: give another')
        if module.name in seen:
            message = f"another module is named {module.name}, at {seen[module.name]}"
            blueprint.fault(module.source, module.name, message)
        seen.setdefault(module.name, module.source)


def _check_tables(blueprint: Blueprint) -> None:
    """Two entities may not share a table."""
    tables: dict[str, type[Entity]] = {}
    for entity in blueprint.entities():
        table = table_name(blueprint.owners[entity], entity)
        other = tables.setdefault(table, entity)
        if other is not entity:
            place = f"{blueprint.owners[other]}.{other.__name__}"
            message = f"its table {table} is that of {place} too"
            blueprint.fault(entity, entity.__name__, message, "give one of them another name")


def _check_names(blueprint: Blueprint) -> None:
    """Two operations may not share a route, nor a name."""
    routes: dict[tuple[str, str, int], tuple[str, Source]] = {}
    names: dict[tuple[str, int], Source] = {}
    versions = blueprint.service.versions
    for name, method, path, declared in _routes(blueprint):
        source, span = declared.source, span_of(declared.since, declared.until, versions)
        taken = [names[name, place] for place in span if (name, place) in names]
        if taken:
            hint = "give one name=, or versions that do not meet" if versions else "give one name="
            blueprint.fault(source, name, f"another operation is named {name}, at {taken[0]}", hint)
        shape = re.sub(r"\{[^}/]*\}", "{}", path)
        others = [routes[method, shape, place] for place in span if method and (method, shape, place) in routes]
        if others:
            other, at = others[0]
            blueprint.fault(source, name, f"{method} {path} is the route of {other} too, at {at}")
        for place in span:
            names.setdefault((name, place), source)
            routes.setdefault((method, shape, place), (name, source))


def _routes(blueprint: Blueprint) -> list[tuple[str, str, str, Any]]:
    """Return name, method, path and what declares it, of each operation."""
    found: list[tuple[str, str, str, Any]] = [
        (p.operation.name, p.operation.method, p.operation.path, p.operation) for p in blueprint.planned
    ]
    for _, resource in blueprint.resources:
        for verb, method, path in resource.routes():
            found.append((resource.operation_name(verb), method, path, resource))
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
        check_policy(blueprint, entity.__mainstay_rows__, shape, entity, f"{entity.__name__} rows=")
    check_options(blueprint, entity, shape)
    check_encrypted_uses(blueprint, entity, shape)
    check_person(blueprint, entity, shape)
    for name in STANDARD_FIELDS:
        if entity.__mainstay_fields__[name] is not Entity.__mainstay_fields__[name]:
            blueprint.fault(entity, f"{entity.__name__}.{name}", "every entity has this field already: name another")
    for attribute in shape.attributes:
        for policy in (attribute.spec.read, attribute.spec.write):
            if policy is not None:
                check_policy(blueprint, policy, shape, entity, f"{entity.__name__}.{attribute.name}")
    for relation in shape.relations:
        check_relation(blueprint, entity, relation)


def _check_inputs(blueprint: Blueprint, planned: Planned) -> None:
    for parameter in planned.signature.parameters:
        if parameter.attribute is not None:
            for message, hint in check_patterns(parameter.attribute):
                operation = planned.operation
                blueprint.fault(operation.source, operation.name, f"parameter {parameter.name}: {message}", hint)


def _check_structs(blueprint: Blueprint) -> None:
    """Check the fields of every struct that comes in or is emitted: of entities, Dtos, events, and what they hold."""
    inputs = [p.target for planned in blueprint.planned for p in planned.signature.of(From.BODY, From.EVENT)]
    pending: list[Any] = list(dict.fromkeys([*blueprint.entities(), *inputs, *blueprint.event_names]))
    seen: set[Any] = set(pending)
    while pending:
        struct = pending.pop(0)
        shape = _shape(blueprint, struct)
        for attribute in shape.attributes if shape is not None else ():
            check_field(blueprint, struct, attribute)
            inner = [held for held in _held(attribute) if held not in seen]
            pending.extend(held for held in inner if resolve_shape(blueprint, held) is not None)
            seen.update(inner)


def _held(attribute: Attribute) -> Iterator[Any]:
    """Walk the structs that a field's value holds."""
    if attribute.kind is FieldKind.STRUCT:
        yield attribute.base
    if attribute.items is not None:
        yield from _held(attribute.items)
