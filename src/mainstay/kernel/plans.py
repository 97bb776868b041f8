"""Plans of entities: what every repository of one must know, from its shape and its policies."""

from __future__ import annotations

from contextlib import suppress
from typing import get_origin

from msgspec.structs import replace

from mainstay.kernel.flow.receipts import RECEIPTS, takes_once
from mainstay.kernel.flow.records import AUDIT, RECORDS
from mainstay.kernel.providers import Unresolved, parameters_of
from mainstay.model.blueprint import Blueprint
from mainstay.model.checks import KERNEL
from mainstay.model.naming import table_name
from mainstay.model.policy import Both, Policy, anyone, owner_fields, prepare
from mainstay.model.schema import Shape
from mainstay.model.signature import Source
from mainstay.model.soft_deletion import Gone, Kept
from mainstay.model.structs import STANDARD_FIELDS, Entity
from mainstay.model.tenancy import Tenancy
from mainstay.ports.auditing import AuditRow
from mainstay.ports.indexing import words_entity, words_table
from mainstay.ports.leaderboard import Leaderboard
from mainstay.ports.scores import SCORES, Score
from mainstay.ports.unit_of_work import EntityPlan, Follower, Reference

KEPT_ROWS, GONE_ROWS = Kept(), Gone()


def plan_entities(blueprint: Blueprint, *, scores: bool = False) -> dict[type[Entity], EntityPlan]:
    """Return the plan of each entity of a service, and of the kernel's own rows, in a stable order.

    ``scores`` says that they are kept, though no use case may ask for a leaderboard.
    """
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
        plan = EntityPlan(
            shape=shape,
            table=table,
            module=module,
            policy=_reach(blueprint, entity, shape, KEPT_ROWS),
            tenancy=_tenancy(entity, shape),
            soft_delete=entity.__mainstay_options__.soft_delete,
            append_only=entity.__mainstay_options__.append_only,
            owners=tuple(dict.fromkeys(owner_fields(policy))) if policy is not None else (),
            references=_references(blueprint, entity),
            followers=_followers(blueprint, entity),
            words=words,
            searchable=searchable,
            checked=tuple(a for a in shape.attributes if a.name not in STANDARD_FIELDS),
        )
        if plan.soft_delete:
            gone = _reach(blueprint, entity, shape, GONE_ROWS)
            plan = replace(plan, deleted=replace(plan, policy=gone, key=(entity, "deleted")))
        plans[entity] = plan
        if words is not None:
            beside = blueprint.shapes.of(words)
            plans[words] = EntityPlan(shape=beside, table=words_table(table), module=module, policy=None)
    for record, table in _records(blueprint, scores=scores):
        plans[record] = _record(blueprint, record, table)
    if any(entity.__mainstay_options__.audit for entity in plans):
        trail = _record(blueprint, AuditRow, AUDIT)
        plans = {e: replace(p, trail=trail) if e.__mainstay_options__.audit else p for e, p in plans.items()}
        plans[AuditRow] = replace(trail, policy=~anyone)  # only the audit trail of an entity leads to its entries
    return plans


def _records(blueprint: Blueprint, *, scores: bool) -> list[tuple[type[Entity], str]]:
    """Return the kernel's own entities, each with the name of its table: those that the service needs."""
    found = list(RECORDS)
    if any(takes_once(planned.operation) for planned in blueprint.planned):
        found.append(RECEIPTS)
    if scores or _keeps_scores(blueprint):
        found.append((Score, SCORES))
    return found


def _keeps_scores(blueprint: Blueprint) -> bool:
    """Whether a use case, or what it is provided with, asks for a leaderboard."""
    asked = [p.target for planned in blueprint.planned for p in planned.signature.of(Source.DEPENDENCY)]
    for provision in blueprint.service.provisions:
        with suppress(Unresolved):  # noted where it is looked for
            asked += parameters_of(provision.factory).values()
    return any(get_origin(type_) is Leaderboard for type_ in asked)


def _record(blueprint: Blueprint, record: type[Entity], table: str) -> EntityPlan:
    return EntityPlan(shape=blueprint.shapes.of(record), table=table, module=KERNEL, policy=None)


def _reach(blueprint: Blueprint, entity: type[Entity], shape: Shape, deleted: Policy) -> Policy | None:
    """Return what decides which rows a caller may see: tenancy, then whether it is deleted, then the row policy."""
    policy = entity.__mainstay_rows__
    if policy is not None and not blueprint.faults:
        policy = prepare(policy, shape.types)
    if entity.__mainstay_options__.soft_delete:
        policy = deleted if policy is None else Both(deleted, policy)
    tenancy = _tenancy(entity, shape)
    return policy if tenancy is None else tenancy if policy is None else Both(tenancy, policy)


def _tenancy(entity: type[Entity], shape: Shape) -> Tenancy | None:
    tenancy = entity.__mainstay_options__.tenancy
    if tenancy is None or tenancy.field not in shape.by_name:
        return None
    return replace(tenancy, kind=shape.by_name[tenancy.field].base)


def _references(blueprint: Blueprint, entity: type[Entity]) -> tuple[Reference, ...]:
    own = entity.__mainstay_options__.tenancy
    found = []
    for (source, field), target in blueprint.references.items():
        if source is entity:
            options = target.__mainstay_options__
            guarded = target.__mainstay_rows__ is not None or options.tenancy is not None or options.soft_delete
            found.append(Reference(field, target, guarded, own is not None and options.tenancy is not None))
    return tuple(found)


def _followers(blueprint: Blueprint, entity: type[Entity]) -> tuple[Follower, ...]:
    """Return the fields that refer to an entity whose rows are only marked as deleted."""
    if not entity.__mainstay_options__.soft_delete:
        return ()
    return tuple(
        Follower(source, field, source.__mainstay_fields__[field].on_delete)
        for (source, field), target in blueprint.references.items()
        if target is entity
    )
