"""Problems of a service whose names on the wire are in camelCase: faults point to members as the caller wrote them.

Validation tells its faults in the caller's names already. What a repository or a use case finds later, it finds in the
rows, which have the names of the declaration.
"""

from __future__ import annotations

import re

from mainstay.kernel.bound import Invoke
from mainstay.kernel.call import Call, Reply
from mainstay.model.naming import camel_case
from mainstay.model.problem import Fault, Problem


def in_camel_case(invoke: Invoke) -> Invoke:
    """Return an invocation whose problems name fields in camelCase."""

    async def invoke_in_camel_case(call: Call) -> Reply:
        try:
            return await invoke(call)
        except Problem as problem:
            rename(problem)
            raise

    return invoke_in_camel_case


def rename(problem: Problem) -> None:
    """Write the pointers of a problem's faults, and the field that it names, in camelCase."""
    problem.faults = tuple(_renamed(fault) for fault in problem.faults)
    field = problem.members.get("field")
    if isinstance(field, str):
        problem.members["field"] = camel_case(field)
        problem.detail = re.sub(rf"\b{re.escape(field)}\b", camel_case(field), problem.detail)


def _renamed(fault: Fault) -> Fault:
    if fault.pointer is None:
        return fault
    pointer = "/".join(map(camel_case, fault.pointer.split("/")))
    return Fault(fault.code, fault.detail, pointer, fault.parameter)
