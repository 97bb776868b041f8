"""The events that a service knows: which are its own, who sends each of them, and who receives it."""

from __future__ import annotations

import dis
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import msgspec

from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.event_checks import event_taken
from mainstay.model.event_versions import taken, upcasters_of
from mainstay.model.operation import Operation, OperationKind
from mainstay.model.signature import Source
from mainstay.model.structs import Event
from mainstay.ports.events import Events


class Receiver(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer: the class that it reads the event as (None: it looks at none), and the versions that it takes."""

    operation: Operation
    event: type[Event] | None
    versions: tuple[int, ...]


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """One event by its full name. ``event`` is its class, where it is this service's own to send; else None."""

    name: str
    event: type[Event] | None
    senders: tuple[Operation, ...] = ()
    receivers: tuple[Receiver, ...] = ()


def flows_of(blueprint: Blueprint) -> list[Flow]:
    """Return the events of a service by their names: those that are declared in it, and those that it only hears."""
    receivers = _receivers(blueprint)
    senders = _senders(blueprint)
    views = {
        receiver.event for name, found in receivers.items() for receiver in found if _is_view(blueprint, name, receiver)
    }
    own = {name: event for name, event in blueprint.events.items() if event not in views or event in senders}
    return [
        Flow(
            name=name,
            event=own.get(name),
            senders=tuple(senders.get(own[name], ())) if name in own else (),
            receivers=tuple(receivers.get(name, ())),
        )
        for name in sorted({*own, *receivers})
    ]


def _is_view(blueprint: Blueprint, name: str, receiver: Receiver) -> bool:
    """Whether a consumer reads an event of another module as a class of its own."""
    return receiver.event is not None and blueprint.event_names.get(receiver.event) != name


def _receivers(blueprint: Blueprint) -> dict[str, list[Receiver]]:
    upcasters = upcasters_of(blueprint.service.modules)
    found: dict[str, list[Receiver]] = {}
    for planned in blueprint.planned:
        operation = planned.operation
        if operation.kind is not OperationKind.CONSUMER:
            continue
        named = operation.event if isinstance(operation.event, str) else blueprint.event_names.get(operation.event)
        if named is None:
            continue  # it is no event: a start-up fault
        event = event_taken(planned)
        versions = () if event is None else tuple(sorted(taken(event, operation.reads, upcasters)))
        found.setdefault(named, []).append(Receiver(operation=operation, event=event, versions=versions))
    return found


def _senders(blueprint: Blueprint) -> dict[type[Event], list[Operation]]:
    """Return the operations that may emit each event: they are given ``Events``, and their code names its class."""
    found: dict[type[Event], list[Operation]] = {}
    for planned in blueprint.planned:
        if _emits(planned):
            named = {value for value in _reached(planned.operation.function, set()) if value in blueprint.event_names}
            for event in sorted(named, key=lambda one: blueprint.event_names[one]):
                found.setdefault(event, []).append(planned.operation)
    return found


def _emits(planned: Planned) -> bool:
    return any(parameter.target is Events for parameter in planned.signature.of(Source.DEPENDENCY))


def _reached(function: Any, seen: set[CodeType]) -> Iterator[type[Event]]:
    """Walk the classes of events that the code of a function names, and that of the functions which it names."""
    code = getattr(function, "__code__", None)
    if code is None or code in seen:
        return
    seen.add(code)
    scope = {**function.__globals__, **_enclosed(function)}
    for name in _names(code):
        value = scope.get(name)
        if isinstance(value, type) and issubclass(value, Event):
            yield value
        elif isinstance(value, FunctionType):
            yield from _reached(value, seen)


def _enclosed(function: FunctionType) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=False):
        try:
            held[name] = cell.cell_contents
        except ValueError:
            continue  # what it is to hold is not there yet
    return held


_LOADS = frozenset({"LOAD_GLOBAL", "LOAD_NAME", "LOAD_DEREF"})


def _names(code: CodeType) -> Iterator[str]:
    """Walk the names that code looks up; those of attributes are none: ``events.emit`` is no function ``emit``."""
    yield from (one.argval for one in dis.get_instructions(code) if one.opname in _LOADS)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
