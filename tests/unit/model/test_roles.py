"""Roles that bring others along."""

from __future__ import annotations

import pytest

from mainstay import Entity, Module, Service, authenticated, field, role
from mainstay.model.builtin import BuiltIn
from mainstay.model.checks import check_service
from mainstay.model.roles import Declared, role_faults, roles_of

HOUSE: Declared = {"chief": ["manager", "auditor"], "manager": ["support"], "support": [], "auditor": ["support"]}


@pytest.mark.parametrize(
    ("own", "all_of_them"),
    [
        ({"support"}, {"support"}),
        ({"manager"}, {"manager", "support"}),
        ({"chief"}, {"chief", "manager", "auditor", "support"}),
        ({"auditor", "manager"}, {"auditor", "manager", "support"}),
        ({"stranger"}, {"stranger"}),
        (set(), set()),
    ],
)
def test_a_role_brings_along_what_it_was_given(own: set[str], all_of_them: set[str]) -> None:
    assert roles_of(HOUSE).expand(frozenset(own)) == all_of_them


def test_a_caller_whose_roles_bring_nothing_keeps_the_same_set() -> None:
    own = frozenset({"support", "other"})
    assert roles_of(HOUSE).expand(own) is own


@pytest.mark.parametrize(
    ("declared", "faults"),
    [
        (HOUSE, []),
        ({"a": ["b"]}, ["role 'a' brings 'b' along, which is not declared"]),
        ({"a": "b", "b": []}, ["role 'a' brings 'b' along: give a list of roles"]),
        ({"a": ["a"]}, ["roles bring themselves along: a -> a"]),
        ({"a": ["b"], "b": ["c"], "c": ["a"]}, ["roles bring themselves along: a -> b -> c -> a"]),
        ({"a": ["b", "c"], "b": ["c"], "c": ["b"]}, ["roles bring themselves along: b -> c -> b"]),
        ({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}, []),
    ],
)
def test_faults_of_declared_roles(declared: Declared, faults: list[str]) -> None:
    assert list(role_faults(declared)) == faults


def service(**more: object) -> Service:
    module = Module("house")

    class Room(Entity, rows=role("guest") | role("keeper")):
        """A room."""

        name: str
        price: int = field(read=role("keeper"))

    module.resource(Room, path="/rooms", read=authenticated, create=role("keeper"))
    return Service("house", modules=[module], **more)  # type: ignore[arg-type]  # what a team might write


def test_policies_name_no_other_roles_than_those_that_are_declared() -> None:
    assert check_service(service()).faults == []
    assert check_service(service(roles={"keeper": ["guest"], "guest": []})).faults == []
    found = check_service(service(roles={"guest": []})).faults
    assert sorted((fault.subject, fault.message) for fault in found) == [
        ("Room rows=", "role 'keeper' is not declared in roles="),
        ("Room.price", "role 'keeper' is not declared in roles="),
        ("resource /rooms create=", "role 'keeper' is not declared in roles="),
    ]
    assert found[0].hint == "declare it, or name one of guest"


def test_roles_that_make_a_ring_are_a_fault_of_the_service() -> None:
    (found,) = check_service(service(roles={"keeper": ["guest"], "guest": ["keeper"]})).faults
    assert (found.subject, found.message) == ("house roles=", "roles bring themselves along: guest -> keeper -> guest")


def test_no_role_at_all_may_be_declared() -> None:
    found = check_service(service(roles={})).faults
    assert {fault.hint for fault in found} == {"declare it, or name one of none"}


class Brought(BuiltIn):
    """What Mainstay itself might bring: an operation for a role of its own."""

    def modules(self) -> list[Module]:
        module = Module("brought")

        @module.query("GET /brought", allow=role("inspector"))
        async def look() -> str:
            return ""

        return [module]


def test_what_is_built_in_names_roles_of_its_own() -> None:
    made = Service("house", modules=[], identity=Brought(), roles={"guest": []})
    assert made.built_in == {"brought"}
    assert check_service(made).faults == []
