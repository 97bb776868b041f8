"""What a body becomes: a Dto, members, the fields of a new row, a merge patch; and what is told of its faults."""

from __future__ import annotations

from datetime import datetime
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
    Event,
    Many,
    Module,
    Patch,
    RawBody,
    Repository,
    Secret,
    Upload,
    anyone,
    authenticated,
    field,
    owner,
    related,
    role,
    where,
)
from mainstay.kernel.validate import InputLimits, media_of
from mainstay.model.merging import NestedPatch, applied, merged
from mainstay.model.principal import Principal
from mainstay.model.problem import Invalid, Kind

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


class Range(Dto):
    low: int
    high: int

    def __post_init__(self) -> None:
        if self.high < self.low:
            raise ValueError("high must not be below low")


class Ranges(Dto):
    ranges: list[Range]
    limit: int = field(default=5, write=role("boss"))
    stamp: datetime = field(write=role("boss"))


class Happened(Event):
    id: int
    at: datetime | None = None


module = Module("bodies")
module.entity(Shelf)
module.resource(Crate, path="/crates", read=anyone, create=authenticated, update=authenticated)


@module.command("POST /one-range", allow=anyone)
async def one_range(body: Range) -> None:
    """Take a range."""


@module.command("POST /defaults", allow=anyone)
async def defaults(body: Range = Range(low=0, high=9)) -> None:  # noqa: B008 - it is frozen
    """Take a range, if need be."""


@module.command("POST /ranges", allow=anyone)
async def ranges(body: Ranges) -> None:
    """Take ranges."""


@module.command("POST /moves/{crate_id}", allow=anyone)
async def move(
    crate_id: UUID, shelf: str, weights: list[float], size: Size = Size.LARGE, note: str | None = None
) -> None:
    """Take members."""


@module.command("POST /pings", allow=anyone)
async def ping(times: int = 1, tags: list[str] = ["a"]) -> None:  # noqa: B006 - it is never changed
    """Take nothing, if need be."""


@module.command("POST /files", allow=anyone)
async def put_file(file: Upload) -> None:
    """Take a file."""


@module.command("POST /hooks", allow=anyone)
async def hook(body: RawBody) -> None:
    """Take bytes."""


@module.on(Happened)
async def heard(event: Happened, crates: Repository[Crate]) -> None:
    """Hear an event."""


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


def encoded(**members: Any) -> bytes:
    return msgspec.json.encode(members)


def test_all_faults_are_told_at_once_in_the_order_of_the_fields(desk: Desk) -> None:
    body = encoded(zz=1, ranges=[{"low": "1"}, 5, {"low": 1, "high": 2, "x": 1}], limit=3, stamp="2026-01-31T09:30:00")
    assert desk.faults("ranges", body, principal=BOSS) == [
        ("type", "/ranges/0/low"),
        ("missing", "/ranges/0/high"),
        ("type", "/ranges/1"),
        ("unknown_field", "/ranges/2/x"),
        ("zone", "/stamp"),
        ("unknown_field", "/zz"),
    ]


def test_the_same_input_gets_the_same_bytes(desk: Desk) -> None:
    body = encoded(ranges=5, limit="x")
    told = [msgspec.json.encode(desk.refusal("ranges", body, principal=BOSS).faults) for _ in range(3)]
    assert len(set(told)) == 1


def test_a_rule_of_the_struct_itself_is_a_fault_too(desk: Desk) -> None:
    problem = desk.refusal("one_range", encoded(low=2, high=1))
    assert (problem.kind, places(problem.faults)) == (Kind.INVALID, [("rule", "")])
    assert problem.faults[0].detail == "high must not be below low"
    ok, bad = {"low": 1, "high": 2}, {"low": 2, "high": 1}
    body = encoded(ranges=[ok, bad], stamp="2026-01-31T09:30:00Z")
    assert desk.faults("ranges", body, principal=BOSS) == [("rule", "/ranges/1")]


def test_a_rule_without_words_is_told_in_general() -> None:
    class Silent(Dto):
        a: int

        def __post_init__(self) -> None:
            raise ValueError

    here = Module("silent")

    async def take(body: Any) -> None:
        """Take one."""

    take.__annotations__["body"] = Silent
    here.command("POST /silent", allow=anyone)(take)
    assert Desk(here).faults("take", b'{"a":1}') == [("invalid", "")]


