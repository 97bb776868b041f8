"""The fast way and the slow way of reading a body agree: one accepts what the other finds no fault in."""

from __future__ import annotations

import json
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mainstay.kernel.validate.bodies import dto_form, patch_form
from mainstay.kernel.validate.collect import Collector
from mainstay.kernel.validate.limits import InputLimits
from mainstay.kernel.validate.reader import bind_reader
from mainstay.kernel.validate.wire import Wires
from mainstay.model.fields import field
from mainstay.model.policy import prepare, role
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Problem
from mainstay.model.schema import Shapes
from mainstay.model.structs import Dto
from mainstay.model.values import Email, Secret, Url

WHO = Principal(id=UUID(int=7))


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Mixed(Enum):
    ONE = "one"
    TWO = "two"


class Part(Dto):
    n: int = field(ge=0, le=9)
    t: str = field(default="x", max_length=3)


class Whole(Dto):
    s: str = field(min_length=1, max_length=5)
    p: str = field(default="A", pattern="[A-Z]+")
    i: int = field(default=0, ge=-5, lt=10)
    f: float = field(default=0.5, gt=0, le=2)
    d: Decimal = field(default=Decimal(1), ge=0, le=100, digits=5, places=2)
    e: Decimal = field(default=Decimal(1), gt=0)
    b: bool = False
    u: UUID | None = None
    at: datetime | None = None
    on: date | None = None
    when: time | None = None
    c: Colour = Colour.RED
    level: Level = Level.LOW
    mixed: Mixed = Mixed.ONE
    raw: bytes = field(default=b"", max_length=4)
    mail: Email | None = None
    url: Url | None = None
    secret: Secret[str] | None = field(default=None, min_length=2)
    part: Part | None = None
    parts: list[Part] = field(default_factory=list, max_length=2)
    numbers: dict[str, int] = field(default_factory=dict, max_length=2)
    by_kind: dict[Colour, Part] = field(default_factory=dict)
    prices: list[Decimal] = field(default_factory=list)
    tags: set[str] = field(default_factory=set, max_length=2)
    row: tuple[int, ...] = field(default=(), max_length=3)
    anything: Any = None
    bare: list = field(default_factory=list)  # type: ignore[type-arg]  # a list of anything
    table: dict = field(default_factory=dict)  # type: ignore[type-arg]  # a map of anything
    guarded: int = field(default=0, write=role("boss"))
    nest: Whole | None = None


class Loose(Dto, unknown="ignore"):
    a: int
    b: dict[str, Any] = field(default_factory=dict)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-20, 20),
    st.sampled_from([2**63 - 1, 2**63, -(2**63) - 1, 10**40, 1.5, -0.0, 0.001, 1e300, 12345.678]),
    st.sampled_from(
        ["", "a", "A", "AB", "abcdef", "red", "one", "NaN", "1.50", "1.555", "-1", "1e9", "Infinity", "1_0"]
    ),
    st.sampled_from(
        [
            "00000000-0000-0000-0000-000000000001",
            "2026-01-31T09:30:00Z",
            "2026-01-31T09:30:00",
            "2026-01-31",
            "09:30:00",
            "aGVq",
            "!!",
            "a@b.example",
            "https://a.example/x:y",
            "a\x00b",
            "x:y",
            "æ😀",
        ]
    ),
    st.text(max_size=4),
)
ANY_JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
)
PARTS = st.fixed_dictionaries({"n": LEAVES}, optional={"t": LEAVES, "z": LEAVES})
GOOD = {
    "s": st.text(min_size=1, max_size=5),
    "p": st.just("AB"),
    "i": st.integers(-5, 9),
    "f": st.floats(0.1, 2),
    "d": st.decimals(0, 100, places=2).map(str),
    "e": st.sampled_from(["0.5", "1", 3]),
    "b": st.booleans(),
    "u": st.uuids().map(str),
    "at": st.just("2026-01-31T09:30:00+01:00"),
    "on": st.just("2026-01-31"),
    "when": st.just("09:30:00"),
    "c": st.sampled_from(["red", "blue"]),
    "level": st.sampled_from([1, 2]),
    "mixed": st.just("two"),
    "raw": st.just("aGVq"),
    "mail": st.just("a@b.example"),
    "url": st.just("https://a.example/x:y"),
    "secret": st.just("secret"),
    "part": st.fixed_dictionaries({"n": st.integers(0, 9)}),
    "parts": st.lists(st.fixed_dictionaries({"n": st.integers(0, 9)}, optional={"t": st.just("ab")}), max_size=2),
    "numbers": st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
    "by_kind": st.dictionaries(st.sampled_from(["red", "blue"]), st.fixed_dictionaries({"n": st.just(1)})),
    "prices": st.lists(st.just("1.5"), max_size=2),
    "tags": st.lists(st.sampled_from(["a", "b"]), max_size=3),
    "row": st.lists(st.integers(-3, 3), max_size=3),
    "anything": ANY_JSON,
    "bare": st.lists(ANY_JSON, max_size=2),
    "table": st.dictionaries(st.text(max_size=2), ANY_JSON, max_size=2),
    "guarded": st.sampled_from([0, 1]),
}


