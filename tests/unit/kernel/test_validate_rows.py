"""Bodies of rows: the fields of a new one, and merge patches (RFC 7396) of what is there."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from bound_input import Desk, places

from mainstay import (
    UNASSIGNED,
    Dto,
    Entity,
    Many,
    Module,
    Patch,
    Secret,
    anyone,
    authenticated,
    field,
    owner,
    related,
    role,
    where,
)
from mainstay.model.merging import NestedPatch, applied, merged
from mainstay.model.principal import Principal
from mainstay.model.problem import Invalid
from mainstay.model.schema import shape_of

BOSS = Principal(id=UUID(int=1), roles=frozenset({"boss"}))
CLERK = Principal(id=UUID(int=2))


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Address(Dto):
    street: str = field(max_length=20)
    city: str = "Town"


class Shelf(Entity):
    label: str
    crates: Many[Crate] = related("shelf_id")


class Crate(Entity, rows=owner("keeper_id")):
    keeper_id: UUID
    shelf_id: UUID | None = field(default=None, references=Shelf)
    label: str = field(max_length=10)
    code: str = field(default="A", immutable=True)
    price: Decimal = field(default=Decimal(1), ge=0, digits=6, places=2)
    size: Size = Size.SMALL
    note: str | None = field(default=None, write=role("boss"))
    own: str = field(default="", write=where(lambda row, who: row.keeper_id == who.id))
    pin: Secret[str] | None = field(default=None, min_length=4)
    checked: bool = field(default=False, read_only=True)
    address: Address | None = None
    facts: dict[str, int] = field(default_factory=dict, max_length=2)
    labels: dict[str, str] | None = None
    places: dict[str, Address] = field(default_factory=dict)
    extra: Any = None
    tags: list[Address] = field(default_factory=list)


module = Module("rows")
module.entity(Shelf)
module.resource(Crate, path="/crates", read=anyone, create=authenticated, update=authenticated)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


def encoded(**members: Any) -> bytes:
    return msgspec.json.encode(members)


def test_a_new_row_takes_what_a_body_may_set(desk: Desk) -> None:
    body = encoded(label="x", price="1.50", pin="1234", address={"street": "Long"}, tags=[{"street": "S"}])
    made = desk.inputs("create_crate", body, principal=CLERK)["body"]
    assert made == {
        "keeper_id": UNASSIGNED,
        "label": "x",
        "price": Decimal("1.50"),
        "pin": Secret("1234"),
        "address": Address(street="Long"),
        "tags": [Address(street="S")],
    }
    assert Crate(**made).size is Size.SMALL


def test_a_new_row_never_takes_what_the_service_sets(desk: Desk) -> None:
    fixed = {name: 1 for name in ("id", "version", "created_at", "updated_at", "keeper_id", "checked", "zz")}
    body = encoded(**fixed, label=None, note="n", pin="1", price="NaN")
    assert desk.faults("create_crate", body, principal=CLERK) == [
        ("null", "/label"),
        ("not_finite", "/price"),
        ("forbidden_field", "/note"),
        ("too_short", "/pin"),
        ("read_only", "/id"),
        ("read_only", "/version"),
        ("read_only", "/created_at"),
        ("read_only", "/updated_at"),
        ("read_only", "/keeper_id"),
        ("read_only", "/checked"),
        ("unknown_field", "/zz"),
    ]


def test_the_owner_that_the_operation_names_is_left_to_it() -> None:
    class Ticket(Entity):
        holder_id: UUID
        label: str

    here = Module("tickets")
    here.resource(Ticket, path="/tickets", create=owner("holder_id"))
    desk = Desk(here)
    assert desk.inputs("create_ticket", b'{"label":"x"}', principal=CLERK) == {"body": {"label": "x"}}
    assert desk.faults("create_ticket", b'{"label":"x","holder_id":null}') == [("read_only", "/holder_id")]


PLACE = {"id": str(UUID(int=9))}


def patch_of(desk: Desk, **members: Any) -> Patch[Any]:
    patch: Patch[Any] = desk.inputs("update_crate", encoded(**members), principal=BOSS, arguments=PLACE)["patch"]
    return patch


def test_a_merge_patch_tells_absent_from_null(desk: Desk) -> None:
    assert patch_of(desk).changes == {}
    patch = patch_of(desk, note=None, price="2.00", size="l", shelf_id=None)
    assert patch.changes == {"note": None, "price": Decimal("2.00"), "size": Size.LARGE, "shelf_id": None}


def test_a_merge_patch_refuses_what_is_not_for_the_caller(desk: Desk) -> None:
    body = encoded(id=PLACE["id"], code="B", keeper_id=None, checked=True, label=None, note="x", price="-1", zz=1)
    assert desk.faults("update_crate", body, principal=CLERK, arguments=PLACE) == [
        ("null", "/label"),
        ("too_small", "/price"),
        ("forbidden_field", "/note"),
        ("read_only", "/id"),
        ("immutable", "/code"),
        ("read_only", "/keeper_id"),
        ("read_only", "/checked"),
        ("unknown_field", "/zz"),
    ]


def test_relations_are_no_part_of_a_patch() -> None:
    here = Module("shelves")
    here.entity(Crate)
    here.resource(Shelf, path="/shelves", read=anyone, create=anyone, update=anyone)
    desk = Desk(here)
    assert desk.faults("create_shelf", b'{"label":"x","crates":[]}') == [("read_only", "/crates")]
    assert desk.faults("update_shelf", b'{"crates":[]}', arguments=PLACE) == [("read_only", "/crates")]


def test_objects_inside_a_patch_merge_into_the_row(desk: Desk) -> None:
    patch = patch_of(
        desk,
        address={"city": "Port"},
        facts={"a": None, "b": 2},
        labels={"l": "x"},
        places={"home": {"city": "Hill"}, "away": None, "new": {"street": "New"}},
        extra={"x": {"y": None, "z": 1}, "q": [1]},
    )
    row = Crate(
        keeper_id=BOSS.id,
        label="x",
        address=Address(street="Long", city="Town"),
        facts={"a": 1, "c": 3},
        places={"home": Address(street="H"), "away": Address(street="A")},
        extra={"x": {"y": 1, "k": 2}, "p": 0},
    )
    assert applied(row, patch, BOSS, shape_of(Crate)) == {
        "address": Address(street="Long", city="Port"),
        "facts": {"c": 3, "b": 2},
        "labels": {"l": "x"},
        "places": {"home": Address(street="H", city="Hill"), "new": Address(street="New")},
        "extra": {"x": {"k": 2, "z": 1}, "p": 0, "q": [1]},
    }


def test_an_object_that_was_not_there_must_be_whole(desk: Desk) -> None:
    row = Crate(keeper_id=BOSS.id, label="x")
    assert merged(row, patch_of(desk, address={"street": "S"}).changes) == {"address": Address(street="S")}
    assert merged(row, patch_of(desk, address=None).changes) == {"address": None}
    with pytest.raises(Invalid) as caught:
        merged(row, patch_of(desk, address={"city": "P"}, places={"a/b": {"city": "Q"}}).changes)
    assert places(caught.value.faults) == [("missing", "/address/street"), ("missing", "/places/a~1b/street")]


def test_values_of_a_map_are_patched_with_its_own_rules(desk: Desk) -> None:
    body = encoded(facts={"a": "x"}, places={"p": {"street": 5, "z": 1}}, address=5)
    assert desk.faults("update_crate", body, principal=BOSS, arguments=PLACE) == [
        ("type", "/address"),
        ("type", "/facts/a"),
        ("type", "/places/p/street"),
        ("unknown_field", "/places/p/z"),
    ]


def test_a_write_policy_on_rows_is_asked_of_the_row(desk: Desk) -> None:
    patch = desk.inputs("update_crate", encoded(own="x"), principal=CLERK, arguments=PLACE)["patch"]
    assert applied(Crate(keeper_id=CLERK.id, label="x"), patch, CLERK, shape_of(Crate)) == {"own": "x"}
    with pytest.raises(Invalid) as caught:
        applied(Crate(keeper_id=BOSS.id, label="x"), patch, CLERK, shape_of(Crate))
    assert places(caught.value.faults) == [("forbidden_field", "/own")]


def test_nested_patches_compare_by_their_changes() -> None:
    assert NestedPatch({"a": 1}) == Patch(a=1)
    row = Crate(keeper_id=BOSS.id, label="x")
    changes = {"extra": NestedPatch({"a": {"b": None, "c": {"d": 1, "e": None}}}), "label": "y"}
    assert merged(row, changes) == {"extra": {"a": {"c": {"d": 1}}}, "label": "y"}


class Label(Dto):
    text: str
    price: int | None = field(default=None, write=role("boss"))


class Labels(Dto):
    by_place: dict[str, Label | None]


def test_a_guarded_field_in_a_map_is_guarded_too() -> None:
    labels = Module("labels")

    @labels.command("POST /labels", allow=anyone)
    async def put_labels(labels: Labels) -> None: ...

    desk = Desk(labels)
    body = b'{"by_place": {"a": {"text": "t", "price": 5}, "b": null}}'
    assert desk.inputs("put_labels", body, principal=BOSS)["labels"].by_place["a"].price == 5
    with pytest.raises(Invalid):
        desk.inputs("put_labels", body, principal=CLERK)
    assert desk.inputs("put_labels", b'{"by_place": {"a": {"text": "t"}}}', principal=CLERK)