def test_a_field_that_the_caller_may_not_write_is_refused_where_it_says_something(desk: Desk) -> None:
    stamp = "2026-01-31T09:30:00Z"
    assert desk.inputs("ranges", encoded(ranges=[], stamp=stamp, limit=3), principal=BOSS)["body"].limit == 3
    assert desk.faults("ranges", encoded(ranges=[], stamp=stamp, limit=3), principal=CLERK) == [
        ("forbidden_field", "/limit"),
        ("forbidden_field", "/stamp"),
    ]
    faults = desk.faults("ranges", encoded(ranges=[], stamp=stamp, limit=5), principal=CLERK)
    assert faults == [("forbidden_field", "/stamp")]


def test_members_of_a_body_become_parameters(desk: Desk) -> None:
    place = {"crate_id": str(UUID(int=3))}
    inputs = desk.inputs("move", encoded(shelf="A", weights=[1, 2.5]), arguments=place)
    assert inputs == {"crate_id": UUID(int=3), "shelf": "A", "weights": [1.0, 2.5], "size": Size.LARGE, "note": None}
    faults = desk.faults("move", encoded(weights=["x"], size="m", note=5), arguments=place)
    assert faults == [("missing", "/shelf"), ("type", "/weights/0"), ("enum", "/size"), ("type", "/note")]


@pytest.mark.parametrize("body", [None, b"", b"{}"])
def test_a_body_may_be_absent_where_all_members_have_defaults(desk: Desk, body: Any) -> None:
    first = desk.inputs("ping", body)
    assert first == {"times": 1, "tags": ["a"]}
    assert desk.inputs("ping", body)["tags"] is not first["tags"]


def test_a_body_may_have_a_default_as_a_whole(desk: Desk) -> None:
    assert desk.inputs("defaults") == {"body": Range(low=0, high=9)}
    assert desk.inputs("defaults", b'{"low":1,"high":2}') == {"body": Range(low=1, high=2)}


class Corner(Dto):
    must: int | None
    amount: Decimal | None = field(default=None, gt=0)
    bare: list = field(default_factory=list)  # type: ignore[type-arg]  # a list of anything
    table: dict = field(default_factory=dict)  # type: ignore[type-arg]  # a map of anything
    few: set[int] = field(default_factory=set, min_length=2, max_length=3)
    sizes: dict[Size, int] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    amounts: list[Decimal | None] = field(default_factory=list)
    vault: list[Secret[str]] = field(default_factory=list)


@pytest.mark.parametrize(
    ("members", "faults"),
    [
        ({}, [("missing", "/must")]),
        ({"must": None, "amount": "0.5", "amounts": ["1", None]}, []),
        (
            {"must": 1, "amount": "0", "amounts": ["NaN", "1E+40"]},
            [
                ("too_small", "/amount"),
                ("not_finite", "/amounts/0"),
                ("too_many_digits", "/amounts/1"),
            ],
        ),
        ({"must": 1, "bare": [1, {"a": "\x00"}]}, [("null_character", "/bare/1/a")]),
        ({"must": 1, "bare": 5, "table": 5}, [("type", "/bare"), ("type", "/table")]),
        (
            {"must": 1, "table": {"a": [2**64], "b\x00": 1}},
            [("too_large", "/table/a/0"), ("null_character", "/table/b\x00")],
        ),
        ({"must": 1, "few": [1, 1, 1, 1, 2]}, []),
        ({"must": 1, "few": [1, 1]}, [("too_short", "/few")]),
        ({"must": 1, "few": [1, 2, 3, 4]}, [("too_long", "/few")]),
        ({"must": 1, "sizes": {"s": 1}, "words": ["\\u0000"], "vault": ["\\u0000"]}, []),
        ({"must": 1, "sizes": {"m": 1}}, [("key", "/sizes")]),
        (
            {"must": 1, "words": ["a\x00"], "vault": ["b\x00", 5]},
            [
                ("null_character", "/words/0"),
                ("null_character", "/vault/0"),
                ("type", "/vault/1"),
            ],
        ),
    ],
)
def test_corners_of_containers(members: dict[str, Any], faults: list[tuple[str, str]]) -> None:
    here = Module("corners")

    async def take(body: Any) -> None:
        """Take one."""

    take.__annotations__["body"] = Corner
    here.command("POST /corners", allow=anyone)(take)
    desk = Desk(here)
    if faults:
        assert desk.faults("take", encoded(**members)) == faults
    else:
        assert isinstance(desk.inputs("take", encoded(**members))["body"], Corner)


