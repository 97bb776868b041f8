"""Seeds: what a service puts into a fresh database, run through the kernel as the system, each in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from mainstay.app.refusal import Refusal
from mainstay.kernel.bind import Bound
from mainstay.kernel.bound import BoundOperation, Media
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.invoke import Plan, bind_invoke
from mainstay.kernel.providers import Resolver, Unresolved
from mainstay.model.operation import Operation, OperationKind, source_of
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem
from mainstay.model.signature import Signature, Source, signature_of

DEADLINE = 600.0  # seconds


async def seed(bound: Bound, profiles: Collection[str] = ()) -> list[str]:
    """Run the seeds of a service whose store is open, those for all profiles and for these; return their names.

    Raises ``Refusal`` for one that fails.
    """
    names = []
    for declared in bound.service.seeds:
        if not declared.runs_in(profiles):
            continue
        function = declared.function
        system = Principal.system if declared.tenant is None else Principal.system.acting_for(declared.tenant)
        command = command_of(bound, f"seed:{function.__name__}", function)
        call = Call(operation=command, protocol="seed", principal=system)
        try:
            await call.operation.invoke(call)
        except Problem as problem:
            place = call.operation.operation.source
            raise Refusal(
                f"{place}: the seed {function.__name__} failed: {problem.code}: {problem.detail}"
            ) from problem
        names.append(function.__name__)
    return names


def command_of(bound: Bound, name: str, function: Callable[..., Any]) -> BoundOperation:
    """Bind a function as a command that no protocol can reach. Raises ``Refusal`` where it asks for what is not there.

    It is run once: it may do anything.
    """
    operation = Operation(
        name=name,
        kind=OperationKind.COMMAND,
        module="",
        function=function,
        source=source_of(function),
        external=True,
    )
    signature, resolvers = _needs(bound, operation)
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
    made.invoke = bind_invoke(
        Plan(
            bound=made,
            render=lambda _call, _result: Reply(),
            resolvers=resolvers,
            outbox=bound.outbox,
            bell=bound.bell,
            repeatable=False,
        )
    )
    return made


def _needs(bound: Bound, operation: Operation) -> tuple[Signature, dict[str, Resolver]]:
    """Return what a seed asks for. Raises ``Refusal`` with its place where that cannot be given."""
    try:
        signature = signature_of(operation)
        others = [parameter.name for parameter in signature.parameters if parameter.source is not Source.DEPENDENCY]
        if others:
            raise Unresolved(f"{', '.join(others)}: a seed has no input, only dependencies")
        return signature, {p.name: bound.providers.resolver(p.target) for p in signature.parameters}
    except (NameError, TypeError, Unresolved) as error:
        raise Refusal(f"{operation.source}: the seed {operation.function.__name__}: {error}") from None
