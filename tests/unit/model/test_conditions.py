"""Conditions: two-valued, combined with operators, and told apart by their shape."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import all_of, any_of, contains, ge, gt, in_, le, lt, ne, not_, starts_with
from mainstay.model import conditions as c


def row(**fields: Any) -> Any:
    return SimpleNamespace(**{"a": None, "b": None, **fields})


@st.composite
def trees(draw: Any, depth: int = 3) -> tuple[c.Condition, Any]:
    """A condition and the plain function that it should be."""
    if depth == 0 or draw(st.booleans()):
        field = draw(st.sampled_from("ab"))
        op = draw(st.sampled_from([*c.OPERATORS, "in", "null", "not null", "fields"]))
        value = draw(st.integers(0, 3))
        if op == "in":
            return c.Among(field, (value, value + 1)), lambda r: getattr(r, field) in (value, value + 1)
        if op == "null":
            return c.Compare(field, "eq", None), lambda r: getattr(r, field) is None
        if op == "not null":
            return c.Compare(field, "ne", None), lambda r: getattr(r, field) is not None
        if op == "fields":
            return c.CompareFields("a", "lt", "b"), lambda r: None not in (r.a, r.b) and r.a < r.b
        compare = c.OPERATORS[op]
        held = c.Compare(field, op, value)
        return held, lambda r: getattr(r, field) is not None and compare(getattr(r, field), value)
    left, left_is = draw(trees(depth - 1))
    kind = draw(st.sampled_from(["and", "or", "not"]))
    if kind == "not":
        return ~left, lambda r: not left_is(r)
    right, right_is = draw(trees(depth - 1))
    if kind == "and":
        return left & right, lambda r: left_is(r) and right_is(r)
    return left | right, lambda r: left_is(r) or right_is(r)


@given(trees(), st.none() | st.integers(0, 3), st.none() | st.integers(0, 3))
def test_a_condition_is_the_two_valued_function_that_is_written(
    made: tuple[c.Condition, Any], a: int | None, b: int | None
) -> None:
    condition, expected = made
    assert c.holds(condition, row(a=a, b=b)) is expected(row(a=a, b=b))


@given(trees())
def test_a_shape_leaves_the_values_out(made: tuple[c.Condition, Any]) -> None:
    condition, _ = made
    hash(c.key(condition))
    assert c.key(_shifted(condition)) == c.key(condition)
    assert len(list(c.values(_shifted(condition)))) == len(list(c.values(condition)))
    assert {name for name, _ in c.values(condition)} <= set(c.fields(condition))


def _shifted(condition: c.Condition) -> c.Condition:
    """The same condition with other values."""
    match condition:
        case c.Compare(field, op, value) if value is not None:
            return c.Compare(field, op, value + 7)
        case c.Among(field, members):
            return c.Among(field, tuple(m + 7 for m in members))
        case c.Not(of):
            return c.Not(_shifted(of))
        case c.AllOf(parts):
            return c.AllOf(tuple(map(_shifted, parts)))
        case c.AnyOf(parts):
            return c.AnyOf(tuple(map(_shifted, parts)))
    return condition


@pytest.mark.parametrize(
    ("term", "yes", "no"),
    [
        (5, 5, 6),
        (None, None, 0),
        (ge(5), 5, 4),
        (gt(5), 6, 5),
        (le(5), 5, 6),
        (lt(5), 4, 5),
        (ne(5), 4, 5),
        (ne(5), 4, None),
        (c.eq(5), 5, None),
        (in_(1, 2), 2, 3),
        (contains("b%"), "ab%c", "abc"),
        (contains("b"), "abc", "ABC"),
        (contains("b"), "abc", None),
        (starts_with("a"), "abc", "bac"),
        (not_(5), None, 5),
        (not_(ge(5)), None, 5),
        (ge(1) & le(3), 2, 4),
        (lt(1) | gt(3), 4, 2),
        (~in_(1, 2), 3, 1),
    ],
)
def test_terms_are_named_by_their_keyword(term: Any, yes: Any, no: Any) -> None:
    condition = all_of(a=term)
    assert c.holds(condition, row(a=yes))
    assert not c.holds(condition, row(a=no))


def test_alternatives() -> None:
    either = any_of(a=1, b=2)
    assert [c.holds(either, r) for r in (row(a=1), row(b=2), row(a=2, b=1))] == [True, True, False]
    groups = any_of({"a": 1, "b": 2}, c.Compare("a", "eq", 3))
    assert [c.holds(groups, r) for r in (row(a=1, b=2), row(a=1, b=3), row(a=3))] == [True, False, True]
    assert any_of() is c.FALSE
    assert all_of() is c.TRUE


def test_what_is_decided_falls_away() -> None:
    one = c.Compare("a", "eq", 1)
    assert (one & c.TRUE, c.TRUE & one, one | c.FALSE, c.FALSE | one) == (one, one, one, one)
    assert (one & c.FALSE, c.FALSE & one) == (c.FALSE, c.FALSE)
    assert (one | c.TRUE, c.TRUE | one) == (c.TRUE, c.TRUE)
    assert ~c.TRUE == c.FALSE
    assert ~~one == one
    assert (one & one & one).parts == (one, one, one)  # type: ignore[attr-defined]  # an All
    assert c.key(c.TRUE) is True
    assert list(c.fields(c.TRUE)) == list(c.values(c.TRUE)) == []


def test_a_condition_has_no_truth_value() -> None:
    with pytest.raises(TypeError, match="&"):
        bool(c.TRUE)


@pytest.mark.parametrize("function", [c.key, lambda x: c.holds(x, row())])
def test_what_is_no_condition_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match="no condition"):
        function(c.Condition())


def test_shapes_of_texts_and_members() -> None:
    made = c.Contains("a", "x") & c.Among("b", (1, 2)) & c.Contains("a", "y", "start")
    assert c.key(made) == ("and", ("has", "a", "any"), ("in", "b", 2), ("has", "a", "start"))
    assert list(c.values(made)) == [("a", "x"), ("b", 1), ("b", 2), ("a", "y")]
    assert list(c.fields(made)) == ["a", "b", "a"]
    assert c.key(c.Among("b", (1,))) != c.key(c.Among("b", (1, 2)))
    assert c.key(c.Compare("a", "eq", None)) != c.key(c.Compare("a", "eq", 1))
