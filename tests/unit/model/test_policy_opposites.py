"""Negation: what a policy says and its opposite are one of each other, and what cannot be decided opens nothing."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mainstay import Entity, Module, Policy, Principal, Service, anyone, authenticated, check, owner, role, scope, where
from mainstay.model.checks import check_service
from mainstay.model.conditions import (
    FALSE,
    TRUE,
    AllOf,
    Always,
    Among,
    AnyOf,
    Compare,
    CompareFields,
    Condition,
    Not,
    holds,
)
from mainstay.model.operation import Source, signed
from mainstay.model.policy import CallPolicy, Known, Prepared, RowPolicy, prepare
from mainstay.model.predicates import of_caller

ANN = Principal(id=UUID(int=11), subject="ann", roles=frozenset({"support"}), claims={"region": "north"})
BOB = Principal(id=UUID(int=12), subject="bob", scopes=frozenset({"read"}))
NOBODY = Principal.anonymous
CALLERS = [ANN, BOB, NOBODY, Principal.system]

LEAVES: list[Policy] = [
    anyone,
    authenticated,
    role("support"),
    scope("read"),
    check(lambda who: who.subject == "ann"),
    owner("owner_id"),
    where(lambda row, who: row.region == who.claims["region"]),
    where(lambda row, _who: row.region == "south"),
    signed("standard-webhooks", secret="hook"),
]
ROWS: list[Any] = [
    SimpleNamespace(owner_id=owner_id, region=region)
    for owner_id in (ANN.id, BOB.id, None)
    for region in ("north", "south", None)
]
policies = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: (
        st.builds(lambda a, b: a & b, inner, inner)
        | st.builds(lambda a, b: a | b, inner, inner)
        | st.builds(lambda a: ~a, inner)
    ),
    max_leaves=8,
)


def constants(condition: Condition) -> list[Always]:
    match condition:
        case Always():
            return [condition]
        case Not(of):
            return constants(of)
        case AllOf(parts) | AnyOf(parts):
            return [constant for part in parts for constant in constants(part)]
    return []


@given(policies)
def test_a_decision_is_one_of_two_values_which_are_compared_by_identity(policy: Policy) -> None:
    for prepared in (policy, prepare(policy)):
        for who in CALLERS:
            for condition in (prepared.reduce(who), prepared.opposite(who)):
                assert constants(condition) in ([], [condition])  # nothing is decided inside of a condition
                assert not isinstance(condition, Always) or condition is (TRUE if condition.value else FALSE)


@given(policies)
def test_nobody_may_and_may_not(policy: Policy) -> None:
    for who in CALLERS:
        for row in ROWS:
            may, may_not = holds(policy.reduce(who), row), holds((~policy).reduce(who), row)
            assert not (may and may_not)
            assert holds((~~policy).reduce(who), row) == may
            assert holds(prepare(policy).reduce(who), row) == may


@pytest.mark.parametrize(
    "policy", [~anyone, ~authenticated, ~role("support"), authenticated & ~role("support")], ids=repr
)
def test_who_is_refused_by_a_negation_is_refused(policy: Policy) -> None:
    assert policy.reduce(ANN) is FALSE


def test_what_a_caller_lacks_opens_nothing_either_way() -> None:
    region = prepare(where(lambda row, who: row.region == who.claims["region"]))
    for policy in (region, ~region, ~(region | owner("owner_id")), ~region & authenticated):
        assert policy.reduce(NOBODY) is FALSE
    assert (~region).reduce(BOB) is FALSE
    assert (~owner("owner_id")).reduce(NOBODY) is FALSE
    assert (~owner("owner_id")).reduce(ANN) == Not(Compare("owner_id", "eq", ANN.id))


def test_a_leaf_has_no_faults_of_its_own_and_needs_no_preparing() -> None:
    assert list(anyone.faults(Known(None, frozenset(), None))) == []
    assert prepare(anyone) is anyone
    assert not Policy().circumstantial


def test_a_predicate_that_is_always_true_is() -> None:
    assert prepare(where(lambda _row, _who: True)).reduce(ANN) is TRUE
    assert prepare(where(lambda _row, _who: False)).reduce(ANN) is FALSE


class Picky(RowPolicy, frozen=True):
    """A leaf that has something to complain of wherever it stands."""

    place: Any = None

    def faults(self, known: Known) -> Iterator[tuple[Any, str]]:
        named = "operations" if known.shape is None else known.shape.name
        yield self.place, f"it stands on {named}, beside {', '.join(sorted(known.operations))}"


class PickyCall(CallPolicy, frozen=True):
    """The same of an operation."""

    def faults(self, known: Known) -> Iterator[tuple[Any, str]]:
        yield None, f"roles {known.roles}"


def test_faults_of_a_leaf_are_told_with_its_place_or_that_of_what_it_stands_on() -> None:
    module = Module("house")

    class Room(Entity, rows=Picky() | Picky(Source("rooms.txt", 3))):
        """A room."""

        name: str

    module.resource(Room, path="/rooms", read=anyone)

    @module.query("GET /look", allow=PickyCall())
    async def look() -> str:
        return ""

    found = check_service(Service("house", modules=[module])).faults
    assert [(fault.subject, fault.message) for fault in found] == [
        ("look", "roles None"),
        ("Room rows=", "it stands on Room, beside get_room, list_rooms, look"),
        ("Room rows=", "it stands on Room, beside get_room, list_rooms, look"),
    ]
    assert found[0].source.file == found[1].source.file == __file__
    assert str(found[2].source) == "rooms.txt:3"


def test_a_template_is_made_of_symbols_too() -> None:
    own = prepare(Prepared(Compare("region", "eq", of_caller("claims", "region"))))
    assert own.reduce(ANN) == Compare("region", "eq", "north")
    assert not own.circumstantial
    several = Prepared(Among("region", (of_caller("scopes", several=True),)))
    assert several.opposite(ANN) == Not(Among("region", ()))  # she has none, and that is no lack
    assert several.reduce(BOB) == Among("region", ("read",))
    assert not Prepared(CompareFields("a", "eq", "b")).circumstantial