def test_numbers_that_no_type_holds_are_too_large(desk: Desk) -> None:
    assert desk.faults("one_range", b'{"low":1e999,"high":1}') == [("too_large", "/low")]


def test_each_call_has_inputs_of_its_own(desk: Desk) -> None:
    assert desk.inputs("one_range", encoded(low=1, high=2)) == {"body": Range(low=1, high=2)}
    assert desk.inputs("ping", b'{"times":2}') is not desk.inputs("ping", b'{"times":2}')


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
    assert applied(row, patch, BOSS) == {
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
    assert applied(Crate(keeper_id=CLERK.id, label="x"), patch, CLERK) == {"own": "x"}
    with pytest.raises(Invalid) as caught:
        applied(Crate(keeper_id=BOSS.id, label="x"), patch, CLERK)
    assert places(caught.value.faults) == [("forbidden_field", "/own")]


def test_nested_patches_compare_by_their_changes() -> None:
    assert NestedPatch({"a": 1}) == Patch(a=1)
    row = Crate(keeper_id=BOSS.id, label="x")
    changes = {"extra": NestedPatch({"a": {"b": None, "c": {"d": 1, "e": None}}}), "label": "y"}
    assert merged(row, changes) == {"extra": {"a": {"c": {"d": 1}}}, "label": "y"}


def test_files_and_raw_bodies_are_passed_on(desk: Desk) -> None:
    file = desk.inputs("put_file", b"abc", media_type="image/png", filename="a.png")["file"]
    assert (file.size, file.media_type, file.filename) == (3, "image/png", "a.png")
    assert desk.inputs("put_file", None)["file"].media_type == "application/octet-stream"
    assert desk.inputs("hook", b"\x00\xff") == {"body": RawBody(b"\x00\xff")}
    small = Desk(module, limits=InputLimits(body=2, upload=2))
    assert small.refusal("hook", b"abc").kind is Kind.TOO_LARGE
    assert small.refusal("put_file", b"abc").kind is Kind.TOO_LARGE


def test_an_event_is_read_and_may_have_grown(desk: Desk) -> None:
    assert desk.inputs("heard", b'{"id":1,"new":{"x":1}}')["event"] == Happened(id=1)
    assert desk.faults("heard", b'{"id":"1"}') == [("type", "/id")]
    assert desk.refusal("heard", b"").code == "body_missing"


def test_media_types_follow_the_body(desk: Desk) -> None:
    accepts = {name: media_of(planned.signature).accepts for name, planned in desk.planned.items()}
    assert accepts["ranges"] == accepts["move"] == accepts["create_crate"] == ("application/json",)
    assert accepts["update_crate"] == ("application/merge-patch+json", "application/json")
    assert accepts["put_file"] == ("multipart/form-data", "*/*")
    assert accepts["hook"] == ("*/*",)
    assert accepts["list_crates"] == ()


def test_a_declaration_that_cannot_be_validated_is_a_start_up_fault() -> None:
    class Twice(Dto):
        a_b: int
        aB: int

    here = Module("twice")

    async def take(body: Any) -> None:
        """Take one."""

    take.__annotations__["body"] = Twice
    here.command("POST /twice", allow=anyone)(take)
    desk = Desk(here, case="camel")
    assert desk.stages["take"] is None
    assert "its input cannot be validated" in str(desk.blueprint.faults[0])
    assert Desk(here).stages["take"] is not None


def test_a_blueprint_with_faults_binds_nothing() -> None:
    here = Module("denied")
    here.command("POST /denied")(one_range)
    desk = Desk(here)
    assert desk.blueprint.faults
    assert desk.stages["one_range"] is None
