"""What an operation touches: the entities behind it, and the fields of them that not everybody may read or set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation
from mainstay.model.blueprint import entities_in
from mainstay.model.policy import Policy, anyone, prepare
from mainstay.model.schema import Shape
from mainstay.model.structs import Entity
from mainstay.ports.unit_of_work import EntityPlan


def allowed_by(bound: Bound, operation: BoundOperation) -> Policy:
    """Return the policy of an operation as it counts: prepared, and narrowed where clients act for accounts."""
    declared: Policy = anyone if operation.operation.allow is None else operation.operation.allow
    identity = bound.service.identity
    if identity is not None:
        declared = identity.narrowed(declared)
    resource = operation.operation.resource
    return prepare(declared, {} if resource is None else bound.blueprint.shapes.of(resource.entity).types)


def rows_by(plan: EntityPlan) -> Policy:
    """Return the policy of the rows of a plan: tenancy, deletion and the entity's own."""
    return anyone if plan.policy is None else plan.policy


def plans_of(bound: Bound, operation: BoundOperation) -> list[EntityPlan]:
    """Return the plans of the entities that an operation names: of what it takes, works on and answers with."""
    signature = operation.signature
    named: dict[type[Entity], None] = {}
    for annotation in (*(parameter.type for parameter in signature.parameters), signature.returns):
        named.update(dict.fromkeys(entities_in(annotation)))
    return [bound.plans[entity] for entity in named if entity in bound.plans]


def shapes_of(bound: Bound, operation: BoundOperation) -> list[Shape]:
    """Return the shapes that an operation takes or answers with, entities among them."""
    signature = operation.signature
    pending: list[Any] = [*(parameter.type for parameter in signature.parameters), signature.returns]
    found: dict[Any, Shape] = {}
    while pending:
        annotation = pending.pop(0)
        pending += get_args(annotation)
        if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) and annotation not in found:
            try:
                found[annotation] = bound.blueprint.shapes.of(annotation)
            except (NameError, TypeError):
                continue  # a type of the kernel's own: Principal, Find
    return list(found.values())


def masks_of(shape: Shape) -> Iterator[tuple[str, Policy | None, Policy | None]]:
    """Walk the fields with a policy of their own: name, for reading, for setting."""
    for attribute in (*shape.attributes, *shape.relations):
        spec = attribute.spec
        if spec.read is not None or spec.write is not None:
            read, write = (None if p is None else prepare(p, shape.types) for p in (spec.read, spec.write))
            yield attribute.name, read, write
