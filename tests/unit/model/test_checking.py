"""Checks of values against their fields: one fault for each broken rule, none repeating the value."""

from __future__ import annotations

import decimal
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay.model.checking import check_value, decimal_fault, expected, pointer_step
from mainstay.model.fields import FieldSpec
from mainstay.model.problem import Fault
from mainstay.model.schema import Attribute, attribute_of
from mainstay.model.structs import Dto
from mainstay.model.values import INT_MAX, INT_MIN, Email, Secret


class Colour(StrEnum):
    RED = "red"


class Odd(Enum):
    ONE = 1
    TWO = 2


class Big(Enum):
    """More members than are told."""

    _ignore_ = ("n",)
    for n in range(60):
        locals()[f"M{n}"] = n


class Part(Dto):
    n: int


def faults_of(type_: Any, value: Any, **spec: Any) -> list[tuple[str, str]]:
    faults: list[Fault] = []
    check_value(attribute_of("f", type_, FieldSpec(**spec)), value, "/f", faults)
    assert "424242" not in msgspec.json.encode(faults).decode()
    return [(fault.code, fault.pointer or "") for fault in faults]


@pytest.mark.parametrize(
    ("type_", "value", "spec", "code"),
    [
        (int, None, {}, "null"),
        (int | None, None, {}, None),
        (Any, None, {}, None),
        (int, 5, {"ge": 5, "le": 5}, None),
        (int, 424242, {"le": 5}, "too_large"),
        (int, 4, {"ge": 5}, "too_small"),
        (int, 5, {"gt": 5}, "too_small"),
        (int, 5, {"lt": 5}, "too_large"),
        (int, INT_MAX + 1, {}, "too_large"),
        (int, INT_MIN - 1, {}, "too_small"),
        (int, True, {}, "type"),
        (int, "5", {}, "type"),
        (int, 5.0, {}, "type"),
        (Annotated[int, msgspec.Meta(ge=6)], 5, {}, "too_small"),
        (Annotated[int, msgspec.Meta(gt=5)], 5, {}, "too_small"),
        (Annotated[int, msgspec.Meta(le=4)], 5, {}, "too_large"),
        (Annotated[int, msgspec.Meta(lt=5)], 5, {}, "too_large"),
        (Annotated[int, msgspec.Meta(multiple_of=2)], 5, {}, "multiple_of"),
        (Annotated[int, msgspec.Meta(multiple_of=5)], 5, {}, None),
        (float, 5, {}, None),
        (float, float("nan"), {}, "not_finite"),
        (float, float("-inf"), {}, "not_finite"),
        (float, 1.5, {"le": 1}, "too_large"),
        (bool, True, {}, None),
        (bool, 1, {}, "type"),
        (Decimal, Decimal("1.50"), {"digits": 3, "places": 2}, None),
        (Decimal, Decimal("1.5000"), {"digits": 3, "places": 2}, None),
        (Decimal, Decimal("1.505"), {"digits": 4, "places": 2}, "too_many_places"),
        (Decimal, Decimal(10), {"digits": 3, "places": 2}, "too_many_digits"),
        (Decimal, Decimal("1E+999999"), {}, "too_many_digits"),
        (Decimal, Decimal("0E+999999"), {}, None),
        (Decimal, Decimal("1E-999999"), {}, "too_many_places"),
        (Decimal, Decimal("0E-999999"), {}, None),
        (Decimal, Decimal("NaN"), {}, "not_finite"),
        (Decimal, Decimal("sNaN"), {}, "not_finite"),
        (Decimal, Decimal("Infinity"), {}, "not_finite"),
        (Decimal, Decimal("-0.01"), {"ge": 0, "digits": 3, "places": 2}, "too_small"),
        (Decimal, 1.5, {}, "type"),
        (str, "abc", {"min_length": 3, "max_length": 3, "pattern": "[a-c]+"}, None),
        (str, "ab", {"min_length": 3}, "too_short"),
        (str, "abcd", {"max_length": 3}, "too_long"),
        (str, "abc\n", {"pattern": "[a-c]+"}, "pattern"),
        (str, "٣", {"pattern": r"\d"}, "pattern"),
        (str, "a\x00", {}, "null_character"),
        (str, "a\ud800", {}, "surrogate"),
        (str, "æ😀", {}, None),
        (Email, "a@b.example", {}, None),
        (Email, "a@b", {}, "format"),
        (Email, "a", {}, "too_short"),
        (Annotated[str, msgspec.Meta(pattern="^a\\Z")], "b", {}, "pattern"),
        (bytes, b"abcd", {"max_length": 3}, "too_long"),
        (datetime, datetime.fromisoformat("2026-01-01T00:00:00"), {}, "zone"),
        (datetime, datetime(2026, 1, 1, tzinfo=UTC), {}, None),
        (Colour, Colour.RED, {}, None),
        (Colour, "red", {}, "type"),
        (Part, Part(n=1), {}, None),
        (Part, {"n": 1}, {}, "type"),
        (list[int], [1, 2], {"max_length": 1}, "too_long"),
        (dict[str, int], {}, {"min_length": 1}, "too_short"),
        (Secret[str], Secret("abc"), {"max_length": 2}, "too_long"),
        (Secret[str], Secret(5), {}, "type"),
        (Any, {"a": [1, "x", 1.5, None, True]}, {}, None),
        (Any, {"a": {"b": [{"c": "\x00"}]}}, {}, "null_character"),
        (Any, {"a\x00": 1}, {}, "null_character"),
        (Any, [2**64], {}, "too_large"),
        (Any, float("inf"), {}, "not_finite"),
    ],
)
def test_a_broken_rule_has_its_code(type_: Any, value: Any, spec: dict[str, Any], code: str | None) -> None:
    assert faults_of(type_, value, **spec) == ([] if code is None else [(code, "/f")])


def test_items_are_pointed_at() -> None:
    assert faults_of(list[int], [1, "x", None]) == [("type", "/f/1"), ("null", "/f/2")]
    assert faults_of(dict[str, int], {"a/b": "x", "~": 1, "n\x00": 1}) == [
        ("type", "/f/a~1b"),
        ("null_character", "/f/n\x00"),
    ]
    assert faults_of(dict[int, list[int]], {1: ["x"]}) == [("type", "/f/1/0")]
    assert faults_of(dict[Colour, int], {Colour.RED: None}) == [("null", "/f/red")]
    assert pointer_step("a~/b") == "a~0~1b"


def test_what_is_expected_is_told_in_the_terms_of_json() -> None:
    assert expected(attribute_of("f", int)) == "an integer"
    assert expected(attribute_of("f", Part)) == "an object"
    assert expected(attribute_of("f", Colour)) == 'one of "red"'
    assert expected(attribute_of("f", Odd)) == "one of 1, 2"
    assert expected(attribute_of("f", Big)).endswith("48, 49, ...")


def _digits_by_hand(attribute: Attribute, value: Decimal) -> bool:
    whole, _, part = format(abs(value), "f").partition(".")
    fits = len(whole.lstrip("0")) <= attribute.digits - attribute.places
    return fits and len(part.rstrip("0")) <= attribute.places


@given(st.decimals(allow_nan=False, allow_infinity=False, places=None, min_value=-(10**12), max_value=10**12))
def test_digits_are_counted_as_they_are_written(value: Decimal) -> None:
    attribute = attribute_of("f", Decimal, FieldSpec(digits=8, places=3))
    with decimal.localcontext() as context:
        context.prec = 2  # of no matter
        fault = decimal_fault(attribute, value)
    assert (fault is None) == _digits_by_hand(attribute, value)
