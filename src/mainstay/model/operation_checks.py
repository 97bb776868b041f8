"""Start-up checks of one operation: its use case, its route, what it takes, what it answers, whom it allows."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.event_checks import is_of_others
from mainstay.model.limits import Limit
from mainstay.model.module import Resource
from mainstay.model.operation import Operation, OperationKind, Signed, moment_of, self_authenticated
from mainstay.model.policy import Policy
from mainstay.model.policy_checks import known_to
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.signature import SCALARS, Parameter, Signature, Source, path_names
from mainstay.model.stream_checks import check_stream, is_use_case
from mainstay.model.structs import Entity, Event

_SEGMENT = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@-]+|\{[A-Za-z_][A-Za-z0-9_]*\}")
_BODIES = (Source.BODY, Source.PATCH, Source.UPLOAD, Source.RAW, Source.EVENT)
_PLAIN = (Source.HEADER, Source.QUERY)
_KEY_USES = ("optional", "required", "none")


def check_operation(blueprint: Blueprint, planned: Planned) -> None:
    """Note the faults of one operation."""
    operation = planned.operation
    _check_function(blueprint, operation)
    if operation.kind is OperationKind.CONSUMER:
        _check_consumer(blueprint, planned)
        return
    _check_allow(blueprint, planned)
    _check_route(blueprint, planned)
    _check_options(blueprint, operation)
    _check_bodies(blueprint, planned)
    _check_searches(blueprint, planned)
    check_stream(blueprint, planned)


def _check_function(blueprint: Blueprint, operation: Operation) -> None:
    if not operation.name.isidentifier():
        message = f"name={operation.name!r} is no identifier: it is the operation's name in every protocol"
        blueprint.fault(operation.source, operation.name, message)
    if not is_use_case(operation):
        blueprint.fault(operation.source, operation.name, "a use case is an async function", "write async def")
    for parameter in inspect.signature(operation.function).parameters.values():
        if parameter.kind is parameter.POSITIONAL_ONLY:
            message = f"parameter {parameter.name} is positional only: a use case is given its parameters by name"
            blueprint.fault(operation.source, operation.name, message)


def _check_consumer(blueprint: Blueprint, planned: Planned) -> None:
    operation, signature = planned.operation, planned.signature
    event: Any = operation.event
    named = isinstance(event, str)
    if named:
        if event not in blueprint.events and not is_of_others(blueprint, event):
            known = ", ".join(sorted(blueprint.events)) or "none"
            blueprint.fault(operation.source, operation.name, f'no event is named "{event}"', f"known are: {known}")
            return
        event = blueprint.events.get(event, Event)
    elif not (isinstance(event, type) and issubclass(event, Event) and event is not Event):
        hint = 'give the class of an event, or its name as "module.Name"'
        blueprint.fault(operation.source, operation.name, f"on({getattr(event, '__name__', event)!s}): no event", hint)
        return
    if operation.attempts < 1:
        blueprint.fault(operation.source, operation.name, f"attempts={operation.attempts}: it is at least 1")
    taken = signature.of(*_BODIES)
    for parameter in taken:
        # Heard by its name, an event of another module is read as an event class of this one: it takes what it needs.
        own = named and isinstance(parameter.target, type) and issubclass(parameter.target, Event)
        if parameter.target is not event and not own and parameter.source is not Source.RAW:
            message = f"parameter {parameter.name}: a consumer of {event.__name__} is given that, and nothing else"
            blueprint.fault(operation.source, operation.name, message)
    if len(taken) > 1:
        blueprint.fault(operation.source, operation.name, "a consumer is given one event at a time")


def _check_allow(blueprint: Blueprint, planned: Planned) -> None:
    operation = planned.operation
    if operation.allow is None:
        hint = "say allow=anyone, authenticated, role(...) or another policy: what nobody allowed is denied"
        blueprint.fault(operation.source, operation.name, "it has no allow=", hint)
    elif not isinstance(operation.allow, Policy):
        blueprint.fault(operation.source, operation.name, f"allow={operation.allow!r} is no policy")
    elif operation.allow.looks_at_row:
        hint = "a row policy belongs to its entity: class Order(Entity, rows=owner(...)); or to store.resource(...)"
        blueprint.fault(operation.source, operation.name, "allow= names a policy on rows", hint)
    elif any(isinstance(part, Signed) for part in operation.allow.parts()):
        _check_signed(blueprint, operation, planned.signature)
    elif operation.allow != self_authenticated and self_authenticated in operation.allow.parts():
        message = "self_authenticated stands alone in allow=: who calls is found out by the use case, or before it"
        blueprint.fault(operation.source, operation.name, message)
    if isinstance(operation.allow, Policy):
        for part in operation.allow.parts():
            for place, message in part.faults(known_to(blueprint)):
                blueprint.fault(place or operation.source, operation.name, message)


def _check_signed(blueprint: Blueprint, operation: Operation, signature: Signature) -> None:
    if not isinstance(operation.allow, Signed):
        message = "signed(...) stands alone in allow=: the signature is checked before the use case, or not at all"
        blueprint.fault(operation.source, operation.name, message)
    elif operation.allow.once and not signature.of(Source.RAW, Source.BODY):
        hint = 'a Dto whose class says unknown="ignore" reads what it needs of the message'
        blueprint.fault(operation.source, operation.name, "a webhook takes a RawBody or a Dto", hint)
    elif not operation.allow.once and not signature.of(Source.RAW):
        blueprint.fault(operation.source, operation.name, "allow=signed(...) needs a RawBody parameter to check")


def _check_route(blueprint: Blueprint, planned: Planned) -> None:
    operation = planned.operation
    if (operation.method == "GET") != (operation.kind is OperationKind.QUERY):
        hint = "a query is GET; a command is POST, PUT, PATCH or DELETE"
        blueprint.fault(operation.source, operation.name, f"a {operation.kind.value} on {operation.method}", hint)
    faulty = path_fault(operation.path)
    if faulty is not None:
        blueprint.fault(operation.source, operation.name, f'route "{operation.path}": {faulty}')
    names = path_names(operation.path)
    for parameter in planned.signature.parameters:
        if parameter.name in names and not _is_scalar(parameter):
            message = f"parameter {parameter.name} stands in the route, so it is one plain value"
            blueprint.fault(operation.source, operation.name, message, "for example int, str, UUID or an enum")
        elif parameter.source in _PLAIN and not _is_plain(parameter.attribute):
            message = f"parameter {parameter.name} comes from a {parameter.source.value}: it is plain, or a list"
            blueprint.fault(operation.source, operation.name, message)


def path_fault(path: str) -> str | None:
    """Return what is wrong with a path, or None: its segments are plain text, or one name in braces each."""
    segments = path.split("/")[1:]
    if path == "/":
        return None
    for segment in segments:
        if _SEGMENT.fullmatch(segment) is None:
            return f'"{segment}" is neither plain text nor one name in braces, as in /orders/{{order_id}}'
    names = path_names(path)
    repeated = sorted({name for name in names if names.count(name) > 1})
    return f"{repeated[0]} stands in it twice" if repeated else None


def _is_scalar(parameter: Parameter) -> bool:
    attribute = parameter.attribute
    return parameter.source is Source.PATH and attribute is not None and attribute.kind in SCALARS - {FieldKind.LIST}


def _is_plain(attribute: Attribute | None) -> bool:
    if attribute is None or attribute.kind not in SCALARS:
        return False
    return attribute.items is None or attribute.items.kind in SCALARS - {FieldKind.LIST}


def _check_options(blueprint: Blueprint, operation: Operation) -> None:
    wrong = []
    if not 200 <= operation.status <= 299:
        wrong.append(f"status={operation.status}: that of success is from 200 to 299; raise a Problem for others")
    if operation.deadline is not None and not 0 < operation.deadline < float("inf"):
        wrong.append(f"deadline={operation.deadline}: it is in seconds, and more than 0")
    if operation.idempotency not in _KEY_USES:
        wrong.append(f'idempotency="{operation.idempotency}": it is "optional", "required" or "none"')
    wrong.extend(
        f'limits: {one!r} is no limit; write limit("20/minute")'
        for one in operation.limits
        if not isinstance(one, Limit)
    )
    for message in (*wrong, *lifetime_faults(operation)):
        blueprint.fault(operation.source, operation.name, message)


def lifetime_faults(operation: Operation | Resource) -> Iterator[str]:
    """Give what is wrong with the dates of something that is on its way out."""
    since, until = operation.deprecated, operation.sunset
    if not since and (until is not None or operation.successor is not None):
        yield "sunset= and successor= are for what is deprecated=: say since when"
    dates = [day for day in (since, until) if isinstance(day, date)]
    if any(isinstance(day, datetime) and day.tzinfo is None for day in dates):
        yield "deprecated=, sunset=: a time has a zone"
    elif len(dates) == 2 and moment_of(dates[1]) < moment_of(dates[0]):
        yield "sunset= is before deprecated="


def _check_bodies(blueprint: Blueprint, planned: Planned) -> None:
    operation, signature = planned.operation, planned.signature
    bodies = signature.of(*_BODIES)
    files, members = signature.of(Source.UPLOAD), signature.of(Source.MEMBER)
    whole = [p for p in bodies if p not in files]  # a form has files, and one Dto or members beside them
    if len(whole) > 1 or (whole and members) or (files and any(p.source is not Source.BODY for p in whole)):
        names = ", ".join(p.name for p in (*bodies, *members))
        hint = "put the scalars into the Dto"
        blueprint.fault(operation.source, operation.name, f"{names}: a call has one body", hint)
    if operation.kind is OperationKind.QUERY and bodies:
        blueprint.fault(operation.source, operation.name, f"{bodies[0].name}: a query takes no body")


def _check_searches(blueprint: Blueprint, planned: Planned) -> None:
    operation, signature = planned.operation, planned.signature
    finds = signature.of(Source.FIND)
    if len(finds) > 1:
        names = ", ".join(p.name for p in finds)
        blueprint.fault(operation.source, operation.name, f"{names}: a call has one search")
    for parameter in (*finds, *signature.of(Source.PATCH)):
        if not (isinstance(parameter.target, type) and issubclass(parameter.target, Entity)):
            message = f"parameter {parameter.name}: {parameter.source.value.capitalize()}[...] names an entity"
            blueprint.fault(operation.source, operation.name, message)
