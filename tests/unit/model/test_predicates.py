"""Predicates: what stands in one has an SQL form, or is refused; a claim is compared as what the field holds."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

from mainstay import Policy, Principal, in_, where
from mainstay.model.conditions import Among, Condition, all_of, holds
from mainstay.model.policy import CallPolicy, prepare

REGION = {"region": "north"}


class Status(StrEnum):
    OPEN = "open"
    SHUT = "shut"


def who(**claims: Any) -> Principal:
    return Principal(id=UUID(int=7), subject="s", roles=frozenset({"a", "b"}), tenant="t", claims=claims)


def seen(predicate: Any, caller: Principal, types: Any = None, **row: Any) -> bool:
    policy = prepare(where(predicate), types or {})
    return holds(policy.reduce(caller), SimpleNamespace(**row))


@pytest.mark.parametrize(
    "predicate",
    [
        lambda row, who: who.tenant == "t",
        lambda row, who: who.tenant != "x",
        lambda row, who: who.tenant < "x",
        lambda row, who: who.tenant <= "x",
        lambda row, who: who.tenant > "a",
        lambda row, who: who.tenant >= "a",
        lambda row, who: "t" == who.tenant,  # noqa: SIM300 - written the other way round
        lambda row, who: (row.a == 1) | (who.tenant == "t"),
        lambda row, who: (who.tenant == "t") & (row.a == 1),
        lambda row, who: who.authenticated and row.a == 1,
        lambda row, who: row.a == 1 or who.is_system,
        lambda row, who: not who.is_system,
        lambda row, who: who.claims["x"] and row.a == 1,
        lambda row, who: who.claims and row.a == 1,
        lambda row, who: who and row.a == 1,
        lambda row, who: "x" in who.claims,
        lambda row, who: "a" in who.roles,
        lambda row, who: row.a in who.roles,
        lambda row, who: row.a in ("x", "y"),
        lambda row, who: who.claims["x"] == who.tenant,
        lambda row, who: row.a == who,
        lambda row, who: row.a == who.claims,
        lambda row, who: row.a == row,
        lambda row, who: row.a == (row.b == 1),
        lambda row, who: who.nothing == row.a,
        lambda row, who: who.claims["x"]["y"] == row.a,
        lambda row, who: len(who.claims) > 1,
        lambda row, who: 1 < row.a < 5,
        lambda row, who: row.a and row.b,
        lambda row, who: None,
        lambda row, who: row,
        lambda row, who: who.tenant,
    ],
)
def test_what_has_no_sql_form_is_refused_and_never_a_constant(predicate: Any) -> None:
    with pytest.raises((TypeError, AttributeError)):
        where(predicate).template()  # type: ignore[attr-defined]  # a Where


@pytest.mark.parametrize(
    ("predicate", "yes", "no"),
    [
        (lambda row, who: who.claims["n"] == row.a, 5, 4),
        (lambda row, who: who.claims["n"] != row.a, 4, 5),
        (lambda row, who: who.claims["n"] < row.a, 6, 5),
        (lambda row, who: who.claims["n"] <= row.a, 5, 4),
        (lambda row, who: who.claims["n"] > row.a, 4, 5),
        (lambda row, who: who.claims["n"] >= row.a, 5, 6),
        (lambda row, who: 3 < row.a, 4, 3),  # noqa: SIM300 - written the other way round
        (lambda row, who: 3 == row.a, 3, 4),  # noqa: SIM300 - written the other way round
        (lambda row, who: row.a.in_(who.claims["list"]), 2, 3),
        (lambda row, who: row.a.in_([1, 2]), 2, 3),
        (lambda row, who: row.a.in_({1, 2}), 2, 3),
        (lambda row, who: row.a.in_(9, who.claims["list"]), 9, 3),
        (lambda row, who: row.a == who.claims["one"], 4, 5),
        (lambda row, who: ~(row.a > row.b), 1, 9),
    ],
)
def test_the_callers_values_on_either_side(predicate: Any, yes: Any, no: Any) -> None:
    caller = who(n=5, list=[1, 2], one=[4])
    assert seen(predicate, caller, a=yes, b=5)
    assert not seen(predicate, caller, a=no, b=5)


def test_roles_may_be_those_of_the_row() -> None:
    assert seen(lambda row, who: row.group.in_(who.roles), who(), group="a")
    assert not seen(lambda row, who: row.group.in_(who.roles), who(), group="c")


NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("type_", "claim", "held"),
    [
        (UUID, str(UUID(int=9)), UUID(int=9)),
        (datetime, "2026-01-01T12:00:00Z", NOON),
        (Status, "open", Status.OPEN),
        (Decimal, "1.50", Decimal("1.5")),
        (int, 5, 5),
        (str, "x", "x"),
    ],
)
def test_a_claim_is_compared_as_what_the_field_holds(type_: Any, claim: Any, held: Any) -> None:
    for predicate in (
        lambda row, who: row.a == who.claims["x"],
        lambda row, who: row.a.in_(who.claims["x"]),
        lambda row, who: (row.a == who.claims["x"]) & (row.a == row.a),
        lambda row, who: ~(row.a != who.claims["x"]) | (row.a == None),  # noqa: E711 - the form of a predicate
    ):
        assert seen(predicate, who(x=claim), {"a": type_}, a=held)
    assert not seen(lambda row, who: row.a != who.claims["x"], who(x=claim), {"a": type_}, a=held)


@pytest.mark.parametrize("claim", ["no uuid", 5, None, {"a": 1}, [], ["no uuid"], [str(UUID(int=1)), str(UUID(int=2))]])
@pytest.mark.parametrize(
    "predicate",
    [
        lambda row, who: row.a == who.claims["x"],
        lambda row, who: row.a != who.claims["x"],
        lambda row, who: ~(row.a == who.claims["x"]),
        lambda row, who: ~((row.a != None) & ~(row.a == who.claims["x"])),  # noqa: E711 - the form of a predicate
    ],
)
def test_a_claim_that_does_not_fit_opens_nothing(predicate: Any, claim: Any) -> None:
    assert not seen(predicate, who(x=claim), {"a": UUID}, a=UUID(int=9))


@pytest.mark.parametrize("claim", [5, None, ["a", "b"], {"a": 1}])
def test_a_text_that_is_none_is_contained_in_nothing(claim: Any) -> None:
    assert not seen(lambda row, who: row.a.contains(who.claims["x"]), who(x=claim), a="abc")
    assert not seen(lambda row, who: ~row.a.contains(who.claims["x"]), who(x=claim), a="abc")


def test_members_are_given_one_by_one_or_as_one_collection() -> None:
    for given in (in_(1, 2), in_([1, 2]), in_((1, 2)), in_(frozenset({1, 2}))):
        assert holds(all_of(a=given), SimpleNamespace(a=2))
    made = all_of(a=in_([]))
    assert made == Among("a", ())
    assert not holds(made, SimpleNamespace(a=1))


@pytest.mark.parametrize("method", ["reduce", "allows"])
def test_a_policy_of_a_team_says_what_it_does(method: str) -> None:
    class Own(CallPolicy, frozen=True):
        pass

    class Root(Policy, frozen=True):
        pass

    policy: Any = Root() if method == "reduce" else Own()
    with pytest.raises(TypeError, match="does not say"):
        getattr(policy, method)(who())


def test_the_symbols_have_no_hash() -> None:
    def keyed(row: Any, who: Any) -> Any:
        return {who.tenant: 1}

    def keyed_by_field(row: Any, who: Any) -> Any:
        return {row.a: 1}

    for predicate in (keyed, keyed_by_field):
        with pytest.raises(TypeError, match="unhashable"):
            where(predicate).template()  # type: ignore[attr-defined]  # a Where
    assert issubclass(Among, Condition)
