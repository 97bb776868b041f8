"""What of a value a caller is shown: hidden fields never, masked ones where their policy lets the caller."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from bound_input import Desk

from mainstay import (
    Dto,
    Entity,
    Find,
    Many,
    Module,
    Page,
    Principal,
    Secret,
    anyone,
    field,
    owner,
    related,
    role,
)

BOSS = Principal(id=UUID(int=1), roles=frozenset({"boss"}))
CLERK = Principal(id=UUID(int=2))
ONE = UUID(int=11)
BOSSES = role("boss")


class Line(Entity):
    order_id: UUID
    text: str = "t"
    cost: int = field(default=3, read=role("boss"))


class Order(Entity):
    customer_id: UUID
    total: Decimal = Decimal("1.50")
    cost: int = field(default=7, read=BOSSES)
    gain: int = field(default=8, read=BOSSES)
    mine: str = field(default="m", read=owner("customer_id"))
    pin: Secret[str] | None = None
    token: str = field(default="t", secret=True)
    inward: str = field(default="i", write_only=True)
    lines: Many[Line] = related("order_id")


class Plain(Entity):
    name: str
    size: int | None = None
    kids: Many[Kid] = related("plain_id")


class Kid(Entity):
    plain_id: UUID


class Note(Dto):
    text: str


class Holder(Dto):
    note: Note | None = None
    order: Order | None = None
    orders: list[Order | None] = field(default_factory=list)
    by_name: dict[str, Order | None] = field(default_factory=dict)
    anything: Any = None
    words: set[str] = field(default_factory=set)
    loose: dict = field(default_factory=dict)  # type: ignore[type-arg]  # a map of anything


class Tagged(Dto, tag="tagged", omit_defaults=True):
    a: int = 1
    b: int = field(default=2, read=role("boss"))
    c: list[int] = field(default_factory=list)


class Tree(Dto):
    n: int
    kids: list[Tree] = field(default_factory=list)


module = Module("views")
module.resource(Order, path="/orders", read=anyone, create=anyone, delete=anyone)
module.resource(Plain, path="/plains", read=anyone)


def declare(returns: Any, route: str) -> None:
    async def use_case() -> None:
        """Answer."""

    use_case.__name__ = route
    use_case.__annotations__["return"] = returns
    module.command(f"POST /{route}", allow=anyone)(use_case)


declare(Holder, "holder")
declare(Tagged, "tagged")
declare(Tree, "tree")
declare(Any, "whatever")


@pytest.fixture(scope="module")
def desk() -> Desk:
    return Desk(module)


def order(**more: Any) -> Order:
    return Order(id=ONE, version=3, customer_id=CLERK.id, pin=Secret("1234"), **more)


EVERYTHING = {"find": Find()}


def shown(desk: Desk, name: str, value: Any, **call: Any) -> Any:
    return json.loads(desk.render(name, value, **call).body)


def test_what_hides_nothing_is_encoded_as_it_is(desk: Desk) -> None:
    reply = desk.render("get_plain", Plain(id=ONE, version=2, name="æ"), inputs=EVERYTHING)
    assert json.loads(reply.body) == {
        "id": str(ONE),
        "version": 2,
        "created_at": "1970-01-01T00:00:00Z",
        "updated_at": "1970-01-01T00:00:00Z",
        "name": "æ",
        "size": None,
    }
    assert (reply.status, reply.version, reply.view, reply.location) == (200, 2, "", None)


def test_hidden_fields_are_never_shown(desk: Desk) -> None:
    for who in (BOSS, CLERK, Principal.system):
        text = desk.render("get_order", order(), inputs=EVERYTHING, principal=who).body
        assert {"pin", "token", "inward"}.isdisjoint(json.loads(text))
        assert b"1234" not in text


def test_masked_fields_are_shown_to_whom_their_policy_lets(desk: Desk) -> None:
    boss = desk.render("get_order", order(), inputs=EVERYTHING, principal=BOSS)
    clerk = desk.render("get_order", order(), inputs=EVERYTHING, principal=CLERK)
    assert (json.loads(boss.body).get("cost"), json.loads(boss.body).get("mine")) == (7, None)
    assert (json.loads(clerk.body).get("cost"), json.loads(clerk.body).get("mine")) == (None, "m")
    assert (boss.view, clerk.view) == ("m=mine", "m=cost,gain")
    assert boss.version == 3


def test_masks_on_rows_are_asked_of_each_row(desk: Desk) -> None:
    rows = [order(), msgspec_replace(order(), customer_id=BOSS.id)]
    items = shown(desk, "list_orders", Page(items=rows, count=2), inputs=EVERYTHING, principal=CLERK)["items"]
    assert ["mine" in item for item in items] == [True, False]


def msgspec_replace(row: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(row, **changes)


def test_only_the_fields_that_were_asked_for_are_shown(desk: Desk) -> None:
    reply = desk.render("get_order", order(), inputs={"find": Find(fields=("total",))}, principal=CLERK)
    assert (reply.body, reply.view, reply.version) == (b'{"total":"1.50"}', "f=total", 3)
    page = Page(items=[order()], next="abc", count=1)
    reply = desk.render("list_orders", page, inputs={"find": Find(fields=("id",))}, principal=CLERK)
    assert reply.body == f'{{"items":[{{"id":"{ONE}"}}],"next":"abc","count":1}}'.encode()
    assert reply.next == "abc"


def test_a_long_view_is_told_by_its_digest(desk: Desk) -> None:
    names = ("id", "version", "created_at", "updated_at", "customer_id", "total", "cost", "mine")
    reply = desk.render("get_order", order(), inputs={"find": Find(fields=names)}, principal=CLERK)
    other = desk.render("get_order", order(), inputs={"find": Find(fields=names[1:])}, principal=CLERK)
    assert len(reply.view) == 16
    assert reply.view != other.view


def test_relations_are_shown_where_they_were_loaded(desk: Desk) -> None:
    loaded = order(lines=[Line(id=ONE, order_id=ONE)])
    assert "lines" not in shown(desk, "get_order", order(), inputs=EVERYTHING)
    assert "cost" not in shown(desk, "get_order", loaded, inputs=EVERYTHING, principal=CLERK)["lines"][0]
    assert shown(desk, "get_order", loaded, inputs=EVERYTHING, principal=BOSS)["lines"][0]["cost"] == 3
    fields = {"find": Find(fields=("id",), include=("lines",))}
    assert set(shown(desk, "get_order", loaded, inputs=fields)) == {"id", "lines"}


def test_what_is_shown_of_related_rows_is_part_of_the_view(desk: Desk) -> None:
    views = {
        desk.render("get_plain", Plain(id=ONE, name="a", kids=kids), inputs=EVERYTHING).view
        for kids in ([], [Kid(plain_id=ONE)], [Kid(plain_id=ONE, version=1)])
    }
    assert len(views) == 3
    assert all(view.startswith("b=") for view in views)
    loaded = order(lines=[])
    assert "m=cost,gain" in desk.render("get_order", loaded, inputs=EVERYTHING, principal=CLERK).view


def test_structs_inside_a_dto_are_shown_by_their_own_rules(desk: Desk) -> None:
    holder = Holder(
        note=Note(text="x"),
        order=order(),
        orders=[order(), None],
        by_name={"a": order(), "b": None},
        anything={"k": [order(), Secret, (1, {2})][:1], "s": frozenset({2, 1}), "t": (1,)},
        words={"b", "a"},
        loose={"o": order()},
    )
    text = desk.render("holder", holder, principal=CLERK).body
    assert b"1234" not in text
    assert b"inward" not in text
    assert b'"cost"' not in text
    answer = json.loads(text)
    assert answer["note"] == {"text": "x"}
    assert answer["orders"][0]["mine"] == answer["by_name"]["a"]["mine"] == answer["loose"]["o"]["mine"] == "m"
    assert (answer["orders"][1], answer["by_name"]["b"]) == (None, None)
    assert (answer["words"], answer["anything"]["s"], answer["anything"]["t"]) == (["a", "b"], [1, 2], [1])


def test_a_set_of_mixed_values_has_one_order(desk: Desk) -> None:
    assert shown(desk, "whatever", {"s": {1, "a", None}}) == {"s": ["a", 1, None]}


def test_tags_and_omitted_defaults_are_kept_where_fields_are_masked(desk: Desk) -> None:
    assert shown(desk, "tagged", Tagged(a=5, b=6), principal=CLERK) == {"type": "tagged", "a": 5}
    assert shown(desk, "tagged", Tagged(b=6), principal=CLERK) == {"type": "tagged"}
    assert shown(desk, "tagged", Tagged(b=6), principal=BOSS) == {"type": "tagged", "b": 6}


class Masked(Dto):
    a: int = field(default=0, read=role("0"))
    b: int = field(default=1, read=role("1"))
    c: int = field(default=2, read=role("2"))
    d: int = field(default=3, read=role("3"))
    e: int = field(default=4, read=role("4"))
    f: int = field(default=5, read=role("5"))
    g: int = field(default=6, read=role("6"))


def test_every_mix_of_masks_is_shown_right() -> None:
    here = Module("masks")

    async def masks() -> None:
        """Show."""

    masks.__annotations__["return"] = Masked
    here.query("GET /masks", allow=anyone)(masks)
    desk = Desk(here)
    for _ in range(2):  # what was found out once is found again
        for mix in range(128):
            roles = frozenset(str(n) for n in range(7) if mix >> n & 1)
            who = Principal(id=ONE, roles=roles)
            assert set(shown(desk, "masks", Masked(), principal=who).values()) == set(map(int, roles))


def test_a_struct_may_hold_itself(desk: Desk) -> None:
    tree = Tree(n=1, kids=[Tree(n=2, kids=[Tree(n=3)])])
    assert shown(desk, "tree", tree) == {"n": 1, "kids": [{"n": 2, "kids": [{"n": 3, "kids": []}]}]}
