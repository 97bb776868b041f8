"""Start-up checks of policies: the fields, the predicates and the roles that they name are there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from mainstay.model.blueprint import Blueprint
from mainstay.model.conditions import fields as condition_fields
from mainstay.model.policy import Known, Owner, Policy, Role, Where
from mainstay.model.protection_checks import encrypted_in
from mainstay.model.roles import role_faults
from mainstay.model.schema import FieldKind, Shape


class Placed(NamedTuple):
    """A policy with where it was declared, and what it is of: ``Order rows=``, ``place_order``."""

    policy: Policy
    source: Any
    subject: str
    module: str


def placed_policies(blueprint: Blueprint) -> Iterator[Placed]:
    """Walk all policies of a service: of operations, resources, rows, tenants and fields."""
    for placed in chain(_of_operations(blueprint), _of_entities(blueprint), _of_fields(blueprint)):
        if isinstance(placed.policy, Policy):
            yield placed


def _of_operations(blueprint: Blueprint) -> Iterator[Placed]:
    for planned in blueprint.planned:
        operation = planned.operation
        yield Placed(operation.allow, operation.source, operation.name, operation.module)
    for module, resource in blueprint.resources:
        for verb in ("read", "create", "update", "delete"):
            policy: Any = getattr(resource, verb)
            yield Placed(policy, resource.source, f"resource {resource.path} {verb}=", module.name)


def _of_entities(blueprint: Blueprint) -> Iterator[Placed]:
    for entity in blueprint.entities():
        module, tenancy = blueprint.owners[entity], entity.__mainstay_options__.tenancy
        rows: Any = entity.__mainstay_rows__
        across: Any = None if tenancy is None else tenancy.across
        yield Placed(rows, entity, f"{entity.__name__} rows=", module)
        yield Placed(across, entity, f"{entity.__name__} tenant=", module)


def _of_fields(blueprint: Blueprint) -> Iterator[Placed]:
    for shape in blueprint.shapes.made():
        module = blueprint.owners.get(shape.type, "")
        for attribute in (*shape.attributes, *shape.relations):
            for policy in (attribute.spec.read, attribute.spec.write):
                placed: Any = policy
                yield Placed(placed, shape.type, f"{shape.name}.{attribute.name}", module)


def known_to(blueprint: Blueprint, shape: Shape | None = None) -> Known:
    """Return what policies on rows of a shape may name; on operations, where it is None."""
    operations = [planned.operation.name for planned in blueprint.planned]
    for _, resource in blueprint.resources:
        operations += [resource.operation_name(verb) for verb, _, _ in resource.routes()]
    roles = blueprint.service.roles
    return Known(shape, frozenset(operations), None if roles is None else frozenset(roles))


def check_roles(blueprint: Blueprint) -> None:
    """Note the faults of ``roles=``; where it is given, policies name no other role."""
    service = blueprint.service
    declared = service.roles
    if declared is None:
        return
    for message in role_faults(declared):
        blueprint.fault(service.source, f"{service.name} roles=", message)
    for placed in placed_policies(blueprint):
        if placed.module in service.built_in:
            continue  # what Mainstay brings names roles of its own
        named = {name for part in placed.policy.parts() if isinstance(part, Role) for name in part.names}
        for name in sorted(named - set(declared)):
            hint = f"declare it, or name one of {', '.join(sorted(declared)) or 'none'}"
            blueprint.fault(placed.source, placed.subject, f"role {name!r} is not declared in roles=", hint)


def check_policy(blueprint: Blueprint, policy: Any, shape: Shape, source: Any, subject: str) -> None:
    if not isinstance(policy, Policy):
        blueprint.fault(source, subject, f"{policy!r} is no policy")
        return
    for name in encrypted_in(policy, shape):
        blueprint.fault(source, subject, f"it looks at {name}, which is encrypted", "decide by another field")
    for part in policy.parts():
        if isinstance(part, Owner):
            attribute = shape.by_name.get(part.field)
            if attribute is None:
                blueprint.fault(source, subject, f"{part!r}: {shape.name} has no field {part.field}")
            elif attribute.kind is not FieldKind.UUID:
                blueprint.fault(source, subject, f"{part!r}: the field of an owner is a UUID")
        elif isinstance(part, Where):
            _check_predicate(blueprint, part, shape, subject)
        for place, message in part.faults(known_to(blueprint, shape)):
            blueprint.fault(place or source, subject, message)


def _check_predicate(blueprint: Blueprint, part: Where, shape: Shape, subject: str) -> None:
    try:
        template = part.template()
    except Exception as error:
        blueprint.fault(part.predicate, subject, f"the row predicate has no SQL form: {error}")
        return
    for name in condition_fields(template):
        if name not in shape.by_name or shape.by_name[name].relation is not None:
            blueprint.fault(part.predicate, subject, f"the row predicate names {name}, which {shape.name} has not")
