"""Operations called by who runs a service: as the system, by their names, through the whole pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from mainstay.app.assembly import Application
from mainstay.app.refusal import Refusal
from mainstay.kernel.call import Call
from mainstay.kernel.dispatch import dispatch
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem

PROTOCOL = "console"
"""What calls are observed as that an operator made."""


async def operate(
    application: Application,
    name: str,
    *,
    arguments: Mapping[str, str] = MappingProxyType({}),
    query: Sequence[tuple[str, str]] = (),
    body: Mapping[str, Any] | None = None,
) -> Any:
    """Call an operation of a started application and return its answer, None where it gives none.

    ``arguments`` are those of its route. Raises ``Refusal`` with what it was refused for.
    """
    bound = next(one for one in application.bound.operations if one.operation.name == name)
    call = Call(
        operation=bound,
        protocol=PROTOCOL,
        method=bound.operation.method,
        target=bound.operation.path,
        principal=Principal.system,
        request_id=application.ports.ids.token(),
        arguments=arguments,
        query=query,
        body=msgspec.json.encode(body or {}),
    )
    outcome = await dispatch(call)
    if isinstance(outcome, Problem):
        raise Refusal(f"{outcome.code}: {outcome.detail}", *_told(outcome))
    return msgspec.json.decode(outcome.body) if outcome.body else None


def _told(problem: Problem) -> list[str]:
    """Return what is to be mended, a line each."""
    faults = [f"{fault.pointer or fault.parameter or ''}: {fault.detail}" for fault in problem.faults]
    return [*faults, *([problem.hint] if problem.hint else [])]
