"""Orders: placed while there is stock, whole or not at all, seen by who placed them."""

from decimal import Decimal

import pytest
from shop.store.catalog import Category, Product
from shop.store.orders import LineWanted, Order, OrderLine, OrderPlaced, OutOfStock, PlaceOrder, place_order
from stocking import stocked

from mainstay.testing import Client, as_principal, memory_unit

ann, bob = as_principal("ann", roles="customer"), as_principal("bob", roles="customer")
support = as_principal("sue", roles="support")


def wanted(**pieces: int) -> dict[str, object]:
    """The body of an order."""
    return {"lines": [{"sku": sku, "quantity": quantity} for sku, quantity in pieces.items()]}


async def test_a_use_case_is_called_directly() -> None:
    async with memory_unit(Category, Product, Order, OrderLine, who=ann) as unit:
        (shelf,) = await unit.given(Category(slug="tea", title="Tea"))
        await unit.given(Product(sku="TEA", name="Tea", category_id=shelf.id, price=Decimal("3.50"), stock=2))
        order = await unit.call(place_order, wanted=PlaceOrder(lines=[LineWanted(sku="TEA", quantity=2)]))
        assert (order.customer_id, order.total, len(order.lines)) == (ann.id, Decimal("7.00"), 1)
        assert unit.emitted == [OrderPlaced(order_id=order.id, customer_id=ann.id, total=order.total)]
        with pytest.raises(OutOfStock) as refused:
            await unit.call(place_order, wanted=PlaceOrder(lines=[LineWanted(sku="TEA")]))
        assert refused.value.members == {"sku": "TEA", "left": 0}


async def test_an_order_takes_its_pieces_from_stock(each_client: Client) -> None:
    await stocked(each_client, TEA=5, CUP=1)
    answer = await each_client.post("/orders", who=ann, json=wanted(TEA=2, CUP=1))
    assert (answer.status, answer.json["total"], answer.json["status"]) == (201, "15.00", "placed")
    assert [line["sku"] for line in answer.json["lines"]] == ["TEA", "CUP"]
    assert answer.headers["location"] == f"/orders/{answer.json['id']}"
    assert {p.sku: p.stock for p in await each_client.stored(Product)} == {"TEA": 3, "CUP": 0}


async def test_an_order_is_never_placed_in_part(each_client: Client) -> None:
    await stocked(each_client, TEA=5, CUP=0)
    answer = await each_client.post("/orders", who=ann, json=wanted(TEA=2, CUP=1))
    assert (answer.status, answer.code, answer.json["left"]) == (409, "out_of_stock", 0)
    assert {p.sku: p.stock for p in await each_client.stored(Product)} == {"TEA": 5, "CUP": 0}
    assert await each_client.stored(Order) == []
    assert await each_client.waiting() == []


async def test_a_retry_with_the_same_key_orders_once(each_client: Client) -> None:
    await stocked(each_client, TEA=5)
    first = await each_client.post("/orders", who=ann, json=wanted(TEA=2), key="k-1")
    again = await each_client.post("/orders", who=ann, json=wanted(TEA=2), key="k-1")
    assert again.body == first.body
    assert again.headers["idempotency-replayed"] == "true"
    assert len(await each_client.stored(Order)) == 1
    other = await each_client.post("/orders", who=ann, json=wanted(TEA=1), key="k-1")
    assert (other.status, other.code) == (422, "idempotency_key_reused")


async def test_cancelling_puts_the_pieces_back_once(each_client: Client) -> None:
    await stocked(each_client, TEA=5)
    order = (await each_client.post("/orders", who=ann, json=wanted(TEA=2))).json
    assert (await each_client.post(f"/orders/{order['id']}/cancel", who=bob)).status == 404
    answer = await each_client.post(f"/orders/{order['id']}/cancel", who=ann)
    assert (answer.status, answer.json["status"]) == (200, "cancelled")
    again = await each_client.post(f"/orders/{order['id']}/cancel", who=ann)
    assert (again.status, again.code) == (409, "already_cancelled")
    assert [p.stock for p in await each_client.stored(Product)] == [5]


async def test_an_order_is_seen_by_its_customer_and_by_support(each_client: Client) -> None:
    await stocked(each_client, TEA=5)
    order = (await each_client.post("/orders", who=ann, json=wanted(TEA=1))).json
    for who, status, count in ((ann, 200, 1), (bob, 404, 0), (support, 200, 1)):
        assert (await each_client.get(f"/orders/{order['id']}", who=who)).status == status
        listed = await each_client.get("/orders", who=who, query={"count": "exact", "include": "lines"})
        assert (len(listed.json["items"]), listed.json["count"]) == (count, count)
    assert (await each_client.get("/orders")).status == 401


async def test_what_is_wrong_is_told_at_once(client: Client) -> None:
    bad = {"lines": [{"sku": "", "quantity": 0}, {"quantity": 101, "price": 1}]}
    answer = await client.post("/orders", who=ann, json=bad)
    assert answer.status == 422
    assert {(f["pointer"], f["code"]) for f in answer.json["faults"]} == {
        ("/lines/0/sku", "too_short"),
        ("/lines/0/quantity", "too_small"),
        ("/lines/1/sku", "missing"),
        ("/lines/1/quantity", "too_large"),
        ("/lines/1/price", "unknown_field"),
    }


async def test_orders_are_limited(client: Client) -> None:
    await stocked(client, TEA=100)
    answers = [await client.post("/orders", who=ann, json=wanted(TEA=1)) for _ in range(61)]
    assert [a.status for a in answers] == [201] * 60 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    client.clock.advance(60)
    assert (await client.post("/orders", who=ann, json=wanted(TEA=1))).status == 201
