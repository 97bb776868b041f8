"""camelCase on the wire: names change, values and structs are the team's own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from bound_input import Desk

from mainstay import Dto, Entity, Module, Patch, Secret, anyone, field
from mainstay.model.naming import camel_case, wire_name, wire_names


class SubPart(Dto):
    unit_price: int
    sub_parts: list[SubPart] = field(default_factory=list)


class Basket(Dto, unknown="ignore"):
    first_part: SubPart
    all_parts: list[SubPart] = field(default_factory=list)
    by_name: dict[str, SubPart] = field(default_factory=dict)
    pair_of: tuple[SubPart, ...] = ()
    api_key: Secret[str] | None = None
    free_form: Any = None


class Checked(Dto):
    low_end: int
    high_end: int

    def __post_init__(self) -> None:
        if self.high_end < self.low_end:
            raise ValueError("the high end must not be below the low end")


class Stored(Entity):
    main_part: SubPart | None = None
    many_parts: list[SubPart] = field(default_factory=list)
    part_map: dict[str, SubPart] = field(default_factory=dict)


module = Module("camel")
module.resource(Stored, path="/stored", create=anyone, update=anyone)


@module.command("POST /baskets", allow=anyone)
async def basket(body: Basket) -> Basket:
    """Take a basket."""
    return body


@module.command("POST /checked", allow=anyone)
async def checked(body: Checked) -> None:
    """Take what has a rule."""


@module.command("POST /members", allow=anyone)
async def members(user_id: UUID, page_sizes: list[int] | None = None) -> None:
    """Take members."""


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module, case="camel")


FULL = (
    b'{"firstPart":{"unitPrice":1,"subParts":[{"unitPrice":2}]},"allParts":[{"unitPrice":3}],'
    b'"byName":{"a_b":{"unitPrice":4}},"pairOf":[{"unitPrice":5}],"apiKey":"k","freeForm":{"a_b":1},"zz":1}'
)


def test_the_use_case_gets_the_structs_of_the_team(desk: Desk) -> None:
    assert desk.inputs("basket", FULL)["body"] == Basket(
        first_part=SubPart(unit_price=1, sub_parts=[SubPart(unit_price=2)]),
        all_parts=[SubPart(unit_price=3)],
        by_name={"a_b": SubPart(unit_price=4)},
        pair_of=(SubPart(unit_price=5),),
        api_key=Secret("k"),
        free_form={"a_b": 1},
    )


def test_faults_point_at_the_names_on_the_wire(desk: Desk) -> None:
    body = b'{"firstPart":{"unit_price":1,"subParts":[{"unitPrice":"x"}]},"allParts":[{}]}'
    assert desk.faults("basket", body) == [
        ("missing", "/firstPart/unitPrice"),
        ("type", "/firstPart/subParts/0/unitPrice"),
        ("unknown_field", "/firstPart/unit_price"),
        ("missing", "/allParts/0/unitPrice"),
    ]


def test_a_rule_of_the_struct_is_told(desk: Desk) -> None:
    problem = desk.refusal("checked", b'{"lowEnd":2,"highEnd":1}')
    assert [(fault.code, fault.detail) for fault in problem.faults] == [
        ("rule", "the high end must not be below the low end")
    ]


def test_members_and_rows_and_patches_are_renamed(desk: Desk) -> None:
    user = str(UUID(int=1))
    assert desk.inputs("members", f'{{"userId":"{user}"}}'.encode()) == {"user_id": UUID(int=1), "page_sizes": None}
    made = desk.inputs("create_stored", b'{"mainPart":{"unitPrice":1},"manyParts":[{"unitPrice":2}]}')["body"]
    assert made == {"main_part": SubPart(unit_price=1), "many_parts": [SubPart(unit_price=2)]}
    body = b'{"mainPart":{"unitPrice":3},"manyParts":[{"unitPrice":4}],"partMap":{"x":{"unitPrice":5},"y":null}}'
    patch = desk.inputs("update_stored", body, arguments={"id": user})["patch"]
    assert patch.changes == {
        "main_part": Patch(unit_price=3),
        "many_parts": [SubPart(unit_price=4)],
        "part_map": Patch(x=Patch(unit_price=5), y=None),
    }
    assert desk.faults("update_stored", b'{"createdAt":1}', arguments={"id": user}) == [("read_only", "/createdAt")]


def test_answers_are_renamed_at_every_depth(desk: Desk) -> None:
    reply = desk.render("basket", desk.inputs("basket", FULL)["body"])
    assert reply.body == (
        b'{"firstPart":{"unitPrice":1,"subParts":[{"unitPrice":2,"subParts":[]}]},'
        b'"allParts":[{"unitPrice":3,"subParts":[]}],"byName":{"a_b":{"unitPrice":4,"subParts":[]}},'
        b'"pairOf":[{"unitPrice":5,"subParts":[]}],"freeForm":{"a_b":1}}'
    )


def test_names_in_camel_case() -> None:
    assert [camel_case(n) for n in ("a", "a_b", "created_at", "_a_b", "a__b", "line_2", "aB")] == [
        "a", "aB", "createdAt", "_aB", "aB", "line2", "aB"
    ]  # fmt: skip
    assert wire_name("a_b", "snake") == "a_b"

    class Told(Dto, rename={"a_b": "AB"}):
        a_b: int
        c_d: int

    assert wire_names(Told, "camel") == {"a_b": "AB", "c_d": "cD"}
    assert wire_names(Told, "snake") == {"a_b": "AB", "c_d": "c_d"}
