"""Start-up checks of streams: how one is made, and from where it can be taken up again."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from mainstay.model.blueprint import Blueprint, Planned
from mainstay.model.operation import Operation, OperationKind
from mainstay.model.schema import Attribute, FieldKind
from mainstay.model.signature import Parameter

_IDS = frozenset(
    {FieldKind.STRING, FieldKind.INTEGER, FieldKind.UUID, FieldKind.DATETIME, FieldKind.DATE, FieldKind.ENUM}
)


def is_use_case(operation: Operation) -> bool:
    """Whether the function of an operation can be a use case: it is async, and may generate where it is called."""
    function: Any = operation.function
    generates = inspect.isasyncgenfunction(function) and operation.kind is not OperationKind.CONSUMER
    return inspect.iscoroutinefunction(function) or generates


def check_stream(blueprint: Blueprint, planned: Planned) -> None:
    """Note the faults of an operation that streams, or that is written as if it did."""
    operation, signature = planned.operation, planned.signature
    streams = signature.answer[0] == "stream"
    if streams and operation.kind is OperationKind.COMMAND:
        hint = "return a list, or stream from a query"
        message = "a command returns no Stream: its answer is written after its transaction has ended"
        blueprint.fault(operation.source, operation.name, message, hint)
    elif inspect.isasyncgenfunction(operation.function) and not streams:
        message = "an async generator is a stream, and is annotated as one"
        blueprint.fault(operation.source, operation.name, message, "-> AsyncIterator[Item]")
    marked = [p for p in signature.parameters if p.resumes is not None]
    if len(marked) > 1:
        names = ", ".join(p.name for p in marked)
        blueprint.fault(operation.source, operation.name, f"{names}: a stream is taken up again from one place")
    for parameter in marked[:1]:
        message = _resume_fault(blueprint, planned, parameter) if streams else "only a stream can be taken up again"
        if message:
            blueprint.fault(operation.source, operation.name, f"parameter {parameter.name}: {message}")


def _resume_fault(blueprint: Blueprint, planned: Planned, parameter: Parameter) -> str:
    """Return what is wrong with the place from which a stream goes on, or nothing."""
    if parameter.required:
        return "resume_after(...) has a default, for who begins: = None"
    item = planned.signature.answer[1]
    if not (isinstance(item, type) and issubclass(item, msgspec.Struct)):
        return f"resume_after(...) names a field of the items, and {item!r} has none"
    found = blueprint.shapes.of(item).by_name.get(str(parameter.resumes))
    if found is None:
        return f'{item.__name__} has no field "{parameter.resumes}"'
    return _id_fault(found, parameter)


def _id_fault(found: Attribute, parameter: Parameter) -> str:
    if found.kind not in _IDS or found.optional:
        return f"{found.name} names no item: expected an int, a str, a UUID, a time or an enum, and not None"
    if found.hidden or found.encrypted or found.spec.read is not None:
        return f"{found.name} is not for everybody to read, and every item is named by it"
    if parameter.attribute is None or parameter.attribute.kind is not found.kind:
        return f"it is of another type than {found.name}, which it is compared with"
    return ""
