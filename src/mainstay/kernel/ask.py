"""Asking another module in the same process: its query runs as the same caller, through its own policy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from mainstay.kernel.bound import BoundOperation
from mainstay.kernel.call import Call, Reply
from mainstay.kernel.scope import Scope
from mainstay.model.inputs import Find
from mainstay.model.operation import OperationKind
from mainstay.model.problem import Problem
from mainstay.model.signature import Source
from mainstay.ports.ask import Ask
from mainstay.ports.kept import plain

MAX_DEPTH = 8

Dispatch = Callable[[Call], Awaitable[Reply | Problem]]


class Directory:
    """The queries of a service by function and by "module.name"; filled once the operations are bound."""

    def __init__(self) -> None:
        self._found: dict[Any, BoundOperation] = {}

    def add(self, bound: BoundOperation) -> None:
        """Make a query known."""
        if bound.operation.kind is OperationKind.QUERY:
            self._found[bound.operation.function] = bound
            self._found[f"{bound.operation.module}.{bound.name}"] = bound

    def find(self, query: Any) -> BoundOperation:
        """Return a query. Raises ``LookupError`` that says what may be asked."""
        bound = self._found.get(query)
        if bound is None:
            known = ", ".join(sorted(k for k in self._found if isinstance(k, str)))
            raise LookupError(f"{getattr(query, '__name__', query)} is no query of this service; there are: {known}")
        return bound


class LocalAsk(Ask):
    """Ask within this process. The asked query reads its own snapshot, as it would from another machine."""

    __slots__ = ("_directory", "_scope")

    def __init__(self, directory: Directory, scope: Scope) -> None:
        self._directory = directory
        self._scope = scope

    async def __call__(self, query: Any, /, **arguments: Any) -> Any:
        """Run the query and return what it returns; raise what it raises."""
        bound = self._directory.find(query)
        outer = self._scope.call
        if bound.signature.answer[0] == "stream":
            raise TypeError(f"{bound.name} answers with a stream, which has no end to wait for: ask a page of it")
        if outer.depth >= MAX_DEPTH:
            raise RecursionError(f"{bound.name}: modules ask one another more than {MAX_DEPTH} deep")
        call = Call(
            operation=bound,
            protocol="ask",
            method=outer.method,
            target=outer.target,
            peer=outer.peer,
            request_id=outer.request_id,
            traceparent=outer.traceparent,
            principal=outer.principal,
            deadline=outer.deadline,
            inputs=_complete(bound, arguments),
            depth=outer.depth + 1,
        )
        if bound.authorise is not None:
            bound.authorise(call)
        await bound.invoke(call)
        return plain(call.result)


def _complete(bound: BoundOperation, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with the defaults of those left out. Raises ``TypeError`` as a call in Python would."""
    taken = [p for p in bound.signature.parameters if p.source is not Source.DEPENDENCY]
    unknown = set(arguments) - {p.name for p in taken}
    if unknown:
        raise TypeError(f"{bound.name} takes no {', '.join(sorted(unknown))}")
    complete = dict(arguments)
    for parameter in taken:
        if parameter.name in complete:
            continue
        if parameter.source is Source.FIND:
            complete[parameter.name] = Find()
        elif parameter.required:
            raise TypeError(f"{bound.name} needs {parameter.name}")
        else:
            complete[parameter.name] = parameter.default
    return complete
