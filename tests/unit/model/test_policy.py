"""Policies: reduced for a principal to true, false or a condition on the row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Policy, Principal, anyone, authenticated, check, owner, role, scope, where
from mainstay.model.conditions import FALSE, TRUE, Compare, holds
from mainstay.model.operation import self_authenticated, signed
from mainstay.model.policy import owner_fields, prepare

ANN = Principal(id=UUID(int=11), subject="ann", roles=frozenset({"support"}), scopes=frozenset({"read", "write"}))
BOB = Principal(id=UUID(int=12), subject="bob", claims={"region": "north", "level": 3})
NOBODY = Principal.anonymous


@pytest.mark.parametrize(
    ("policy", "ann", "bob", "nobody"),
    [
        (anyone, True, True, True),
        (authenticated, True, True, False),
        (role("support", "manager"), True, False, False),
        (role("manager"), False, False, False),
        (scope("read"), True, False, False),
        (scope("read", "admin"), False, False, False),
        (check(lambda who: who.subject == "bob"), False, True, False),
        (authenticated & ~role("support"), False, True, False),
        (role("support") | check(lambda who: who.subject == "bob"), True, True, False),
        (~authenticated, False, False, True),
        (signed("standard-webhooks", secret="hook"), True, True, True),
        (self_authenticated, True, True, True),
    ],
)
def test_what_looks_at_the_call_is_decided_at_once(policy: Policy, ann: bool, bob: bool, nobody: bool) -> None:
    assert [policy.reduce(who) for who in (ANN, BOB, NOBODY)] == [TRUE if x else FALSE for x in (ann, bob, nobody)]
    assert not policy.looks_at_row


def test_the_system_has_every_role_and_scope_and_owns_all() -> None:
    system = Principal.system
    for policy in (role("x"), scope("y"), owner("z"), prepare(where(lambda row, who: row.a == who.claims["b"]))):
        assert policy.reduce(system) is TRUE


def test_an_owner_is_a_condition_and_nobody_owns_nothing() -> None:
    assert owner("owner_id").reduce(BOB) == Compare("owner_id", "eq", BOB.id)
    assert owner("owner_id").reduce(NOBODY) is FALSE
    assert owner("owner_id").looks_at_row


def test_a_policy_that_is_decided_needs_no_row() -> None:
    policy = owner("owner_id") | role("support")
    assert policy.reduce(ANN) is TRUE
    assert policy.reduce(BOB) == Compare("owner_id", "eq", BOB.id)
    assert (role("manager") & owner("owner_id")).reduce(BOB) is FALSE


def row(**fields: Any) -> Any:
    return SimpleNamespace(**fields)


@pytest.mark.parametrize(
    ("predicate", "yes", "no"),
    [
        (lambda r, w: r.region == w.claims["region"], row(region="north"), row(region="south")),
        (lambda r, w: r.region == w.claims.get("region"), row(region="north"), row(region=None)),
        (lambda r, w: r.region != w.claims["region"], row(region="south"), row(region="north")),
        (lambda r, w: r.level <= w.claims["level"], row(level=3), row(level=4)),
        (lambda r, w: r.level < w.claims["level"], row(level=2), row(level=3)),
        (lambda r, w: r.level >= w.claims["level"], row(level=3), row(level=2)),
        (lambda r, w: r.level > w.claims["level"], row(level=4), row(level=3)),
        (lambda r, w: (r.a == 1) & (r.b == 2), row(a=1, b=2), row(a=1, b=3)),
        (lambda r, w: (r.a == 1) | (r.b == 2), row(a=1, b=3), row(a=2, b=3)),
        (lambda r, w: ~(r.a == 1), row(a=None), row(a=1)),
        (lambda r, w: r.a == r.b, row(a=1, b=1), row(a=1, b=2)),
        (lambda r, w: r.open, row(open=True), row(open=False)),
        (lambda r, w: ~r.open, row(open=False), row(open=True)),
        (lambda r, w: r.owner == w.id, row(owner=BOB.id), row(owner=ANN.id)),
        (lambda r, w: r.region.in_("east", w.claims["region"]), row(region="north"), row(region="west")),
        (lambda r, w: r.region.contains("ort"), row(region="north"), row(region="south")),
        (lambda r, w: r.region.starts_with(w.claims["region"]), row(region="northern"), row(region="a north")),
        (lambda r, w: r.a == None, row(a=None), row(a=1)),  # noqa: E711 - the form of a predicate
    ],
)
def test_a_predicate_is_a_condition(predicate: Any, yes: Any, no: Any) -> None:
    policy = prepare(where(predicate))
    assert holds(policy.reduce(BOB), yes)
    assert not holds(policy.reduce(BOB), no)
    assert where(predicate).reduce(BOB) == policy.reduce(BOB)


@pytest.mark.parametrize(
    "predicate",
    [
        lambda r, w: r.region == w.claims["region"],
        lambda r, w: r.region != w.claims["region"],
        lambda r, w: ~(r.region == w.claims["region"]),
        lambda r, w: ~((r.a == 1) & (r.region == w.claims["region"])),
        lambda r, w: ~r.region.in_(w.claims["region"]),
        lambda r, w: ~r.region.contains(w.claims["region"]),
        lambda r, w: r.region.contains(w.claims["region"]),
        lambda r, w: r.region.in_(w.claims["region"]),
        lambda r, w: ~~(r.region == w.claims["region"]),
    ],
)
def test_a_claim_that_the_caller_lacks_opens_nothing_negated_or_not(predicate: Any) -> None:
    policy = prepare(where(predicate))
    for region in ("north", None):
        assert not holds(policy.reduce(ANN), row(region=region, a=1))


@pytest.mark.parametrize("predicate", [lambda _r, _w: True, lambda _r, _w: False])
def test_a_constant_predicate(predicate: Any) -> None:
    assert holds(prepare(where(predicate)).reduce(BOB), row()) is predicate(None, None)


def test_policies_are_combined_with_operators_only() -> None:
    with pytest.raises(TypeError, match="&"):
        bool(anyone)
    with pytest.raises(TypeError, match="no SQL form"):
        prepare(where(lambda r, w: r.a == 1 and r.b == 2 if r.a else None))


def test_policies_say_what_they_are() -> None:
    policy = (owner("a") | role("b", "c")) & ~scope("d") | authenticated & anyone
    assert repr(policy) == "(((owner('a') | role('b', 'c')) & ~scope('d')) | (authenticated & anyone))"
    assert "where(" in repr(where(lambda r, w: r.a == 1))
    assert "check(" in repr(check(lambda who: True))
    assert repr(signed("standard-webhooks", secret="x")) == "signed('standard-webhooks')"
    assert repr(self_authenticated) == "self_authenticated"


def test_owner_fields_are_those_without_negation() -> None:
    policy = prepare((owner("a") | role("x")) & owner("b") & ~owner("c") & where(lambda r, w: r.d == 1))
    assert list(owner_fields(policy)) == ["a", "b"]


@st.composite
def policies(draw: Any, depth: int = 3) -> tuple[Policy, Any]:
    """A policy and the function that it should be, of (roles, owned)."""
    if depth == 0 or draw(st.booleans()):
        name = draw(st.sampled_from(["support", "manager", "owner"]))
        if name == "owner":
            return owner("owner_id"), lambda roles, owned: owned
        return role(name), lambda roles, owned: name in roles
    left, left_is = draw(policies(depth - 1))
    kind = draw(st.sampled_from(["and", "or", "not"]))
    if kind == "not":
        return ~left, lambda roles, owned: not left_is(roles, owned)
    right, right_is = draw(policies(depth - 1))
    if kind == "and":
        return left & right, lambda roles, owned: left_is(roles, owned) and right_is(roles, owned)
    return left | right, lambda roles, owned: left_is(roles, owned) or right_is(roles, owned)


@given(policies(), st.frozensets(st.sampled_from(["support", "manager"])), st.booleans())
def test_reduction_is_the_boolean_function_that_is_written(
    made: tuple[Policy, Any], roles: frozenset[str], owned: bool
) -> None:
    policy, expected = made
    who = Principal(id=UUID(int=1000), subject="s", roles=roles)
    held = row(owner_id=who.id if owned else UUID(int=1001))
    assert holds(policy.reduce(who), held) is expected(roles, owned)
