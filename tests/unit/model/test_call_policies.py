"""Policies that look at a call: time, door, network, delegation, what is known of the caller."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from mainstay import (
    Circumstances,
    Policy,
    Principal,
    attribute,
    authenticated,
    between,
    check,
    claim,
    delegated,
    network,
    owner,
    protocol,
    role,
    tenancy,
    where,
)
from mainstay.model.call_policies import CircumstancePolicy
from mainstay.model.conditions import FALSE, TRUE
from mainstay.model.policy import prepare

ANN = Principal(
    id=UUID(int=11),
    subject="ann",
    claims={"plan": "gold", "level": 3, "teams": ["a", "b"], "one": 1},
    attributes={"plan": "tin", "wards": ["w1", "w2"]},
)
ROBOT = Principal(id=UUID(int=12), subject="robot", roles=frozenset({"clerk"}))


def at(text: str, *, by: str = "rest", address: str = "203.0.113.7") -> Principal:
    """Return Ann in a call at a time (UTC)."""
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return replace(ANN, circumstances=Circumstances(at=moment, protocol=by, operation="look", address=address))


@pytest.mark.parametrize(
    ("policy", "moments"),
    [
        (between("08:00", "18:00"), {"2026-01-05T07:59:59": 0, "2026-01-05T08:00": 1, "2026-01-05T18:00": 0}),
        (between("08:00", "18:00", days="mon-fri"), {"2026-01-09T12:00": 1, "2026-01-10T12:00": 0}),
        (between("08:00", "18:00", days=["sat", "mon"]), {"2026-01-10T12:00": 1, "2026-01-09T12:00": 0}),
        (between("08:00", "18:00", days="sat-mon"), {"2026-01-11T12:00": 1, "2026-01-13T12:00": 0}),
        (between("22:00", "06:00"), {"2026-01-05T23:00": 1, "2026-01-05T05:59": 1, "2026-01-05T06:00": 0}),
        # the night that begins on Friday ends on Saturday
        (between("22:00", "06:00", days="fri"), {"2026-01-10T03:00": 1, "2026-01-09T03:00": 0, "2026-01-10T23:00": 0}),
        # the clocks of Berlin: an hour ahead in winter, two in summer
        (
            between("08:00", "18:00", "Europe/Berlin"),
            {"2026-01-05T07:00": 1, "2026-07-06T16:00": 0, "2026-07-06T06:00": 1},
        ),
    ],
)
def test_a_span_of_the_day(policy: Policy, moments: dict[str, int]) -> None:
    for text, allowed in moments.items():
        assert policy.reduce(at(text)) is (TRUE if allowed else FALSE), text
        assert (~policy).reduce(at(text)) is (FALSE if allowed else TRUE), text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("8:00", "18:00"), "'8:00' is no time of the day"),
        (("08:00", "24:00"), "'24:00' is no time of the day"),
        (("08:00", "08:00"), "it begins when it ends"),
        (("08:00", "18:00", "Berlin"), "'Berlin' is no zone"),
        (("08:00", "18:00", "../etc"), "'../etc' is no zone"),
    ],
)
def test_what_is_no_span_is_refused_where_it_is_written(given: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        between(*given)


@pytest.mark.parametrize("days", ["monday", "mon-funday", "", []])
def test_what_is_no_day_is_refused_where_it_is_written(days: Any) -> None:
    with pytest.raises(ValueError, match=r"days= names none|is no day"):
        between("08:00", "18:00", days=days)


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "11.1.2.3", False),
        (["10.0.0.0/8", "203.0.113.7"], "203.0.113.7", True),
        (["2001:db8::/32"], "2001:db8:1:2::/64", True),
        (["2001:db8::/32"], "2001:db9::/64", False),
        (["0.0.0.0/0"], "2001:db8::/64", False),
        (["0.0.0.0/0"], "", False),
        (["0.0.0.0/0"], "a-socket", False),
    ],
)
def test_a_network(networks: list[str], address: str, allowed: bool) -> None:
    policy = network(*networks)
    assert policy.reduce(at("2026-01-05T12:00", address=address)) is (TRUE if allowed else FALSE)


def test_networks_that_a_call_cannot_tell_are_refused() -> None:
    with pytest.raises(ValueError, match="known by its /64"):
        network("2001:db8::1")
    with pytest.raises(ValueError, match="does not appear to be an IPv4"):
        network("here")


def test_a_door() -> None:
    policy = protocol("rest", "grpc")
    assert policy.reduce(at("2026-01-05T12:00")) is TRUE
    assert policy.reduce(at("2026-01-05T12:00", by="event")) is FALSE


def test_a_check_of_two_values_is_given_the_circumstances() -> None:
    policy = check(lambda who, call: who.subject == "ann" and call.operation == "look")
    assert policy.circumstantial
    assert policy.reduce(at("2026-01-05T12:00")) is TRUE
    assert policy.reduce(Principal.system) is TRUE
    assert not check(lambda who, limit=3: limit > 2).circumstantial
    assert not check(bool).circumstantial  # what is written in C says nothing of its parameters


CIRCUMSTANTIAL: list[Policy] = [
    between("08:00", "18:00"),
    protocol("rest"),
    network("10.0.0.0/8"),
    check(lambda _who, _call: True),
    where(lambda row, who: row.opens_at <= who.circumstances.at),
    where(lambda row, who: ~((row.name == "a") | row.name.contains(who.circumstances.protocol))),
    where(lambda row, who: row.door.in_(who.circumstances.protocol, "x")),
    where(lambda row, who: (row.name == "a") & (row.opens_at <= who.circumstances.at)),
    tenancy("tenant", across=protocol("rest")),
]


@pytest.mark.parametrize("policy", CIRCUMSTANTIAL, ids=repr)
def test_what_asks_for_circumstances_says_so_and_is_lost_without_them(policy: Policy) -> None:
    for put_together in (policy, ~policy, authenticated & policy, policy | role("x"), prepare(policy)):
        assert put_together.circumstantial
    stranger = replace(ANN, tenant=None)
    with pytest.raises(LookupError, match="circumstances"):
        policy.reduce(stranger)


@pytest.mark.parametrize(
    "policy",
    [
        authenticated,
        owner("x"),
        where(lambda row, _who: row.a == 1),
        where(lambda row, who: row.a == who.id),
        delegated,
    ],
    ids=repr,
)
def test_what_asks_for_none_says_so(policy: Policy) -> None:
    for put_together in (
        policy,
        ~policy,
        policy & role("x"),
        prepare(policy),
        tenancy("t"),
        tenancy("t", across=policy),
    ):
        assert not put_together.circumstantial


def test_the_service_itself_is_bound_to_no_circumstances() -> None:
    for policy in CIRCUMSTANTIAL[:-1]:
        assert policy.reduce(Principal.system) is TRUE


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (claim("plan", "gold"), True),
        (claim("plan", "tin"), False),
        (claim("level", 2, 3), True),
        (claim("one", True), False),
        (claim("level", "3"), False),
        (claim("teams", "b"), True),
        (claim("missing", "b"), False),
        (attribute("plan", "tin"), True),
        (attribute("plan", "gold"), False),
        (attribute("wards", "w2", "w9"), True),
    ],
)
def test_what_is_known_of_a_caller(policy: Policy, allowed: bool) -> None:
    assert policy.reduce(ANN) is (TRUE if allowed else FALSE)
    assert policy.reduce(Principal.system) is TRUE
    assert policy.reduce(Principal.anonymous) is FALSE


def test_a_claim_without_values_is_refused() -> None:
    with pytest.raises(ValueError, match="name the values"):
        claim("plan")


def test_policies_tell_what_they_are() -> None:
    told = [
        (between("08:00", "18:00", days="mon-wed"), "between(08:00, 18:00, 'UTC', days='mon tue wed')"),
        (between("08:00", "18:00"), "between(08:00, 18:00, 'UTC')"),
        (protocol("rest", "grpc"), "protocol('grpc', 'rest')"),
        (network("10.0.0.0/8", "::/64"), "network('10.0.0.0/8', '::/64')"),
        (~delegated, "~delegated"),
        (claim("plan", "gold"), "claim('plan', 'gold')"),
        (attribute("plan", 1), "attribute('plan', 1)"),
        (prepare(where(lambda row, _who: row.a == 1)), "where(<lambda>)"),
    ]
    for policy, text in told:
        assert repr(policy) == text


def test_who_acts_for_another_has_what_both_have() -> None:
    boss = Principal(id=UUID(int=1), subject="boss", roles=frozenset({"clerk", "chief"}), scopes=frozenset({"read"}))
    acted = boss.acted_for_by(replace(ROBOT, scopes=frozenset({"read", "write"})))
    assert (acted.id, acted.roles, acted.scopes) == (boss.id, frozenset({"clerk"}), frozenset({"read"}))
    assert acted.actor is not None
    assert acted.actor.subject == "robot"
    assert [policy.reduce(acted) for policy in (delegated, ~delegated, role("chief"))] == [TRUE, FALSE, FALSE]
    assert delegated.reduce(boss) is FALSE
    policy = prepare(where(lambda row, who: row.sent_by == who.actor.id))
    assert policy.reduce(acted) != FALSE
    assert [policy.reduce(boss), (~policy).reduce(boss)] == [FALSE, FALSE]


@pytest.mark.parametrize(
    ("subject", "actor"),
    [
        (ANN, Principal.anonymous),
        (ANN, Principal.system),
        (Principal.anonymous, ROBOT),
        (Principal.system, ROBOT),
        (replace(ANN, tenant="acme"), replace(ROBOT, tenant="globex")),
        (ANN, replace(ROBOT, tenant="globex")),
    ],
)
def test_who_may_not_act_for_whom(subject: Principal, actor: Principal) -> None:
    with pytest.raises(ValueError, match=r"acts? for"):
        subject.acted_for_by(actor)


def test_an_actor_without_a_tenant_acts_within_that_of_whom_it_acts_for() -> None:
    assert replace(ANN, tenant="acme").acted_for_by(ROBOT).tenant == "acme"


@pytest.mark.parametrize("name", ["when", "protocols"])
def test_a_predicate_names_what_circumstances_have(name: str) -> None:
    with pytest.raises(AttributeError, match="circumstances has no"):
        where(lambda row, who: row.a == getattr(who.circumstances, name)).reduce(ANN)


def test_a_predicate_is_no_condition_on_the_caller_alone() -> None:
    for predicate in (
        lambda row, who: who.circumstances and row.a == 1,
        lambda _row, who: who.attributes["a"],
        lambda row, who: row.a == who.circumstances,
        lambda row, who: "a" in who.attributes and row.a == 1,
        lambda row, who: row.a == who.attributes,
        lambda row, who: not who.attributes and row.a == 1,
    ):
        with pytest.raises(TypeError):
            where(predicate).reduce(ANN)


def test_a_leaf_says_what_it_allows() -> None:
    with pytest.raises(TypeError, match="CircumstancePolicy does not say what it allows"):
        CircumstancePolicy().reduce(at("2026-01-05T12:00"))
