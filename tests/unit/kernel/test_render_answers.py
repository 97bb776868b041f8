"""From what a use case returns to a reply: bytes, status, location; of the declared type, or an error of ours."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, get_origin
from uuid import UUID

import pytest
from bound_input import Desk

from mainstay import (
    Dto,
    Entity,
    Event,
    File,
    Find,
    Module,
    Page,
    Principal,
    Repository,
    Secret,
    Stream,
    anyone,
    field,
    owner,
    role,
)
from mainstay.kernel.render.answers import _id_text
from mainstay.model.problem import Internal

BOSS = Principal(id=UUID(int=1), roles=frozenset({"boss"}))
CLERK = Principal(id=UUID(int=2))
ONE = UUID(int=11)


class Order(Entity):
    customer_id: UUID
    total: Decimal = Decimal("1.50")
    cost: int = field(default=7, read=role("boss"))
    mine: str = field(default="m", read=owner("customer_id"))
    pin: Secret[str] | None = None


class Note(Dto):
    text: str


class Happened(Event):
    id: int


module = Module("answers")
module.resource(Order, path="/orders", read=anyone, create=anyone, delete=anyone)


def declare(returns: Any, route: str, name: str, status: int = 200) -> None:
    async def use_case() -> None:
        """Answer."""

    use_case.__name__ = name
    use_case.__annotations__["return"] = returns
    streams = get_origin(returns) is Stream
    declared = module.query(f"GET /{route}", allow=anyone) if streams else None
    (declared or module.command(f"POST /{route}", allow=anyone, status=status))(use_case)


declare(None, "none", "none")
declare(None, "accepted", "accepted", 202)
declare(Note, "note", "note")
declare(Note | None, "maybe", "maybe")
declare(list[Order], "orders-list", "orders")
declare(list[Note], "notes", "notes")
declare(Page[Note], "note-page", "note_page")
declare(list[int], "numbers", "numbers")
declare(Page[str], "words", "words")
declare(int, "number", "number")
declare(str | int, "either", "either")
declare(dict[str, Order], "named", "named")
declare(Any, "whatever", "whatever")
declare(Stream[Order], "stream", "stream")
declare(Stream[int], "count", "counting")
declare(File, "file", "file")


@module.on(Happened)
async def heard(event: Happened) -> None:
    """Hear."""


@module.query("GET /found", allow=anyone)
async def found(find: Find[Order], orders: Repository[Order]) -> list[Order]:
    """Find a list."""
    return (await orders.page(find)).items


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


def order(**more: Any) -> Order:
    return Order(id=ONE, version=3, customer_id=CLERK.id, pin=Secret("1234"), **more)


EVERYTHING = {"find": Find()}


def shown(desk: Desk, name: str, value: Any, **call: Any) -> Any:
    return json.loads(desk.render(name, value, **call).body)


def test_a_service_with_faults_answers_nothing() -> None:
    here = Module("denied")

    async def denied() -> None:
        """Nobody may."""

    here.query("GET /denied")(denied)
    with pytest.raises(Internal):
        Desk(here).render("denied", None)


def test_statuses_and_locations(desk: Desk) -> None:
    created = desk.render("create_order", order(), principal=CLERK)
    assert (created.status, created.location, created.version) == (201, str(ONE), 3)
    assert (desk.render("none", None).status, desk.render("accepted", None).status) == (204, 202)
    assert desk.render("delete_order", None).status == 204
    assert desk.render("maybe", None).body == b"null"
    assert desk.render("heard", None).status == 204


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("number", 5, 5),
        ("either", "x", "x"),
        ("either", 5, 5),
        ("numbers", [1, 2], [1, 2]),
        ("words", Page(items=["a"], next="n"), {"items": ["a"], "next": "n"}),
        ("notes", [Note(text="x")], [{"text": "x"}]),
        ("notes", [], []),
        ("note_page", Page(items=[Note(text="x")], next="n"), {"items": [{"text": "x"}], "next": "n"}),
        ("whatever", None, None),
        ("whatever", {"a": [1]}, {"a": [1]}),
        ("maybe", Note(text="x"), {"text": "x"}),
    ],
)
def test_values_of_other_types(desk: Desk, name: str, value: Any, answer: Any) -> None:
    assert shown(desk, name, value) == answer


def test_structs_in_a_map_are_shown_by_their_own_rules(desk: Desk) -> None:
    answer = shown(desk, "named", {"a": order()}, principal=CLERK)
    assert (answer["a"]["mine"], "cost" in answer["a"], "pin" in answer["a"]) == ("m", False, False)


class Sub(Note):
    extra: str = "leak"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("none", 1),
        ("note", None),
        ("note", "x"),
        ("note", Sub(text="x")),
        ("note", order()),
        ("maybe", 5),
        ("number", "5"),
        ("number", True),
        ("either", 1.5),
        ("orders", None),
        ("orders", [order(), None]),
        ("orders", (order(),)),
        ("orders", [Note(text="x")]),
        ("numbers", ["x"]),
        ("words", Page(items=[1])),
        ("words", []),
        ("named", {"a": Note(text="x")}),
        ("file", b"x"),
        ("stream", [order()]),
        ("whatever", Secret("x")),
        ("whatever", object()),
        ("whatever", "\ud800"),
        ("note", Note(text="\ud800")),
    ],
)
def test_what_is_not_of_the_declared_type_is_an_error_of_ours(desk: Desk, name: str, value: Any) -> None:
    with pytest.raises(Internal) as caught:
        desk.render(name, value)
    assert caught.value.detail == "Something went wrong on our side"
    assert str(caught.value.__cause__).startswith(name)


async def items(*values: Any) -> AsyncIterator[Any]:
    for value in values:
        yield value


class Bare:
    """An iterator that cannot be closed."""

    def __init__(self, *values: Any) -> None:
        self._values = list(values)

    def __aiter__(self) -> Bare:
        return self

    async def __anext__(self) -> Any:
        if not self._values:
            raise StopAsyncIteration
        return self._values.pop(0)


async def lines(reply: Any) -> list[bytes]:
    return [item.text async for item in reply.stream]


async def test_a_stream_is_a_line_an_item(desk: Desk) -> None:
    reply = desk.render("counting", Stream(items(1, 2)))
    assert await lines(reply) == [b"1", b"2"]
    assert await lines(desk.render("counting", Stream(Bare(1)))) == [b"1"]
    told = await lines(desk.render("stream", Stream(items(order())), principal=CLERK))
    assert json.loads(told[0])["mine"] == "m"
    assert b"1234" not in told[0]


async def test_a_stream_of_what_hides_nothing_is_encoded_as_it_is() -> None:
    here = Module("streams")

    async def stream() -> None:
        """Stream."""

    stream.__annotations__["return"] = Stream[Note]
    here.query("GET /stream", allow=anyone)(stream)
    desk = Desk(here)
    assert await lines(desk.render("stream", Stream(items(Note(text="x"))))) == [b'{"text":"x"}']
    with pytest.raises(Internal) as caught:
        await lines(desk.render("stream", Stream(items(5))))
    assert "stream returned int" in str(caught.value.__cause__)


def test_a_file_is_passed_on(desk: Desk) -> None:
    file = File(content=b"x", media_type="text/plain")
    assert desk.render("file", file).file is file


def test_lists_found_by_a_search_show_the_fields_asked_for(desk: Desk) -> None:
    assert shown(desk, "found", [order()], inputs={"find": Find(fields=("total",))}) == [{"total": "1.50"}]


def test_an_answer_without_a_json_form_is_a_start_up_fault() -> None:
    here = Module("odd")

    class Odd:
        """No type of the model."""

    async def odd() -> None:
        """Answer with an odd thing."""

    odd.__annotations__["return"] = Odd
    here.query("GET /odd", allow=anyone)(odd)
    desk = Desk(here)
    assert "its answer cannot be rendered" in str(desk.blueprint.faults[0])
    with pytest.raises(Internal):
        desk.render("odd", Odd())


def test_media_types_of_answers(desk: Desk) -> None:
    from mainstay.kernel.validate import media_of

    gives = {name: media_of(desk.planned[name].signature).gives for name in ("file", "stream", "note", "none")}
    assert gives == {
        "file": "application/octet-stream",
        "stream": "application/x-ndjson",
        "note": "application/json",
        "none": "application/json",
    }


def test_what_names_an_item_is_one_line() -> None:
    assert _id_text(ONE) == str(ONE)
    for text in ("a\nb", "a\rb", "a\0b"):
        with pytest.raises(ValueError, match="line break"):
            _id_text(text)
