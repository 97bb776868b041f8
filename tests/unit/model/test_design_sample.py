"""The store as the documentation writes it, served by the pipeline from memory."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from kernel_world import ANN, BOB, Build, World, build

from mainstay import (
    Conflict,
    Dto,
    Entity,
    Event,
    Events,
    Find,
    Many,
    Module,
    Page,
    Principal,
    Repository,
    anyone,
    authenticated,
    field,
    limit,
    owner,
    related,
    role,
)
from mainstay.kernel.call import Reply
from mainstay.model.problem import Problem

__all__ = ["build"]

store = Module("store")


class Product(Entity):
    """Something on sale."""

    sku: str = field(unique=True, max_length=40, pattern=r"[A-Z0-9-]+")
    name: str = field(max_length=200)
    price: Decimal = field(ge=0, digits=12, places=2)
    stock: int = field(ge=0, default=0)


class OrderStatus(StrEnum):
    PLACED = "placed"
    CANCELLED = "cancelled"


class OrderLine(Entity):
    order_id: UUID = field(references="Order")
    product_id: UUID = field(references=Product)
    quantity: int = field(ge=1, le=100)


class Order(Entity, rows=owner("customer_id") | role("support")):
    customer_id: UUID = field(immutable=True)
    status: OrderStatus = OrderStatus.PLACED
    lines: Many[OrderLine] = related("order_id")


class OrderPlaced(Event):
    order_id: UUID
    total: Decimal


class OutOfStock(Conflict):
    """Fewer pieces are left than were asked for."""


class PlaceOrder(Dto):
    sku: str
    quantity: int = field(ge=1, le=100)


store.resource(
    Product, path="/products", read=anyone, create=role("manager"), update=role("manager"), delete=role("manager")
)


@store.command("POST /orders", status=201, allow=authenticated, limits=[limit("20/minute")], raises=[OutOfStock])
async def place_order(
    wanted: PlaceOrder, who: Principal, products: Repository[Product], orders: Repository[Order], events: Events
) -> Order:
    """Place an order for a product in stock."""
    product = await products.one(sku=wanted.sku)
    if product.stock < wanted.quantity:
        raise OutOfStock(f"only {product.stock} of {product.sku} left", left=product.stock)
    await products.update(product, stock=product.stock - wanted.quantity)
    line = OrderLine(order_id=UUID(int=0), product_id=product.id, quantity=wanted.quantity)
    order = await orders.add(Order(customer_id=who.id, lines=[line]))
    events.emit(OrderPlaced(order_id=order.id, total=product.price * wanted.quantity))
    return order


@store.query("GET /orders/{order_id}", allow=authenticated)
async def get_order(order_id: UUID, orders: Repository[Order]) -> Order:
    return await orders.get(order_id)


@store.query("GET /orders", allow=authenticated)
async def list_orders(find: Find[Order], orders: Repository[Order]) -> Page[Order]:
    return await orders.page(find)


announced: list[OrderPlaced] = []


@store.on(OrderPlaced)
async def announce(event: OrderPlaced) -> None:
    announced.append(event)


@pytest.fixture
async def shop(build: Build) -> World:
    world = await build(store)
    assert world.bound.faults == []
    announced.clear()
    made = await send(world, "create_product", b"max", sku="TEA-1", name="Tea", price="2.50", stock=3)
    assert (made.status, body(made)["price"]) == (201, "2.50")
    return world


async def send(world: World, name: str, who: bytes | None, /, **members: Any) -> Any:
    given: dict[str, Any] = {"body": msgspec.json.encode(members)} if members else {}
    return await world.send(name, credentials=who, **given)


async def get(world: World, name: str, who: bytes | None, order: Any = None, *query: tuple[str, str]) -> Any:
    arguments = {} if order is None else {"order_id": order["id"]}
    return await world.send(name, credentials=who, arguments=arguments, query=query)


def body(outcome: Reply | Problem) -> Any:
    assert isinstance(outcome, Reply), repr(outcome)
    return msgspec.json.decode(outcome.body)


async def test_an_order_is_placed_and_told(shop: World) -> None:
    reply = await send(shop, "place_order", b"ann", sku="TEA-1", quantity=2)
    order = body(reply)
    assert (reply.status, reply.location, reply.version) == (201, order["id"], 1)
    assert (order["customer_id"], order["status"]) == (str(ANN.id), "placed")
    (line,) = order["lines"]
    assert (line["order_id"], line["quantity"]) == (order["id"], 2)
    (left,) = body(await get(shop, "list_products", None))["items"]
    assert (left["stock"], left["version"]) == (1, 2)
    await shop.worker().step()
    assert announced == [OrderPlaced(order_id=UUID(order["id"]), total=Decimal("5.00"))]


async def test_more_than_there_is_changes_nothing(shop: World) -> None:
    refused = await send(shop, "place_order", b"ann", sku="TEA-1", quantity=4)
    assert (refused.code, refused.members, refused.detail) == ("out_of_stock", {"left": 3}, "only 3 of TEA-1 left")
    assert body(await get(shop, "list_orders", b"ann"))["items"] == []
    assert (await send(shop, "place_order", b"ann", sku="NONE", quantity=1)).code == "not_found"


async def test_anothers_order_is_not_there(shop: World) -> None:
    order = body(await send(shop, "place_order", b"ann", sku="TEA-1", quantity=1))
    assert body(await get(shop, "get_order", b"ann", order))["id"] == order["id"]
    hidden = await get(shop, "get_order", b"bob", order)
    absent = await get(shop, "get_order", b"bob", {"id": str(UUID(int=9))})
    assert (hidden.code, hidden.detail, hidden.members) == (absent.code, absent.detail, absent.members)
    assert hidden.code == "not_found"
    assert (await get(shop, "get_order", None, order)).code == "credentials_missing"


async def test_a_list_shows_ones_own_orders_with_their_lines_where_asked(shop: World) -> None:
    mine = [body(await send(shop, "place_order", who, sku="TEA-1", quantity=1)) for who in (b"ann", b"bob", b"ann")]
    plain = body(await get(shop, "list_orders", b"ann"))["items"]
    assert [o["id"] for o in plain] == [mine[0]["id"], mine[2]["id"]]
    assert "lines" not in plain[0]
    (bobs,) = body(await get(shop, "list_orders", b"bob", None, ("include", "lines")))["items"]
    assert bobs["customer_id"] == str(BOB.id)
    assert len(bobs["lines"]) == 1
    found = await get(shop, "list_orders", b"ann", None, ("sort", "-created_at"), ("limit", "1"), ("count", "exact"))
    assert (len(body(found)["items"]), body(found)["count"]) == (1, 2)


@pytest.mark.parametrize(
    ("who", "members", "code"),
    [
        (None, {"sku": "A"}, "credentials_missing"),
        (b"ann", {"sku": "A"}, "forbidden"),
        (b"max", {"sku": "a b", "name": "x", "price": "1"}, "invalid"),
        (b"max", {"sku": "A", "name": "x", "price": "-1"}, "invalid"),
        (b"max", {"sku": "A", "name": "x", "price": "1.005"}, "invalid"),
        (b"max", {"sku": "A", "name": "x", "price": "1", "id": str(UUID(int=1))}, "invalid"),
        (b"max", {"sku": "A", "name": "x", "price": "1", "version": 7}, "invalid"),
        (b"max", {"sku": "A", "name": "x"}, "invalid"),
        (b"max", {"sku": "TEA-1", "name": "x", "price": "1"}, "unique_conflict"),
    ],
)
async def test_products_are_made_by_managers_and_by_the_rules(
    shop: World, who: bytes | None, members: dict[str, Any], code: str
) -> None:
    assert (await send(shop, "create_product", who, **members)).code == code


async def test_a_use_case_is_tested_by_calling_it() -> None:
    """Decorators return the function as it was: no service, no server."""

    class Orders:
        async def get(self, order_id: UUID) -> Order:
            return Order(customer_id=order_id)

    orders: Any = Orders()
    assert (await get_order(ANN.id, orders)).customer_id == ANN.id
