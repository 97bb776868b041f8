"""What a use case's code can reach: decides at start-up how its calls may be driven, and what its rows are made of.

All answers err on the safe side: a wrong one costs a little speed, never correctness.
"""

from __future__ import annotations

import dis
import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from types import BuiltinFunctionType, CodeType, FunctionType, GenericAlias, ModuleType, NoneType, UnionType
from typing import Any
from uuid import UUID

import msgspec

_SAFE_MODULES = frozenset({"datetime", "decimal", "math", "re", "uuid", "operator", "itertools", "functools", "enum"})
_SAFE_PACKAGES = frozenset({"mainstay", "msgspec", "builtins"})
_SAFE_VALUES = (
    *(NoneType, bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset, range),
    *(Decimal, UUID, date, time, timedelta, tzinfo, Enum, re.Pattern, msgspec.Struct, GenericAlias, UnionType),
    *(BuiltinFunctionType,),
)
_SINGLE_READS = frozenset({"get", "one", "page"})  # a page with a count or relations says so itself, before it reads
_MANY_READS = frozenset(
    {"stream", "count", "add", "update", "delete", "group", "sum", "fetch", "rank", "top", "around"}
)
_LOOPS = frozenset(
    {"FOR_ITER", "JUMP_BACKWARD", "POP_JUMP_BACKWARD_IF_TRUE", "POP_JUMP_BACKWARD_IF_FALSE", "GET_AITER"}
)
_SEES_ALL = frozenset({"locals", "vars", "eval", "exec"})
_BEGINS = frozenset({"RETURN_GENERATOR", "POP_TOP", "RESUME", "COPY_FREE_VARS", "NOP"})
_CALLS = frozenset({"PUSH_NULL", "PRECALL", "KW_NAMES", "CALL", "CALL_KW"})
"""What calls are made of, beside what loads values: nothing of it keeps a value, or joins two."""
_WAITS = frozenset(
    {"LOAD_CONST", "SEND", "YIELD_VALUE", "RESUME", "JUMP_BACKWARD_NO_INTERRUPT", "CLEANUP_THROW", "END_SEND", "NOP"}
)


def reaches_loop(function: Callable[..., Any]) -> bool:
    """Whether a coroutine function might use the event loop itself (time-outs, tasks), and so needs a Task.

    It cannot where every global name that its code uses is a plain value, a class without coroutines, a module of a few
    pure ones, or a plain function of which the same is true.
    """
    return not inspect.iscoroutinefunction(function) or _function_reaches(function, set())


def _function_reaches(function: Any, seen: set[CodeType]) -> bool:
    code: CodeType = function.__code__
    if code in seen:
        return False
    seen.add(code)
    scope = {**function.__globals__, **_closure(function)}
    return any(_reaches(scope[name], seen) for name in _names(code) if name in scope)


def _reaches(value: Any, seen: set[CodeType]) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__ not in _SAFE_MODULES
    if inspect.iscoroutinefunction(value) or inspect.isasyncgenfunction(value):
        return True
    if isinstance(value, FunctionType):
        return not _is_known(value) and _function_reaches(value, seen)
    if isinstance(value, type):
        return not _is_known(value) and _class_reaches(value, seen)
    return not isinstance(value, _SAFE_VALUES)


def _is_known(value: Any) -> bool:
    """Whether a function or class is ours, or of a module that is known."""
    return value.__module__ in _SAFE_MODULES or value.__module__.partition(".")[0] in _SAFE_PACKAGES


def _class_reaches(value: type, seen: set[CodeType]) -> bool:
    own = [base for base in value.__mro__ if not _is_known(base)]
    held = [inspect.unwrap(getattr(member, "__func__", member)) for base in own for member in vars(base).values()]
    methods = [member.fget if isinstance(member, property) else member for member in held]
    return any(_reaches(member, seen) for member in methods if isinstance(member, FunctionType))


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
    """Whether a query makes one statement at most: one await, in no loop, of a ``get``, ``one`` or ``page`` by itself.

    What a caller asks of a page is known in the call only: the unit of work is told there.
    """
    code = getattr(function, "__code__", None)
    if code is None or any(isinstance(c, CodeType) for c in code.co_consts):
        return False
    names = {*code.co_names, *code.co_varnames, *_keywords(code)}
    if names & _MANY_READS or "include" in names:
        return False
    instructions = list(dis.get_instructions(code))
    operations = [i.opname for i in instructions]
    reads = sum(i.argval in _SINGLE_READS for i in instructions if isinstance(i.argval, str))
    return reads == 1 and operations.count("GET_AWAITABLE") == 1 and not _LOOPS.intersection(operations)


def hands_out(function: Callable[..., Any]) -> str | None:
    """Return the parameter of which a use case returns the page that it asks for, and does nothing else with either.

    Then nobody sees the rows before the answer is written: ``return await orders.page(find)``. What is loaded first
    lies below all else, so that nothing is called with it, and what is awaited and returned is its page.
    """
    code: CodeType | None = getattr(function, "__code__", None)
    if code is None or _SEES_ALL.intersection(code.co_names):
        return None
    whole = list(dis.get_instructions(code))
    begun = itertools.dropwhile(lambda i: i.opname in _BEGINS, whole)
    name, *steps = ((i.opname, i.argval) for i in itertools.takewhile(lambda i: i.opname != "RETURN_VALUE", begun))
    operations = [operation for operation, _ in steps]
    asking = list(itertools.takewhile(lambda operation: operation != "GET_AWAITABLE", operations))
    plain = (
        name[0] in ("LOAD_FAST", "LOAD_FAST_BORROW")
        and steps[:1] in ([("LOAD_METHOD", "page")], [("LOAD_ATTR", "page")])
        and all(each in _CALLS or each.startswith("LOAD_") for each in asking)
        and operations[len(asking) :][:1] == ["GET_AWAITABLE"]
        and _WAITS.issuperset(operations[len(asking) + 1 :])
        and [name[1] for i in whole for each in _operands(i) if each == name[1]] == [name[1]]
    )
    return name[1] if plain else None


def _operands(instruction: dis.Instruction) -> tuple[Any, ...]:
    """Return what an instruction is about: some load two values at once."""
    return instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)


def _keywords(code: CodeType) -> Iterator[str]:
    """Walk the names that calls in the code give their arguments by: Python keeps them among the constants."""
    for constant in code.co_consts:
        if isinstance(constant, tuple):
            yield from (name for name in constant if isinstance(name, str))
