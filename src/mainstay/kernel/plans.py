"""Plans of entities: what every repository of one must know, from its shape and its policies."""

from __future__ import annotations

from mainstay.kernel.flow.records import RECORDS
from mainstay.model.blueprint import Blueprint
from mainstay.model.checks import KERNEL
from mainstay.model.naming import table_name
from mainstay.model.policy import Policy, owner_fields, prepare
from mainstay.model.schema import Shape
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.ports.indexing import words_entity, words_table
from mainstay.ports.unit_of_work import EntityPlan, Reference


def plan_entities(blueprint: Blueprint) -> dict[type[Entity], EntityPlan]:
    """Return the plan of each entity of a service, and of the kernel's own rows, in a stable order."""
    plans: dict[type[Entity], EntityPlan] = {}
    for entity in blueprint.entities():
        try:
            shape = blueprint.shapes.of(entity)
        except (NameError, TypeError):
            continue  # noted where the blueprint was drawn
        module, table = blueprint.owners[entity], table_name(blueprint.owners[entity], entity)
        policy = entity.__mainstay_rows__
        searchable = tuple(a.name for a in shape.attributes if a.spec.searchable)
        words = words_entity(entity) if searchable else None
        plans[entity] = EntityPlan(
            shape=shape,
            table=table,
            module=module,
            policy=_prepared(blueprint, policy, shape),
            owners=tuple(dict.fromkeys(owner_fields(policy))) if policy is not None else (),
            references=_references(blueprint, entity),
            words=words,
            searchable=searchable,
            checked=tuple(a for a in shape.attributes if a.name not in STANDARD_FIELDS),
        )
        if words is not None:
            beside = blueprint.shapes.of(words)
            plans[words] = EntityPlan(shape=beside, table=words_table(table), module=module, policy=None)
    for record, table in RECORDS:
        shape = blueprint.shapes.of(record)
        plans[record] = EntityPlan(shape=shape, table=table, module=KERNEL, policy=None)
    return plans


def _prepared(blueprint: Blueprint, policy: Policy | None, shape: Shape) -> Policy | None:
    return prepare(policy, shape.types) if policy is not None and not blueprint.faults else policy


def _references(blueprint: Blueprint, entity: type[Entity]) -> tuple[Reference, ...]:
    return tuple(
        Reference(field, target, target.__mainstay_rows__ is not None)
        for (source, field), target in blueprint.references.items()
        if source is entity
    )
