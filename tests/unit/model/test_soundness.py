"""A quick verdict of "sound" is certain: whatever the value, the full check then finds no fault."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Entity, field
from mainstay.model.checking import check_value
from mainstay.model.fields import FieldSpec
from mainstay.model.problem import Fault
from mainstay.model.schema import Attribute, attribute_of, shape_of
from mainstay.model.soundness import verdict_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Thing(Entity):
    plain: str
    bounded: str = field(min_length=2, max_length=5)
    coded: str = field(pattern=r"[A-Z]{2}[0-9]*")
    count: int = field(ge=-3, lt=10)
    above: int = field(gt=0, le=4)
    price: Decimal = field(ge=0, digits=6, places=2)
    ratio: float = field(ge=0)
    on: bool
    colour: Colour
    when: datetime
    other: UUID
    note: str | None = field(max_length=3, default=None)
    many: list[int] = field(default_factory=list)


ATTRIBUTES = [a for a in shape_of(Thing).attributes if a.name in Thing.__annotations__]
BY_NAME = {a.name: a for a in ATTRIBUTES}

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(1 << 70), 1 << 70),
    st.integers(-5, 12),
    st.floats(),
    st.text(max_size=7),
    st.from_regex(r"[A-Z]{2}[0-9]{0,3}\n?", fullmatch=True),
    st.sampled_from(["a\0b", "\ud800", "ab\ud800", "RED", "red", Colour.RED, math.nan, b"xx"]),
    st.decimals(-10, 99999, places=3),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.datetimes(),
    st.datetimes(timezones=st.just(UTC)),
    st.uuids(),
    st.lists(st.integers(), max_size=2),
)


def faults_of(attribute: Attribute, value: Any) -> list[Fault]:
    faults: list[Fault] = []
    check_value(attribute, value, "/x", faults)
    return faults


@pytest.mark.parametrize("attribute", ATTRIBUTES, ids=lambda a: a.name)
@given(value=VALUES)
def test_what_is_sound_has_no_fault(attribute: Attribute, value: Any) -> None:
    if verdict_of(attribute)(value):
        assert faults_of(attribute, value) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("plain", "tea"),
        ("bounded", "tea"),
        ("coded", "AB1"),
        ("count", -3),
        ("count", 9),
        ("above", 1),
        ("price", Decimal("12.50")),
        ("on", True),
        ("colour", Colour.BLUE),
        ("when", datetime(2026, 1, 1, tzinfo=UTC)),
        ("other", UUID(int=1)),
        ("note", None),
        ("note", "abc"),
    ],
)
def test_the_usual_value_is_seen_at_once(name: str, value: Any) -> None:
    assert verdict_of(BY_NAME[name])(value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("count", 10), ("count", True), ("above", 0), ("bounded", "t"), ("coded", "AB1\n"), ("note", "abcd"), ("on", 1)],
)
def test_what_breaks_a_rule_is_never_sound(name: str, value: Any) -> None:
    assert not verdict_of(BY_NAME[name])(value)
    assert faults_of(BY_NAME[name], value)


def test_what_cannot_be_compiled_is_asked_for() -> None:
    broken = attribute_of("code", str, FieldSpec(pattern="("))
    odd = attribute_of("count", int, FieldSpec(ge="a"))
    steps = attribute_of("steps", Annotated[int, msgspec.Meta(multiple_of=5)])
    halves = attribute_of("halves", int, FieldSpec(gt=0.5))
    assert not any(verdict_of(one)(value) for one in (broken, odd, steps, halves) for value in ("a", 5, 10))
