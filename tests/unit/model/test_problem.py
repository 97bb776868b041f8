"""Problems: a code, a kind, a hint; facts for programs; and no clash with what every problem has."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Conflict, Fault, NotFound, Problem, TooMany
from mainstay.model import problem as tree
from mainstay.model.problem import Internal, Kind, NotCommitted, SerializationConflict, Unavailable, snake_case


class OutOfStock(Conflict):
    """Fewer pieces are left than were asked for.

    And more that is for who reads the code.
    """


class Renamed(Conflict, code="other_name", hint="Ask again."):
    pass


class Teapot(Problem, kind=Kind.GONE): ...


def test_a_problem_is_told_by_its_class() -> None:
    assert (OutOfStock.code, OutOfStock.kind) == ("out_of_stock", Kind.CONFLICT)
    assert OutOfStock.title == "Fewer pieces are left than were asked for"
    assert (Renamed.code, Renamed.title, Renamed.hint) == ("other_name", "Other name", "Ask again.")
    assert (Teapot.kind, Teapot.code) == (Kind.GONE, "teapot")


def test_the_detail_is_the_title_unless_it_is_given() -> None:
    assert (OutOfStock().detail, str(OutOfStock("2 left"))) == (OutOfStock.title, "2 left")
    assert OutOfStock("2 left", left=2).members == {"left": 2}


def test_a_hint_is_inherited_and_a_code_is_not() -> None:
    assert SerializationConflict.hint == NotCommitted.hint is not None
    assert SerializationConflict.code == "serialization_conflict"
    assert issubclass(SerializationConflict, Unavailable)


@pytest.mark.parametrize("name", ["type", "title", "status", "instance", "code", "hint", "detail"])
def test_a_member_may_not_stand_for_what_every_problem_has(name: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}'"):
        OutOfStock(**{name: 1})


def test_problems_travel_between_processes() -> None:
    sent = OutOfStock("2 left", faults=[Fault("a", "b", pointer="/c")], headers={"x": "y"}, retry_after=1.5, left=2)
    for got in (pickle.loads(pickle.dumps(sent)), copy.deepcopy(sent)):
        assert type(got) is OutOfStock
        assert vars(got) == vars(sent)
        assert str(got) == "2 left"


def test_every_problem_has_a_code_of_its_own() -> None:
    classes = [c for _, c in inspect.getmembers(tree, inspect.isclass) if issubclass(c, Problem)]
    codes = [c.code for c in classes]
    assert len(codes) == len(set(codes)) > 20
    assert all(c.title and c.kind for c in classes)
    assert (TooMany.code, Internal.code, NotFound.code) == ("rate_limited", "internal_error", "not_found")


@pytest.mark.parametrize(
    ("name", "snake"),
    [("OutOfStock", "out_of_stock"), ("HTTPError", "http_error"), ("A", "a"), ("Order2", "order2")],
)
def test_names_in_snake_case(name: str, snake: str) -> None:
    assert snake_case(name) == snake


@given(st.from_regex(r"[A-Z][A-Za-z0-9]{0,20}", fullmatch=True))
def test_a_name_in_snake_case_stays_as_it_is(name: str) -> None:
    once: Any = snake_case(name)
    assert once == once.lower() == snake_case(once)
    assert once.replace("_", "") == name.lower()
