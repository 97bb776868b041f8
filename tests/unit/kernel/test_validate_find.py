"""Searches from the query string, and what a caller may not search by."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from bound_input import Desk, places

from mainstay import (
    Dto,
    Entity,
    Find,
    Many,
    Module,
    Page,
    Principal,
    Repository,
    Secret,
    anyone,
    field,
    owner,
    related,
    role,
)
from mainstay.kernel.validate import InputLimits, operators_of
from mainstay.kernel.validate.find import heavy_fields
from mainstay.model.conditions import TRUE, Among, Compare, Contains
from mainstay.model.conditions import AllOf as Every
from mainstay.model.inputs import Sort
from mainstay.model.schema import attribute_of, shape_of

BOSS = Principal(id=UUID(int=1), roles=frozenset({"boss"}))
CLERK = Principal(id=UUID(int=2))
ID = "0192f0c1-2345-7abc-8def-0123456789ab"


class Status(StrEnum):
    NEW = "new"
    OLD = "old"


class Odd(Enum):
    ONE = 1


class Inner(Dto):
    text: str


class Wide(Entity):
    short: str = field(max_length=500)
    long: str = field(max_length=501)
    open: str
    number: int
    data: bytes
    inner: Inner
    words: list[str]
    facts: dict[str, int]
    free: Any


class Line(Entity):
    order_id: UUID
    parent_id: UUID | None = None
    sublines: Many[Line] = related("parent_id")


class Order(Entity):
    customer_id: UUID
    name: str
    status: Status = Status.NEW
    odd: Odd = Odd.ONE
    price: Decimal = field(default=Decimal(0), ge=0, digits=8, places=2)
    stock: int = field(default=0, ge=0)
    paid: bool = False
    due: date | None = None
    cost: int = field(default=0, read=role("boss"))
    mine: int = field(default=0, read=owner("customer_id"))
    pin: Secret[str] | None = None
    token: str = field(default="", secret=True)
    written: str = field(default="", write_only=True)
    facts: dict[str, int] = field(default_factory=dict)
    limit: int = 0
    lines: Many[Line] = related("order_id")


module = Module("orders")
module.entity(Line)
module.resource(Order, path="/orders", read=anyone)


@module.query("GET /search", allow=anyone)
async def search(word: str, find: Find[Order], orders: Repository[Order]) -> Page[Order]:
    """Search with a parameter of its own."""
    return await orders.page(find)


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


def found(desk: Desk, *query: tuple[str, str], who: Principal = CLERK) -> Find[Any]:
    find: Find[Any] = desk.inputs("list_orders", query=list(query), principal=who)["find"]
    return find


def test_no_query_is_everything(desk: Desk) -> None:
    assert found(desk) == Find()


@pytest.mark.parametrize(
    ("name", "text", "condition"),
    [
        ("status", "new", Compare("status", "eq", Status.NEW)),
        ("status[eq]", "new", Compare("status", "eq", Status.NEW)),
        ("status[ne]", "new", Compare("status", "ne", Status.NEW)),
        ("status[in]", "new,old,new", Among("status", (Status.NEW, Status.OLD))),
        ("price[gt]", "1.50", Compare("price", "gt", Decimal("1.50"))),
        ("price[gte]", "-1", Compare("price", "ge", Decimal(-1))),
        ("price[lt]", "1", Compare("price", "lt", Decimal(1))),
        ("price[lte]", "1", Compare("price", "le", Decimal(1))),
        ("name[contains]", "a,b", Contains("name", "a,b")),
        ("name[starts]", "a", Contains("name", "a", "start")),
        ("due[null]", "true", Compare("due", "eq", None)),
        ("due[null]", "false", Compare("due", "ne", None)),
        ("due[gte]", "2026-01-31", Compare("due", "ge", date(2026, 1, 31))),
        ("paid", "true", Compare("paid", "eq", True)),
        ("id", ID, Compare("id", "eq", UUID(ID))),
        ("limit[eq]", "5", Compare("limit", "eq", 5)),
        ("stock", "-5", Compare("stock", "eq", -5)),
    ],
)
def test_a_filter_becomes_a_condition_with_typed_values(desk: Desk, name: str, text: str, condition: Any) -> None:
    assert found(desk, (name, text)).condition == condition


def test_the_order_of_filters_does_not_matter(desk: Desk) -> None:
    one = found(desk, ("price[gte]", "1"), ("name", "x"), ("price[lt]", "9"))
    other = found(desk, ("price[lt]", "9"), ("price[gte]", "1"), ("name", "x"))
    assert one == other
    assert isinstance(one.condition, Every)
    assert len(one.condition.parts) == 3


def test_order_page_fields_and_relations_are_read(desk: Desk) -> None:
    query = [("sort", "-price,name"), ("limit", "20"), ("cursor", "abc"), ("count", "exact"), ("fields", "id,name,id")]
    find = found(desk, *query, ("include", "lines.sublines,lines"))
    assert find == Find(
        condition=TRUE,
        sort=(Sort("price", descending=True), Sort("name")),
        limit=20,
        cursor="abc",
        count=True,
        fields=("id", "name"),
        include=("lines.sublines", "lines"),
        unread=("pin", "token", "written", "facts"),
    )


def test_heavy_fields_that_nobody_looks_at_are_not_read(desk: Desk) -> None:
    assert found(desk, ("name", "x")).unread == ()
    assert found(desk, ("fields", "id,facts")).unread == ("name", "pin", "token", "written")
    assert found(desk, ("fields", "id"), ("sort", "-name")).unread == ("pin", "token", "written", "facts")
    assert found(desk, ("fields", "id"), ("name[contains]", "x")).unread == ("name", "pin", "token", "written", "facts")
    mine = desk.inputs("search", query=[("word", "x"), ("fields", "id")])["find"]
    assert mine.unread == ()  # who knows what a team's own code looks at


def test_a_field_is_heavy_where_its_values_may_be_large() -> None:
    class Checked(Wide):
        def __post_init__(self) -> None:
            assert self.open

    assert heavy_fields(shape_of(Wide)) == ("long", "open", "data", "inner", "words", "facts", "free")
    assert heavy_fields(shape_of(Checked)) == ()


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("zz", "1", ("unknown_parameter", "zz")),
        ("price[zz]", "1", ("unknown_parameter", "price[zz]")),
        ("price[", "1", ("unknown_parameter", "price[")),
        ("price[]", "1", ("unknown_parameter", "price[]")),
        ("price[null]", "true", ("unknown_parameter", "price[null]")),
        ("price[contains]", "1", ("unknown_parameter", "price[contains]")),
        ("status[gt]", "new", ("unknown_parameter", "status[gt]")),
        ("facts", "1", ("unknown_parameter", "facts")),
        ("lines", "1", ("unknown_parameter", "lines")),
        ("price", "x", ("format", "price")),
        ("price[gte]", "NaN", ("format", "price[gte]")),
        ("price[gte]", "1.555", ("too_many_places", "price[gte]")),
        ("price[in]", "1,x", ("format", "price[in]")),
        ("due[null]", "1", ("format", "due[null]")),
        ("name", "a\x00", ("null_character", "name")),
        ("id", "x", ("format", "id")),
        ("sort", "zz", ("unknown_field", "sort")),
        ("sort", "", ("unknown_field", "sort")),
        ("sort", "facts", ("unknown_field", "sort")),
        ("sort", "odd", ("unknown_field", "sort")),
        ("sort", "name,-name", ("too_long", "sort")),
        ("limit", "0", ("range", "limit")),
        ("limit", "201", ("range", "limit")),
        ("limit", "x", ("range", "limit")),
        ("limit", "٣", ("range", "limit")),
        ("count", "yes", ("enum", "count")),
        ("fields", "zz", ("unknown_field", "fields")),
        ("fields", "lines", ("unknown_field", "fields")),
        ("include", "zz", ("unknown_relation", "include")),
        ("include", "lines.sublines.sublines", ("unknown_relation", "include")),
    ],
)
def test_what_cannot_be_asked_is_malformed(desk: Desk, name: str, text: str, fault: tuple[str, str]) -> None:
    problem = desk.refusal("list_orders", query=[(name, text)], principal=CLERK)
    expected = "unknown_parameter" if fault[0] == "unknown_parameter" else "invalid_parameter"
    assert (problem.code, places(problem.faults)) == (expected, [fault])


@pytest.mark.parametrize("hidden", ["cost", "mine", "pin", "token", "written"])
@pytest.mark.parametrize("form", ["{}", "{}[eq]", "{}[gte]", "sort={}", "sort=-name,{}", "fields=id,{}"])
def test_what_may_not_be_read_is_answered_as_what_is_not_there(desk: Desk, hidden: str, form: str) -> None:
    def told(field_name: str) -> bytes:
        name, _, text = form.format(field_name).partition("=")
        problem = desk.refusal("list_orders", query=[(name, text or "1")], principal=CLERK)
        answer = msgspec.json.encode([problem.kind.value, problem.code, problem.detail, problem.faults])
        return answer.replace(field_name.encode(), b"*")

    assert told(hidden) == told("nosuch")


def test_where_nothing_is_masked_all_may_search() -> None:
    here = Module("lines")
    here.resource(Line, path="/lines", read=anyone)
    find = Desk(here).inputs("list_lines", query=[("sort", "order_id")])["find"]
    assert find.sort == (Sort("order_id"),)


def test_who_may_read_a_field_may_search_by_it(desk: Desk) -> None:
    find = found(desk, ("cost[gte]", "1"), ("sort", "cost"), ("fields", "cost"), who=BOSS)
    assert find.condition == Compare("cost", "ge", 1)
    assert (find.sort, find.fields) == ((Sort("cost"),), ("cost",))


def test_searches_are_bounded() -> None:
    desk = Desk(module, limits=InputLimits(filters=2, sorts=1, members=2, includes=1))
    query = [("price[gt]", "1"), ("price[lt]", "2"), ("name", "x")]
    assert [code for code, _ in desk.faults("list_orders", query=query)] == ["too_long"]
    assert desk.faults("list_orders", query=[("sort", "name,price")]) == [("too_long", "sort")]
    assert desk.faults("list_orders", query=[("stock[in]", "1,2,3")]) == [("too_long", "stock[in]")]
    assert desk.faults("list_orders", query=[("include", "lines,lines.sublines")]) == [("too_long", "include")]


@pytest.mark.parametrize("name", ["price", "sort", "limit", "cursor", "count", "fields", "include"])
def test_each_parameter_is_given_once(desk: Desk, name: str) -> None:
    text = {"sort": "name", "count": "exact", "fields": "id", "include": "lines"}.get(name, "1")
    assert desk.faults("list_orders", query=[(name, text), (name, text)]) == [("repeated", name)]


def test_one_row_is_not_filtered(desk: Desk) -> None:
    place = {"id": ID}
    inputs = desk.inputs("get_order", query=[("fields", "id"), ("include", "lines")], arguments=place)
    assert inputs["find"] == Find(fields=("id",), include=("lines",))
    for name in ("price", "sort", "limit", "cursor", "count"):
        assert desk.faults("get_order", query=[(name, "1")], arguments=place)[0][0] == "unknown_parameter"


def test_parameters_of_its_own_stand_beside_the_search(desk: Desk) -> None:
    inputs = desk.inputs("search", query=[("word", "x"), ("stock", "1")])
    assert inputs == {"word": "x", "find": Find(condition=Compare("stock", "eq", 1))}
    assert desk.faults("search", query=[("zz", "1")]) == [("missing", "word"), ("unknown_parameter", "zz")]


def test_camel_case_holds_for_searches_too() -> None:
    desk = Desk(module, case="camel")
    query = [("customerId", ID), ("sort", "-createdAt"), ("fields", "customerId"), ("include", "lines")]
    find = desk.inputs("list_orders", query=query)["find"]
    assert find.condition == Compare("customer_id", "eq", UUID(ID))
    assert (find.sort, find.fields) == ((Sort("created_at", descending=True),), ("customer_id",))
    assert desk.faults("list_orders", query=[("customer_id", ID)]) == [("unknown_parameter", "customer_id")]


def test_operators_follow_the_kind_of_a_field() -> None:
    assert operators_of(attribute_of("a", bytes)) == ("eq", "ne", "in")
    assert operators_of(attribute_of("a", int | None)) == ("eq", "ne", "in", "gt", "gte", "lt", "lte", "null")
    assert operators_of(attribute_of("a", str))[-2:] == ("contains", "starts")
    assert operators_of(attribute_of("a", dict[str, int])) == ()
    assert operators_of(attribute_of("a", Secret[str])) == ()
