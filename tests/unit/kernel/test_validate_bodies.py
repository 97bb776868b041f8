"""What a body becomes: a Dto, members, an event, bytes; and what is told of its faults."""

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
    Dto,
    Entity,
    Event,
    Module,
    RawBody,
    Repository,
    Secret,
    Upload,
    anyone,
    authenticated,
    field,
    role,
)
from mainstay.kernel.validate import InputLimits, media_of
from mainstay.model.principal import Principal
from mainstay.model.problem import Kind

BOSS = Principal(id=UUID(int=1), roles=frozenset({"boss"}))
CLERK = Principal(id=UUID(int=2))


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Crate(Entity):
    label: str


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
            {"must": 1, "amount": "0", "amounts": ["NaN", "1" + "0" * 20]},
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
        ({"must": 1, "amounts": ["NaN"]}, [("not_finite", "/amounts/0")]),
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
