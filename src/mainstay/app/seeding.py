"""Seeds: what a service puts into a fresh database, run through the kernel as the system, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mainstay.app.refusal import Refusal
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation, Media
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.flow.outbox import bind_outbox
from mainstay.kernel.invoke import Plan, bind_invoke
from mainstay.kernel.providers import Unresolved
from mainstay.model.operation import Operation, OperationKind, source_of
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.model.signature import Source, signature_of

DEADLINE = 600.0  # seconds


async def seed(bound: Bound) -> list[str]:
    """Run the seeds of a service whose store is open, and return their names. Raises ``Refusal`` for one that fails."""
    names = []
    for function in bound.service.seeds:
        call = Call(operation=_bind(bound, function), protocol="seed", principal=Principal.system)
        try:
            await call.operation.invoke(call)
        except Problem as problem:
            place = call.operation.operation.source
            raise Refusal(
                f"{place}: the seed {function.__name__} failed: {problem.code}: {problem.detail}"
            ) from problem
        names.append(function.__name__)
    return names


def _bind(bound: Bound, function: Callable[..., Any]) -> BoundOperation:
    """Bind a seed as a command that no protocol can reach."""
    source = source_of(function)
    operation = Operation(
        name=f"seed:{function.__name__}",
        kind=OperationKind.COMMAND,
        module="",
        function=function,
        source=source,
        external=True,  # it is run once: it may do anything
    )
    try:
        signature = signature_of(operation)
        others = [parameter.name for parameter in signature.parameters if parameter.source is not Source.DEPENDENCY]
        if others:
            raise Unresolved(f"{', '.join(others)}: a seed has no input, only dependencies")
        resolvers = {p.name: bound.providers.resolver(p.target) for p in signature.parameters}
    except (NameError, TypeError, Unresolved) as error:
        raise Refusal(f"{source}: the seed {function.__name__}: {error}") from None
    ports = bound.ports
    made = BoundOperation(
        operation=operation,
        signature=signature,
        name=operation.name,
        status=200,
        media=Media(),
        index=-1,
        inline=False,
        deadline=DEADLINE,
        ports=ports,
        plans=bound.plans,
    )
    outbox = bind_outbox(bound.blueprint.event_names, ports.ids, ports.clock)
    plan = Plan(
        bound=made,
        render=lambda _call, _result: Reply(),
        resolvers=resolvers,
        outbox=outbox,
        bell=bound.bell,
        repeatable=False,
    )
    made.invoke = bind_invoke(plan)
    return made
