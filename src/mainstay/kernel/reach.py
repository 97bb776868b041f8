"""What a use case's code can reach: decides at start-up how its calls may be driven.

Both answers err on the safe side: a wrong "no" costs a little speed, never correctness.
"""

from __future__ import annotations

import dis
import inspect
from collections.abc import Callable, Iterator
from types import CodeType, ModuleType
from typing import Any

_SAFE_MODULES = frozenset({"datetime", "decimal", "math", "re", "uuid", "operator", "itertools", "functools", "enum"})
_SINGLE_READS = frozenset({"get", "one"})
_MANY_READS = frozenset({"page", "stream", "count", "add", "update", "delete", "group", "sum", "fetch"})


def reaches_loop(function: Callable[..., Any]) -> bool:
    """Whether a coroutine function might use the event loop itself (time-outs, tasks), and so needs a Task.

    It cannot where no global name that its code uses is a module beyond a few pure ones, or a coroutine function.
    """
    code = getattr(function, "__code__", None)
    if code is None or not inspect.iscoroutinefunction(function):
        return True
    scope = {**_closure(function), **getattr(function, "__globals__", {})}
    for name in _names(code):
        value = scope.get(name)
        if isinstance(value, ModuleType) and value.__name__ not in _SAFE_MODULES:
            return True
        if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
            return True
    return False


def _closure(function: Callable[..., Any]) -> dict[str, Any]:
    found = inspect.getclosurevars(function) if getattr(function, "__closure__", None) else None
    return dict(found.nonlocals) if found is not None else {}


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def reads_once(function: Callable[..., Any]) -> bool:
    """Whether a query makes one statement at most: one await, in no loop, of ``get`` or ``one`` without relations."""
    code = getattr(function, "__code__", None)
    if code is None or any(isinstance(c, CodeType) for c in code.co_consts):
        return False
    names = set(code.co_names)
    if not names & _SINGLE_READS or names & _MANY_READS or "include" in (names | set(code.co_varnames)):
        return False
    operations = [i.opname for i in dis.get_instructions(code)]
    loops = {"FOR_ITER", "JUMP_BACKWARD", "POP_JUMP_BACKWARD_IF_TRUE", "POP_JUMP_BACKWARD_IF_FALSE", "GET_AITER"}
    return operations.count("GET_AWAITABLE") == 1 and not loops.intersection(operations)
