"""Resources: the operations that an entity is served by without code, made from its declaration at start-up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from mainstay.model.blueprint import Planned
from mainstay.model.conditions import holds
from mainstay.model.inputs import Find, Page, Patch
from mainstay.model.merging import write_faults
from mainstay.model.module import Module
from mainstay.model.operation import Operation, OperationKind
from mainstay.model.policy import Policy, prepare
from mainstay.model.principal import Principal
from mainstay.model.problem import (
    Forbidden,
    Invalid,
    Problem,
    ReferenceConflict,
    StaleVersion,
    UniqueConflict,
    snake_case,
)
from mainstay.model.resource import Resource
from mainstay.model.schema import Shape, attribute_of
from mainstay.model.signature import Parameter, Signature, Source
from mainstay.ports.repository import Repository

_KINDS = {"list": OperationKind.QUERY, "get": OperationKind.QUERY}
_STATUS = {"create": 201, "delete": 204}
_RAISES: dict[str, tuple[type[Problem], ...]] = {
    "create": (UniqueConflict, ReferenceConflict),
    "update": (UniqueConflict, ReferenceConflict, StaleVersion),
    "delete": (ReferenceConflict, StaleVersion),
}
_SUMMARIES = {
    "list": "List {plural}.",
    "get": "Get one {one}.",
    "create": "Create a {one}.",
    "update": "Change a {one}.",
    "delete": "Delete a {one}.",
}


def plan_resource(module: Module, resource: Resource, shape: Shape) -> list[Planned]:
    """Return the operations of a resource, each with its signature and use case."""
    planned = []
    for verb, method, path in resource.routes():
        policy: Any = resource.policy(verb)
        words = {"plural": resource.name.replace("_", " "), "one": snake_case(shape.name).replace("_", " ")}
        operation = Operation(
            name=resource.operation_name(verb),
            kind=_KINDS.get(verb, OperationKind.COMMAND),
            module=module.name,
            function=_MAKERS[verb](resource, prepare(policy, shape.types), shape),
            source=resource.source,
            method=method,
            path=path,
            status=_STATUS.get(verb, 200),
            allow=policy,
            limits=resource.limits,
            raises=_RAISES.get(verb, ()),
            idempotency="none" if verb in _KINDS else "optional",
            precondition=resource.precondition and verb in ("update", "delete"),
            summary=_SUMMARIES[verb].format(**words),
            description=shape.doc.partition("\n")[0] if verb == "list" else "",
            tags=(module.name,),
            resource=resource,
            verb=verb,
            cache=resource.cache if verb in _KINDS else None,
            deprecated=resource.deprecated,
            sunset=resource.sunset,
            successor=resource.successor,
            since=resource.since,
            until=resource.until,
        )
        planned.append(Planned(operation=operation, signature=_signature(resource, verb)))
    return planned


def _signature(resource: Resource, verb: str) -> Signature:
    entity: Any = resource.entity
    rows = Parameter(name="rows", source=Source.DEPENDENCY, type=Repository[entity], target=Repository[entity])
    who = Parameter(name="who", source=Source.DEPENDENCY, type=Principal, target=Principal)
    id_ = Parameter(name="id", source=Source.PATH, type=UUID, attribute=attribute_of("id", UUID))
    find = Parameter(name="find", source=Source.FIND, type=Find[entity], target=entity)
    body = Parameter(name="body", source=Source.CREATE, type=entity, target=entity)
    patch = Parameter(name="patch", source=Source.PATCH, type=Patch[entity], target=entity)
    parameters = {
        "list": (find, rows, who),
        "get": (id_, find, rows, who),
        "create": (body, rows, who),
        "update": (id_, patch, rows, who),
        "delete": (id_, rows, who),
    }
    returns = {"list": Page[entity], "delete": None}
    return Signature(parameters=parameters[verb], returns=returns.get(verb, entity))


def _list(resource: Resource, policy: Policy, shape: Shape) -> Callable[..., Any]:  # noqa: ARG001 - one form for all makers
    async def list_rows(find: Find[Any], rows: Repository[Any], who: Principal) -> Page[Any]:
        return await rows.page(find, policy.reduce(who))

    return list_rows


def _get(resource: Resource, policy: Policy, shape: Shape) -> Callable[..., Any]:  # noqa: ARG001 - one form for all makers
    async def get_row(id: UUID, find: Find[Any], rows: Repository[Any], who: Principal) -> Any:  # noqa: ARG001
        return await rows.get(id, include=find.include)

    async def get_allowed_row(id: UUID, find: Find[Any], rows: Repository[Any], who: Principal) -> Any:
        row = await rows.one(policy.reduce(who), id=id)
        return await rows.get(id, include=find.include) if find.include else row

    return get_allowed_row if policy.looks_at_row else get_row


def _create(resource: Resource, policy: Policy, shape: Shape) -> Callable[..., Any]:
    entity: Any = resource.entity
    owned = resource.owners("create")
    specs = entity.__mainstay_fields__.values()
    guarded = any(spec.write is not None and spec.write.looks_at_row for spec in specs)

    async def create_row(body: dict[str, Any], rows: Repository[Any], who: Principal) -> Any:
        row = entity(**body, **{field: who.id for field in owned if field not in body})
        if not holds(policy.reduce(who), row):
            raise Forbidden
        added = await rows.add(row)
        faults = write_faults(added, body, who, shape) if guarded else ()  # its owner is known now
        if faults:
            raise Invalid(faults=faults)
        return added

    return create_row


def _update(resource: Resource, policy: Policy, shape: Shape) -> Callable[..., Any]:  # noqa: ARG001 - one form for all makers
    async def update_row(id: UUID, patch: Patch[Any], rows: Repository[Any], who: Principal) -> Any:
        allowed = policy.reduce(who)
        row = await rows.one(allowed, id=id)
        changed = await rows.update(row, patch)
        if not holds(allowed, changed):  # before and after: nobody moves a row out of their own reach
            raise Forbidden
        return changed

    return update_row


def _delete(resource: Resource, policy: Policy, shape: Shape) -> Callable[..., Any]:  # noqa: ARG001 - one form for all makers
    async def delete_row(id: UUID, rows: Repository[Any], who: Principal) -> None:
        row = await rows.one(policy.reduce(who), id=id)
        await rows.delete(row)

    return delete_row


_MAKERS: dict[str, Callable[[Resource, Policy, Shape], Callable[..., Any]]] = {
    "list": _list,
    "get": _get,
    "create": _create,
    "update": _update,
    "delete": _delete,
}
