"""Masked fields: who may not read one cannot see, choose, order by, filter by or write it, and it leaves no trace."""

from __future__ import annotations

from typing import Any

import pytest
from hostile_service import refused
from http_clients import Answered
from shop_served import Client, Person
from two_people import ANN, BOB, BOSS, HELPER, TwoPeople, facts

PRICE = "3.21"
OPERATORS = ["{}", "{}[eq]", "{}[ne]", "{}[in]", "{}[gt]", "{}[gte]", "{}[lt]", "{}[lte]", "{}[null]", "{}[contains]"]


@pytest.fixture(scope="module")
def product(world: TwoPeople) -> str:
    """Return the path of a product whose purchase price is known to managers."""
    path = f"/products/{world.products['TEA-WHITE']['id']}"
    assert world.client.ask("PATCH", path, BOSS, {"purchase_price": PRICE}).json["purchase_price"] == PRICE
    return path


def alike(one: Answered, other: Answered, name: str, unknown: str) -> None:
    """Check that a masked name is answered as an unknown one is."""
    assert refused(one, 400) == refused(other, 400)
    assert facts(one, without=name) == facts(other, without=unknown)


@pytest.mark.parametrize("who", [None, ANN, HELPER], ids=["nobody", "a customer", "support"])
def test_it_is_in_no_answer(client: Client, product: str, who: Person | None) -> None:
    for target in (
        product,
        "/products",
        "/products?sku=TEA-WHITE",
        "/products?limit=200&sort=price",
        f"{product}?fields=id",
    ):
        answer = client.get(target, who)
        assert answer.status == 200
        assert b"purchase" not in answer.body
        assert PRICE.encode() not in answer.body
    assert client.get(product, BOSS).json["purchase_price"] == PRICE


@pytest.mark.parametrize(
    ("path", "name", "who"),
    [
        ("/products", "purchase_price", None),
        ("/products", "purchase_price", ANN),
        ("/products", "purchase_price", HELPER),
        ("/customers", "note", ANN),
        ("/customers", "note", BOSS),
    ],
    ids=str,
)
def test_it_cannot_be_chosen_ordered_or_filtered_by(
    client: Client, product: str, path: str, name: str, who: Person | None
) -> None:
    unknown = "z" * len(name)
    one = product if path == "/products" else path
    listed = ("fields={}", "fields=id,{}", "sort={}", "sort=-{}", "sort=id,{}", *(f"{op}=1" for op in OPERATORS))
    for place, forms in ((path, listed), (one, ("fields={}", "{}=1"))):
        for form in forms:
            masked = client.get(f"{place}?{form.format(name)}", who)
            alike(masked, client.get(f"{place}?{form.format(unknown)}", who), name, unknown)


def test_who_may_read_it_may_choose_order_and_filter(client: Client, product: str) -> None:
    found = client.get(f"/products?purchase_price={PRICE}&count=exact&fields=sku,purchase_price", BOSS).json
    assert found == {"items": [{"sku": "TEA-WHITE", "purchase_price": PRICE}], "count": 1}
    assert client.get("/products?sort=-purchase_price&limit=1", BOSS).json["items"][0]["sku"] == "TEA-WHITE"
    assert client.get("/customers?note[contains]=pays%20late", HELPER).json["items"][0]["name"] == "Annabel-Secret"


def test_an_order_with_it_in_a_cursor_is_no_way_round(client: Client, product: str) -> None:
    cursor = client.get("/products?sort=purchase_price&limit=1", BOSS).json["next"]
    assert refused(client.get(f"/products?limit=1&cursor={cursor}", ANN), 400) == "cursor_invalid"
    assert refused(client.get(f"/products?sort=price&limit=1&cursor={cursor}", ANN), 400) == "cursor_invalid"


@pytest.mark.parametrize("value", ["x", "", None, "annabel pays late"])
def test_it_cannot_be_written(client: Client, world: TwoPeople, value: Any) -> None:
    own = f"/customers/{world.customers[BOB]['id']}"
    before = client.get(own, HELPER).json
    assert before["note"] == "bob is fine"
    answer = client.ask("PATCH", own, BOB, {"note": value})
    refused(answer, 422)
    assert [(f["code"], f["pointer"]) for f in answer.json["faults"]] == [("forbidden_field", "/note")]
    made = client.ask(
        "POST", "/customers", Person(20, "customer"), {"name": "n", "email": "n@example.com", "note": "x"}
    )
    refused(made, 422)
    assert client.get(own, HELPER).json == before


def test_a_change_of_something_else_keeps_and_hides_it(client: Client, world: TwoPeople) -> None:
    own = f"/customers/{world.customers[BOB]['id']}"
    answer = client.ask("PATCH", own, BOB, {"name": "Robert"})
    assert (answer.status, answer.json["name"]) == (200, "Robert")
    assert "note" not in answer.json
    assert client.get(own, HELPER).json["note"] == "bob is fine"


def test_the_validator_of_a_masked_answer_is_another(client: Client, product: str) -> None:
    masked, whole = client.get(product, ANN)["etag"], client.get(product, BOSS)["etag"]
    assert masked != whole
    assert masked.partition("-")[0] == whole.partition("-")[0]
    assert client.get(product, BOSS, If_None_Match=masked).status == 200
    assert client.get(product, ANN, If_None_Match=whole).status == 200
    assert client.get(product, ANN, If_None_Match=masked).status == 304
    assert client.get(product, None)["etag"] == masked
    assert client.get(f"{product}?fields=sku", ANN)["etag"] != masked


def test_answers_for_one_caller_are_for_no_shared_cache(client: Client, product: str, world: TwoPeople) -> None:
    assert client.get(product, ANN)["cache-control"] == "private, no-cache"
    assert client.get(product)["cache-control"] == "no-cache"
    assert client.get("/orders", ANN)["cache-control"] == "no-store"
    assert client.get(f"/orders/{world.orders[ANN][0]['id']}", ANN)["cache-control"] == "private, no-cache"
    assert client.get(f"/orders/{world.orders[ANN][0]['id']}", BOB)["cache-control"] == "no-store"