@st.composite
def bodies(draw: Any, depth: int = 1) -> dict[str, Any]:
    """Bodies that are right but for a few members."""
    names = draw(st.sets(st.sampled_from(sorted(GOOD)), max_size=6)) | {"s"}
    body = {name: draw(GOOD[name]) for name in sorted(names)}
    for name in sorted(draw(st.sets(st.sampled_from([*GOOD, "zzz"]), max_size=2))):
        body[name] = draw(st.one_of(ANY_JSON, PARTS, st.lists(PARTS, max_size=3)))
    if draw(st.integers(0, 9)) == 0:
        body.pop("s", None)
    if depth and draw(st.integers(0, 3)) == 0:
        body["nest"] = draw(bodies(depth=depth - 1))
    return body


class Both:
    """Both ways of reading one struct."""

    def __init__(self, struct: Any, finish: Any = None) -> None:
        shapes = Shapes()
        limits = InputLimits()
        self.struct = struct
        self.read = bind_reader(struct, shapes, prepare=prepare, limits=limits, finish=finish, fixed=True)
        self.collector = Collector(shapes, limits, prepare, fixed=True)
        self.collector.of(struct)

    def refused(self, text: bytes) -> list[Fault] | None:
        try:
            self.read(text, WHO)
        except Problem as problem:
            return list(problem.faults)
        return None

    def check(self, body: Any) -> None:
        text = json.dumps(body, ensure_ascii=False).encode()
        faults = self.collector.faults(self.struct, text, WHO)
        assert self.refused(text) == (faults or None)
        assert [fault for fault in faults if fault.code == "invalid"] == []


WHOLE = Both(Whole)
LOOSE = Both(Loose)
CAMEL = dto_form(Whole, Wires(Shapes(), "camel"))
MIRROR = Both(CAMEL.struct, CAMEL.finish)
PATCH = patch_form(Shapes().of(Whole), ("i",), Wires(Shapes(), "snake"))
PARTIAL = Both(PATCH.struct, PATCH.finish)


@given(bodies())
@settings(max_examples=500)
def test_a_body_is_accepted_exactly_where_no_fault_is_found(body: dict[str, Any]) -> None:
    WHOLE.check(body)


@given(bodies())
@settings(max_examples=300)
def test_the_same_holds_of_a_merge_patch(body: dict[str, Any]) -> None:
    PARTIAL.check(body)


@given(bodies())
@settings(max_examples=200)
def test_the_same_holds_of_camel_case(body: dict[str, Any]) -> None:
    renamed = {"byKind" if name == "by_kind" else name: value for name, value in body.items()}
    MIRROR.check(renamed)


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), ANY_JSON, max_size=3))
@settings(max_examples=200)
def test_the_same_holds_where_unknown_members_are_ignored(body: dict[str, Any]) -> None:
    LOOSE.check(body)


@given(ANY_JSON)
@settings(max_examples=200)
def test_the_same_holds_of_any_json(body: Any) -> None:
    WHOLE.check(body)


@given(bodies())
@settings(max_examples=200)
def test_no_fault_repeats_a_value(body: dict[str, Any]) -> None:
    marked = {**body, "s": "hunter2-hunter2", "u": "hunter2", "c": "hunter2", "i": 424242, "parts": ["hunter2"]}
    told = msgspec.json.encode(WHOLE.collector.faults(Whole, json.dumps(marked).encode(), WHO))
    assert b"hunter2" not in told
    assert b"424242" not in told


@pytest.mark.parametrize("struct", [Whole, Loose, Part])
def test_what_is_encoded_is_accepted_again(struct: Any) -> None:
    value = {Whole: Whole(s="a"), Loose: Loose(a=1, b={"x": [1, {"y": None}]}), Part: Part(n=1)}[struct]
    both = {Whole: WHOLE, Loose: LOOSE, Part: Both(Part)}[struct]
    text = msgspec.json.encode(value)
    assert both.read(text, WHO) == value
