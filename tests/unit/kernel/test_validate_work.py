"""A body made to be slow costs no more than its bytes: the work is counted, not timed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from decimal import Decimal
from types import FrameType
from typing import Any

import pytest

from mainstay import Dto, field, role
from mainstay.kernel.validate import InputLimits
from mainstay.kernel.validate.reader import bind_reader
from mainstay.model.policy import prepare
from mainstay.model.principal import Principal
from mainstay.model.problem import Problem, TooLarge
from mainstay.model.schema import Shapes

SIZE = 64 * 1024
LIMITS = InputLimits(body=SIZE, containers=SIZE // 10)
MOST = 4.5  # calls of functions, Python's and C's, for each byte of a body


class Line(Dto):
    name: str = ""
    number: int


class Node(Dto):
    value: int = 0
    kids: list[Node] = []
    note: str | None = None


class Form(Dto):
    open: Any = None
    extra: dict[str, Any] = {}
    texts: list[str] = []
    lines: list[Line] = []
    prices: list[Decimal] = []
    tags: set[str] = set()
    maps: dict[str, dict[str, int]] = {}
    node: Node | None = None


class Guarded(Dto):
    secret: int = field(default=0, write=role("manager"))
    kids: list[Guarded] = []


def filled(before: str, unit: str, after: str) -> bytes:
    """Return a body of as many units as fit."""
    many = (SIZE - len(before) - len(after)) // (len(unit) + 1)
    return f"{before}{','.join([unit] * many)}{after}".encode()


def counted(before: str, unit: str, after: str) -> bytes:
    """Return a body of as many units as fit, each with a number of its own."""
    many = (SIZE - len(before) - len(after)) // (len(unit % 0xFFFF) + 1)
    return f"{before}{','.join(unit % n for n in range(many))}{after}".encode()


def few(before: str, unit: str, after: str) -> bytes:
    """Return a body with as many objects and arrays as are allowed."""
    each = unit.count("[") + unit.count("{")
    many = min((LIMITS.containers - 60) // each, (SIZE - len(before) - len(after)) // (len(unit) + 1))
    return f"{before}{','.join([unit] * many)}{after}".encode()


DEEP = 40
BODIES = {
    "numbers": filled('{"open":[', "1", "]}"),
    "texts": filled('{"open":[', '""', "]}"),
    "colons": filled('{"open":[', '":"', "]}"),
    "members": counted('{"extra":{', '"%x":1', "}}"),
    "members with colons": counted('{"extra":{', '"%x":":"', "}}"),
    "zeros": filled('{"open":["\\\\u0000",', "1", "]}"),
    "listed texts": filled('{"texts":[', '""', "]}"),
    "decimals": filled('{"prices":[', "1", "]}"),
    "a set": counted('{"tags":[', '"%x"', "]}"),
    "the deepest": f'{{"open":{"[" * DEEP}{",".join("1" * 30_000)}{"]" * DEEP}}}'.encode(),
    "the deepest, refused": f'{{"bad":1,"open":{"[" * DEEP}{",".join("1" * 30_000)}{"]" * DEEP}}}'.encode(),
    "given twice": few('{"open":[', '{"a":1,"a":2}', "]}"),
    "lists": few('{"open":[', "[]", "]}"),
    "objects": few('{"open":[', "{}", "]}"),
    "deep lists": few('{"open":[', "[" * 20 + "]" * 20, "]}"),
    "structs": few('{"lines":[', '{"number":1}', "]}"),
    "structs of defaults": few('{"node":{"kids":[', "{}", "]}}"),
    "structs in structs": few('{"node":{"kids":[', '{"kids":[{"kids":[{}]}]}', "]}}"),
    "maps": few('{"maps":{"a":', "{}", "}}"),
    "not known": counted("{", '"%x":1', "}"),
}


def work(read: Callable[[bytes, Principal], Any], body: bytes) -> tuple[int, Problem | None]:
    """Read a body, and return how many functions were called."""
    calls = 0

    def count(_: FrameType, event: str, __: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        read(body, Principal.anonymous)
    except Problem as problem:
        return calls, problem
    finally:
        sys.setprofile(before)
    return calls, None


def reader(struct: Any) -> Callable[[bytes, Principal], Any]:
    return bind_reader(struct, Shapes(), prepare=prepare, limits=LIMITS, fixed=True)


@pytest.mark.parametrize("name", BODIES)
def test_the_work_of_a_body_is_bounded_by_its_bytes(name: str) -> None:
    body = BODIES[name]
    assert SIZE // 5 < len(body) <= SIZE
    calls, _ = work(reader(Form), body)
    assert calls < MOST * SIZE, calls / SIZE


@pytest.mark.parametrize("unit", ["{}", "[]", "[[]]"])
def test_too_many_objects_and_arrays_are_refused_before_they_are_made(unit: str) -> None:
    body = filled('{"open":[', unit, "]}")
    calls, problem = work(reader(Form), body)
    assert isinstance(problem, TooLarge)
    assert calls < 100
    assert str(LIMITS.containers) in str(problem)


def test_brackets_in_text_are_no_objects() -> None:
    read = reader(Form)
    text = "[{" * (SIZE // 4)
    assert read(f'{{"texts":["{text}"]}}'.encode(), Principal.anonymous).texts == [text]


def test_fields_that_not_everybody_may_set_are_found_below_themselves() -> None:
    read = reader(Guarded)
    assert read(b'{"kids":[{"kids":[{"secret":0}]}]}', Principal.anonymous).kids[0].kids[0].secret == 0
    with pytest.raises(Problem):
        read(b'{"kids":[{"kids":[{"secret":1}]}]}', Principal.anonymous)
