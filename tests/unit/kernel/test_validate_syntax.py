"""Bodies that are no JSON, or that are JSON and still are refused as text: each has its own problem."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bound_input import Desk, places
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Dto, Module, anyone, field
from mainstay.kernel.validate import InputLimits
from mainstay.kernel.validate.syntax import keys_bound, step, too_deep
from mainstay.model.problem import Kind


class Line(Dto):
    n: int
    note: str | None = None


class Order(Dto):
    a: int
    text: str = ""
    lines: list[Line] = field(default_factory=list)
    other: dict[str, Any] = field(default_factory=dict)
    tree: Order | None = None


class Flat(Dto):
    a: int
    b: str
    lines: list[Line] = field(default_factory=list)


class Loose(Dto, unknown="ignore"):
    a: int = 0


class Perhaps(Dto):
    line: Line | None


module = Module("syntax")


@module.command("POST /orders", allow=anyone)
async def order(body: Order) -> None:
    """Take an order."""


@module.command("POST /flat", allow=anyone)
async def flat(body: Flat) -> None:
    """Take a flat order."""


@module.command("POST /loose", allow=anyone)
async def loose(body: Loose) -> None:
    """Take what it knows."""


@module.command("POST /perhaps", allow=anyone)
async def perhaps(body: Perhaps) -> None:
    """Take a line, or null."""


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (None, "body_missing"),
        (b"", "body_missing"),
        (b" \n\t\r", "body_missing"),
        (b"{", "json_syntax"),
        (b'{"a":1', "json_syntax"),
        (b'{"a":1}}', "json_syntax"),
        (b'{"a":1} x', "json_syntax"),
        (b'{"a":NaN}', "json_syntax"),
        (b'{"a":Infinity}', "json_syntax"),
        (b"{'a':1}", "json_syntax"),
        (b'{"a":1,}', "json_syntax"),
        (b'{"a":01}', "json_syntax"),
        (b'{"a":"x"', "json_syntax"),
        (b'{"text":"a\nb"}', "json_syntax"),
        (b'\xef\xbb\xbf{"a":1}', "json_encoding"),
        (b'{"text":"\xff"}', "json_encoding"),
        (b'{"\xff":1}', "json_encoding"),
        (b'{"a":1,"text":"\xed\xa0\x80"}', "json_encoding"),
        ('{"a":1}'.encode("utf-16"), "json_encoding"),
        ('{"a":1}'.encode("utf-16-le"), "json_encoding"),
        (b'{"a":1,"text":"\\ud800"}', "json_encoding"),
        (b'{"a":1,"other":{"\\udc00":1}}', "json_encoding"),
        (b"[" * 100_000, "json_too_deep"),
        (b'{"a":' * 1000, "json_too_deep"),
        (b'{"a":1,"other":{"x":' + b"[" * 63 + b"]" * 63 + b"}}", "json_too_deep"),
        (b'{"a":1,"a":2}', "duplicate_key"),
        (b'{"a":1,"\\u0061":2}', "duplicate_key"),
    ],
)
@pytest.mark.parametrize("name", ["order", "flat", "loose"])
def test_text_that_cannot_be_understood_is_malformed_by_name(desk: Desk, name: str, body: Any, code: str) -> None:
    problem = desk.refusal(name, body)
    assert problem.kind is Kind.MALFORMED
    assert problem.code == code


def test_syntax_is_told_before_types(desk: Desk) -> None:
    assert desk.refusal("order", b'{"a":"x","text":5').code == "json_syntax"
    assert desk.refusal("order", b'{"a":"x","a":5}').code == "duplicate_key"


def test_the_depth_that_is_allowed_is_accepted(desk: Desk) -> None:
    body = b'{"a":1,"other":{"x":' + b"[" * 62 + b"]" * 62 + b"}}"
    assert desk.inputs("order", body)["body"].a == 1
    assert not too_deep(b'"' + b"[" * 200 + b'"', 64)
    assert not too_deep(b"[]" * 200, 64)
    assert too_deep(b"[" * 65, 64)
    assert not too_deep(b'"\\"' + b"[" * 200, 64)
    assert not too_deep(b"[" + b"[]," * 100, 64)
    assert too_deep(b"[]" * 100 + b"{" * 65 + b"}" * 65, 64)
    assert not too_deep(b"[]" * 100 + b"{" * 64 + b"}" * 64, 64)
    assert not too_deep(b"]" * 100 + b"[" * 64 + b"}" * 200, 64)


@given(st.recursive(st.just(0), lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["[", "]"]), inner)))
def test_depth_is_that_of_the_value(value: Any) -> None:
    def depth(of: Any) -> int:
        if isinstance(of, dict):
            return 1 + max(map(depth, of.values()), default=0)
        return 1 + max(map(depth, of), default=0) if isinstance(of, list) else 0

    for limit in (1, 2, 3):
        assert too_deep(json.dumps(value).encode(), limit) == (depth(value) > limit)


def test_a_body_over_the_bound_is_too_large() -> None:
    desk = Desk(module, limits=InputLimits(body=100))
    problem = desk.refusal("order", b'{"a":1,"text":"' + b"x" * 100 + b'"}')
    assert (problem.kind, problem.code, problem.members) == (Kind.TOO_LARGE, "too_large", {"limit": 100})


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        (b'{"a":1,"a":1}', ["/a"]),
        (b'{"a":1,"lines":[{"n":1},{"n":1,"n":2}]}', ["/lines/1/n"]),
        (b'{"a":1,"other":{"x/y":1,"x/y":2,"~":{"k":1,"k":2,"k":3}}}', ["/other/x~1y", "/other/~0/k"]),
        (b'{"a":1,"a":2,"lines":[],"lines":[{"n":1,"n":1}]}', ["/a", "/lines", "/lines/0/n"]),
        (b'{"a":1,"text":"a:b","text":"c:d"}', ["/text"]),
        (b'{"a" : 1 , "a"\t:\n2}', ["/a"]),
    ],
)
def test_each_member_given_twice_is_pointed_at(desk: Desk, body: bytes, pointers: list[str]) -> None:
    problem = desk.refusal("order", body)
    assert places(problem.faults) == [("duplicate_key", pointer) for pointer in pointers]


@pytest.mark.parametrize(
    "body",
    [
        b'{"a":1,"text":":::","lines":[{"n":1,"note":"a:b"},{"n":2}],"other":{"a":{"a":1}}}',
        b'{"a" :1, "text"\n: "\\":\\"", "lines" :[ {"n": 1} ]}',
        b'{"a":1,"text":"","lines":[]}',
        b'{"a":1,"tree":{"a":2,"tree":{"a":3}}}',
        b'{"a":1,"other":{"l":[{"x":1},{"x":2}],"d":{}}}',
    ],
)
def test_a_member_of_the_same_name_elsewhere_is_no_duplicate(desk: Desk, body: bytes) -> None:
    assert desk.inputs("order", body)["body"].a == 1


def test_members_of_what_may_be_null_are_counted(desk: Desk) -> None:
    assert desk.inputs("perhaps", b'{"line":null}')["body"] == Perhaps(line=None)
    assert desk.inputs("perhaps", b'{"line":{"n":1}}')["body"] == Perhaps(line=Line(n=1))
    assert desk.refusal("perhaps", b'{"line":{"n":1,"n":1}}').code == "duplicate_key"
    assert desk.refusal("perhaps", b'{"line":null,"line":null}').code == "duplicate_key"


@given(st.lists(st.sampled_from(["a", "b", "c", "lines"]), max_size=5))
def test_a_body_is_refused_exactly_where_a_name_is_given_twice(names: list[str]) -> None:
    desk = DESK
    body = "{" + ",".join(f'"{name}":1' for name in names) + "}"
    problem = desk.refusal("flat", body.encode()) if names != ["a"] else desk.refusal("flat", b"{}")
    assert (problem.code == "duplicate_key") == (len(set(names)) < len(names))


DESK = Desk(module)


def test_counts_never_miss_a_key() -> None:
    assert keys_bound(b'{"a":1,"b" :2,"c"\n:3,"d"\t:4,"e"\r:5,"f" \n :6}') >= 6


def test_a_long_name_is_cut_in_a_pointer() -> None:
    assert step("x" * 100) == "/" + "x" * 64 + "…"


def test_bounds_are_kept_with_many_faults(desk: Desk) -> None:
    members = ",".join(f'"k{n}":1' for n in range(1000))
    assert len(desk.refusal("flat", f"{{{members}}}".encode()).faults) == 100
    twice = ",".join(f'"k{n}":1,"k{n}":2' for n in range(1000))
    assert len(desk.refusal("order", f'{{"a":1,"other":{{{twice}}}}}'.encode()).faults) == 100


def test_a_large_body_with_a_fault_at_its_end_is_looked_at_within_bounds() -> None:
    small = Desk(module, limits=InputLimits(visits=50))
    body = b'{"a":1,"b":"x","lines":[' + b'{"n":1},' * 1000 + b'{"n":"x"}]}'
    assert [code for code, _ in small.faults("flat", body)] == ["invalid"]
    assert [code for code, _ in small.faults("flat", body.replace(b'"a":1', b'"a":"x"'))] == ["type", "invalid"]
    assert small.inputs("flat", body.replace(b'"n":"x"', b'"n":2'))["body"].lines[-1].n == 2


def test_a_large_open_value_is_looked_at_within_bounds(desk: Desk) -> None:
    body = b'{"a":"x","other":{"x":[' + b"1," * 200_000 + b"1e999]}}"
    assert [code for code, _ in desk.faults("order", body)] == ["type", "invalid"]


def test_a_body_of_another_protocol_meets_the_same_rules(desk: Desk) -> None:
    assert desk.inputs("flat", {"a": 1, "b": "x"})["body"] == Flat(a=1, b="x")
    assert desk.faults("flat", {"a": "1"}) == [("type", "/a"), ("missing", "/b")]
    assert desk.refusal("flat", {"a": 1, "b": "\ud800"}).code == "json_encoding"
    assert desk.refusal("flat", {"a": object(), "b": ""}).code == "json_syntax"
