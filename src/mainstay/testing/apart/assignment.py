"""Mass assignment: what a body must not set is refused in it, however it is spelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from uuid import UUID

import msgspec
from msgspec.structs import replace

from mainstay.app.authorising.subjects import masks_of, plans_of
from mainstay.app.authorising.verdicts import whole
from mainstay.app.refusal import Refusal
from mainstay.kernel.bound import BoundOperation
from mainstay.model.conditions import FALSE
from mainstay.model.naming import camel_case
from mainstay.model.operation import OperationKind
from mainstay.model.principal import Principal
from mainstay.model.signature import Source
from mainstay.model.structs import STANDARD_FIELDS
from mainstay.ports.unit_of_work import EntityPlan
from mainstay.testing.apart.asking import MSGPACK, Ask, ask_for, send
from mainstay.testing.apart.report import Report
from mainstay.testing.client import Client

FORGED: Mapping[str, Any] = {
    "id": str(UUID(int=0xF0)),
    "version": 77,
    "created_at": "2001-02-03T04:05:06Z",
    "updated_at": "2001-02-03T04:05:06Z",
}
"""What a body tries to set of the fields that every entity has."""

_BODIES = (Source.BODY, Source.CREATE, Source.PATCH, Source.MEMBER)
_REFUSED = (400, 403, 422)
_FINE = 300


async def examine_bodies(client: Client, who: Principal) -> Report:
    """Have a caller send every command with each member that no body sets, and report those that were taken.

    ``who`` should be one whom the service lets do as much as it lets anybody: a member is refused for what it is.
    """
    report = Report(findings=[], operations={}, unasked={})
    for operation in client.bound.operations:
        taken = operation.signature.of(*_BODIES)
        if operation.operation.kind is not OperationKind.COMMAND or not operation.operation.method:
            continue
        if operation.signature.of(Source.UPLOAD):
            await _examine_form(client, operation, who, report)
        elif taken:
            await _examine(client, operation, who, report)
    return report


async def _examine(client: Client, operation: BoundOperation, who: Principal, report: Report) -> None:
    try:
        plain = await ask_for(client, operation, who)
    except Refusal as refusal:
        report.unasked[operation.name] = str(refusal)
        return
    body = {} if plain.body is msgspec.UNSET else plain.body
    for name, value in _forged(client, operation, who):
        for spelled in dict.fromkeys((name, camel_case(name))):
            if spelled in body:
                continue  # an operation of its own takes it, and says so
            for ask in _spellings(replace(plain, body={**body, spelled: value})):
                answer = await send(client, ask, who)
                report.asked(operation.name)
                if answer.status not in _REFUSED:
                    report.note(operation.name, f"{spelled} is not refused in a body ({answer.status})", ask)
    answer = await send(client, plain, who)
    if answer.status >= _FINE:
        report.unasked[operation.name] = f"without any of it the request is refused too: {answer}"


async def _examine_form(client: Client, operation: BoundOperation, who: Principal, report: Report) -> None:
    """Try the fields of a form that has files."""
    try:
        ask = await ask_for(client, operation, who)
    except Refusal as refusal:
        report.unasked[operation.name] = str(refusal)
        return
    files = {each.name: ("forged.txt", b"x", "text/plain") for each in operation.signature.of(Source.UPLOAD)}
    members = operation.signature.of(Source.MEMBER)
    plain = {each.name: str(_like(each.attribute.base if each.attribute is not None else str)) for each in members}
    sent: dict[str, Any] = {"who": who, "headers": dict(ask.headers), "files": files}
    for name, value in _forged(client, operation, who):
        for spelled in dict.fromkeys((name, camel_case(name))):
            if spelled not in plain:
                answer = await client.request(ask.method, ask.target, fields={**plain, spelled: str(value)}, **sent)
                report.asked(operation.name)
                if answer.status not in _REFUSED:
                    report.note(operation.name, f"{spelled} is not refused in a form ({answer.status})", ask)
    answer = await client.request(ask.method, ask.target, fields=plain, **sent)
    if answer.status >= _FINE:
        report.unasked[operation.name] = f"without any of it the request is refused too: {answer}"


def _spellings(ask: Ask) -> Iterator[Ask]:
    """Walk the media types in which a body may come."""
    yield ask
    yield replace(ask, headers={**ask.headers, "content-type": MSGPACK})
    if ask.method == "PATCH":
        yield replace(ask, headers={**ask.headers, "content-type": "application/merge-patch+json"})


def _forged(client: Client, operation: BoundOperation, who: Principal) -> Iterator[tuple[str, Any]]:
    """Walk the members that no body of an operation sets, each with a value that would be of its type."""
    yield from FORGED.items()
    yield from (("is_system", True), ("roles", ["admin"]))
    caller = whole(who, client.bound.service, client.clock)
    resource = operation.operation.resource
    for plan in plans_of(client.bound, operation)[:1] if resource is not None else ():
        names = dict.fromkeys((*_kept(plan), *resource.owners(operation.operation.verb)))
        names |= {
            name: None for name, _, write in masks_of(plan.shape) if write is not None and write.reduce(caller) is FALSE
        }
        yield from ((name, _value(plan, name)) for name in names if name not in STANDARD_FIELDS)


def _kept(plan: EntityPlan) -> Iterator[str]:
    """Walk the fields of rows that the service sets: owners, the tenant, what is for reading only."""
    yield from plan.owners
    if plan.tenancy is not None:
        yield plan.tenancy.field
    yield from (attribute.name for attribute in plan.shape.attributes if attribute.spec.read_only)


def _value(plan: EntityPlan, name: str) -> Any:
    return _like(plan.shape.by_name[name].base)


def _like(base: Any) -> Any:
    forged: Mapping[Any, Any] = {UUID: FORGED["id"], int: 77, bool: True, str: "forged"}
    return forged.get(base, FORGED["created_at"])
