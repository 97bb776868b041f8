"""Parameters that come as text: of the path, of the query string, of headers."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
from bound_input import Desk, places

from mainstay import Module, Secret, anyone, header
from mainstay.kernel.validate import InputLimits
from mainstay.kernel.validate.text import BadText, bind_text
from mainstay.model.problem import Kind
from mainstay.model.schema import attribute_of


class Size(StrEnum):
    SMALL = "s"
    LARGE = "l"


class Level(IntEnum):
    LOW = 1


module = Module("parameters")


@module.query("GET /things/{thing_id}/{number}/{size}", allow=anyone)
async def thing(thing_id: UUID, number: int, size: Size) -> None:
    """Read path parameters."""


@module.query("GET /find", allow=anyone)
async def find(
    page_no: int,
    wide: bool = False,
    tags: list[str] = ["a"],  # noqa: B006 - it is never changed
    sizes: tuple[Size, ...] = (),
    since: date | None = None,
) -> None:
    """Read the query string."""


@module.query("GET /plain", allow=anyone)
async def plain() -> None:
    """Read nothing."""


@module.query("GET /limited", allow=anyone)
async def limited(names: Annotated[list[int], msgspec.Meta(max_length=2)] = []) -> None:  # noqa: B006
    """Read a bounded list."""


@module.command("POST /told", allow=anyone)
async def told(
    shop: Annotated[str, header("X-Shop")],
    key: Annotated[Secret[str] | None, header("X-Key")] = None,
    number: Annotated[int, header("X-Number")] = 0,
) -> None:
    """Read headers."""


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


ID = "0192f0c1-2345-7abc-8def-0123456789ab"


def test_the_path_is_typed(desk: Desk) -> None:
    inputs = desk.inputs("thing", arguments={"thing_id": ID, "number": "-7", "size": "l"})
    assert inputs == {"thing_id": UUID(ID), "number": -7, "size": Size.LARGE}


@pytest.mark.parametrize("text", ["", "x", ID.replace("-", ""), f"{{{ID}}}", ID + "0", f"{ID[:-1]} ", "\x00" * 36])
def test_a_text_that_is_no_id_names_nothing(desk: Desk, text: str) -> None:
    problem = desk.refusal("thing", arguments={"thing_id": text, "number": "1", "size": "s"})
    assert (problem.kind, problem.faults) == (Kind.NOT_FOUND, ())


def test_other_path_parameters_break_rules(desk: Desk) -> None:
    problem = desk.refusal("thing", arguments={"thing_id": ID, "number": "x", "size": "s"})
    assert (problem.kind, places(problem.faults)) == (Kind.INVALID, [("format", "number")])
    problem = desk.refusal("thing", arguments={"thing_id": ID, "number": "1", "size": "m"})
    assert places(problem.faults) == [("enum", "size")]
    assert problem.faults[0].detail == 'must be one of "s", "l"'


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (str, {"": "", "æ": "æ"}, ["a\x00", "\ud800"]),
        (
            int,
            {"0": 0, "-5": -5, "9223372036854775807": 2**63 - 1},
            ["", "+1", " 1", "1_0", "01", "1.0", "٣", str(2**63)],
        ),
        (float, {"1": 1.0, "-1.5": -1.5, "1e3": 1000.0}, ["NaN", "inf", "1e999", ".5", "1.", "0x1", "1_0"]),
        (Decimal, {"1.50": Decimal("1.50"), "-2": Decimal(-2)}, ["NaN", "1e5", "1.1234567", "1" * 13, "٣", ""]),
        (bool, {"true": True, "false": False}, ["1", "True", "yes", ""]),
        (UUID, {ID: UUID(ID), ID.upper(): UUID(ID)}, [ID.replace("-", ""), "x"]),
        (
            datetime,
            {"2026-01-31T09:30:00Z": datetime(2026, 1, 31, 9, 30, tzinfo=UTC)},
            ["2026-01-31T09:30:00", "5", ""],
        ),
        (date, {"2026-01-31": date(2026, 1, 31)}, ["2026-1-31", "2026-02-30"]),
        (time, {"09:30:00": time(9, 30)}, ["9:30", "25:00:00"]),
        (bytes, {"aGVq": b"hej"}, ["!!"]),
        (Size, {"s": Size.SMALL}, ["S", "small"]),
        (Level, {"1": Level.LOW}, ["2", "low"]),
        (Secret[str], {"x": Secret("x")}, ["\x00"]),
    ],
)
def test_each_type_has_its_spelling(type_: Any, good: dict[str, Any], bad: list[str]) -> None:
    read = bind_text(attribute_of("p", type_), "p")
    assert {text: read(text) for text in good} == good
    for text in bad:
        with pytest.raises(BadText) as caught:
            read(text)
        assert [fault.parameter for fault in caught.value.faults] == ["p"]


def test_what_has_no_spelling_is_a_start_up_fault() -> None:
    with pytest.raises(TypeError, match="a parameter cannot be an object"):
        bind_text(attribute_of("p", dict[str, int]), "p")


def test_the_query_string_is_typed_and_has_defaults(desk: Desk) -> None:
    inputs = desk.inputs("find", query=[("page_no", "2")])
    assert inputs == {"page_no": 2, "wide": False, "tags": ["a"], "sizes": (), "since": None}
    query = [("page_no", "2"), ("wide", "true"), ("tags", "x"), ("tags", "y"), ("sizes", "s"), ("since", "2026-01-31")]
    assert desk.inputs("find", query=query) == {
        "page_no": 2,
        "wide": True,
        "tags": ["x", "y"],
        "sizes": (Size.SMALL,),
        "since": date(2026, 1, 31),
    }


def test_a_default_that_can_change_is_never_shared(desk: Desk) -> None:
    first = desk.inputs("find", query=[("page_no", "1")])["tags"]
    first.append("b")
    assert desk.inputs("find", query=[("page_no", "1")])["tags"] == ["a"]


def test_faults_of_the_query_string_are_told_at_once(desk: Desk) -> None:
    query = [("wide", "1"), ("wide", "2"), ("sizes", "s"), ("sizes", "m"), ("zz", "1")]
    problem = desk.refusal("find", query=query)
    assert (problem.kind, problem.code) == (Kind.MALFORMED, "invalid_parameter")
    assert places(problem.faults) == [
        ("missing", "page_no"),
        ("repeated", "wide"),
        ("enum", "sizes"),
        ("unknown_parameter", "zz"),
    ]


@pytest.mark.parametrize("name", ["plain", "find", "told"])
def test_an_unknown_parameter_is_malformed(desk: Desk, name: str) -> None:
    query = [("zz", "1"), ("zz", "2"), *([("page_no", "1")] if name == "find" else [])]
    problem = desk.refusal(name, query=query, headers={"X-Shop": "a"})
    assert (problem.kind, problem.code) == (Kind.MALFORMED, "unknown_parameter")
    assert places(problem.faults) == [("unknown_parameter", "zz")]


def test_a_name_that_the_caller_made_up_is_cut(desk: Desk) -> None:
    assert places(desk.refusal("plain", query=[("x" * 100, "")]).faults) == [("unknown_parameter", "x" * 64 + "…")]
    assert places(desk.refusal("plain", query=[("\ud800", "")]).faults) == [("unknown_parameter", "?")]


def test_the_query_string_is_bounded(desk: Desk) -> None:
    small = Desk(module, limits=InputLimits(parameters=2, text=5))
    assert small.refusal("find", query=[("page_no", "1")] * 3).code == "invalid_parameter"
    assert small.faults("find", query=[("tags", "x" * 6)]) == [("too_long", "tags")]
    assert desk.faults("limited", query=[("names", "1")] * 3) == [("too_long", "names")]


def test_headers_are_read_by_their_names(desk: Desk) -> None:
    inputs = desk.inputs("told", headers={"x-shop": "a", "X-KEY": "k", "X-Number": "2"})
    assert inputs == {"shop": "a", "key": Secret("k"), "number": 2}
    assert desk.inputs("told", headers={"X-Shop": "a"}) == {"shop": "a", "key": None, "number": 0}


def test_faults_of_headers_are_malformed(desk: Desk) -> None:
    problem = desk.refusal("told", headers={"X-Number": "x"})
    assert (problem.kind, problem.code) == (Kind.MALFORMED, "invalid_parameter")
    assert places(problem.faults) == [("missing", "X-Shop"), ("format", "X-Number")]
    small = Desk(module, limits=InputLimits(text=5))
    assert small.faults("told", headers={"X-Shop": "x" * 6}) == [("too_long", "X-Shop")]


def test_camel_case_holds_for_parameters_too() -> None:
    desk = Desk(module, case="camel")
    assert desk.inputs("find", query=[("pageNo", "2")])["page_no"] == 2
    assert desk.faults("find", query=[("page_no", "2")]) == [("missing", "pageNo"), ("unknown_parameter", "page_no")]
