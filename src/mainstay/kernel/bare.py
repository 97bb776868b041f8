"""The thin controller of an operation that takes nothing but its input: it has no transaction, and so no unit of work.

What is decided at start-up costs nothing in a call. An operation is bare where its signature names no dependency, it
consumes no event, its answer is no stream, and nothing watches it; a call of it with an idempotency key needs a
transaction all the same, for the record, and goes the full way.
"""

from __future__ import annotations

import inspect

from mainstay.kernel.bound import BoundOperation, Invoke, Render
from mainstay.kernel.call import Call, Reply
from mainstay.model.operation import OperationKind
from mainstay.model.problem import SerializationConflict


def is_bare(bound: BoundOperation, *, dependencies: bool) -> bool:
    """Whether an operation needs no unit of work."""
    watched = bound.ports.held_seconds is not None
    plain = inspect.iscoroutinefunction(bound.operation.function) and bound.signature.answer[0] != "stream"
    return plain and not (dependencies or watched or bound.operation.kind is OperationKind.CONSUMER)


def bare_query(bound: BoundOperation, render: Render) -> Invoke:
    """Return the function that runs the use case of a query."""
    function = bound.operation.function

    async def invoke(call: Call) -> Reply:
        call.result = result = await function(**call.inputs)
        return render(call, result)

    return invoke


def bare_command(bound: BoundOperation, render: Render, full: Invoke) -> Invoke:
    """Return the function that runs the use case of a command.

    ``full`` goes the full way: for a call with an idempotency key, and to run again what was told to be.
    """
    function, repeatable = bound.operation.function, not bound.operation.external

    async def invoke(call: Call) -> Reply:
        if call.claim is not None:
            return await full(call)
        call.attempts = 1
        try:
            return render(call, await function(**call.inputs))
        except SerializationConflict:
            if not repeatable:
                raise
            return await full(call)

    return invoke
