"""Tokens in which somebody acts for their subject (RFC 8693, section 4.1)."""

from __future__ import annotations

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
from bearer_tokens import ISSUER, SUBJECT, refusal, signed, verifier

ROBOT = "0199c0de-0000-7000-8000-0000000000b0"


def test_the_principal_is_the_subject_and_the_actor_stands_beside_it() -> None:
    who = verifier().verify(signed(roles=["clerk", "chief"], scope="read write", tenant="acme", act={"sub": ROBOT}))
    assert who.id == UUID(SUBJECT)
    assert who.actor is not None
    assert (who.actor.id, who.actor.subject, who.actor.tenant) == (UUID(ROBOT), ROBOT, "acme")
    assert (who.roles, who.scopes) == (
        frozenset({"clerk", "chief"}),
        frozenset({"read", "write"}),
    )  # as the issuer has cut them
    assert who.claims["act"] == {"sub": ROBOT}


def test_an_actor_whose_rights_are_told_has_no_more_than_both() -> None:
    act = {"sub": "robot", "roles": ["clerk", "cook"], "scope": "read delete"}
    who = verifier().verify(signed(roles=["clerk", "chief"], scope="read write", act=act))
    assert (who.roles, who.scopes) == (frozenset({"clerk"}), frozenset({"read"}))
    assert who.actor is not None
    assert who.actor.id == uuid5(uuid5(NAMESPACE_URL, ISSUER), "robot")
    assert who.actor.roles == {"clerk", "cook"}


def test_the_outermost_actor_counts() -> None:
    act = {"sub": "second", "roles": ["clerk"], "act": {"sub": "first", "roles": []}}
    who = verifier().verify(signed(roles=["clerk"], act=act))
    assert who.actor is not None
    assert (who.actor.subject, who.actor.actor, who.roles) == ("second", None, frozenset({"clerk"}))


def test_without_an_act_claim_nobody_acts() -> None:
    assert verifier().verify(signed()).actor is None


@pytest.mark.parametrize(
    "act", [None, "robot", [], {}, {"sub": ""}, {"sub": 7}, {"sub": "a\nb"}, {"iss": ISSUER}, {"sub": "x", "roles": 7}]
)
def test_a_token_that_was_meant_for_an_actor_is_not_its_subjects_own(act: Any) -> None:
    assert refusal(signed(act=act)) == "token_claims_refused"
