"""Orders: placed while there is stock, cancelled by who placed them."""

from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from mainstay import (
    UNASSIGNED,
    Conflict,
    Dto,
    Entity,
    Event,
    Events,
    Find,
    Many,
    Page,
    Principal,
    Repository,
    authenticated,
    field,
    limit,
    owner,
    person,
    related,
    role,
)

from . import store
from .catalog import Product

own = owner("customer_id") | role("support", "manager")
BOOKS = "accounts are kept for as long as the law says"


class OrderStatus(StrEnum):
    """Where an order stands."""

    PLACED = "placed"
    CANCELLED = "cancelled"


class OrderLine(Entity, rows=own, person=person("order_id", erase="keep", reason=BOOKS)):
    """Some pieces of one product, at the price of the day."""

    order_id: UUID = field(references="Order", on_delete="cascade", index=True)
    customer_id: UUID = field(immutable=True, index=True)
    product_id: UUID = field(references=Product, index=True)
    sku: str = field(max_length=40)
    quantity: int = field(ge=1, le=100)
    price: Decimal = field(ge=0, digits=12, places=2)


class Order(Entity, rows=own, person=person("customer_id", erase="keep", reason=BOOKS)):
    """What a customer has ordered."""

    customer_id: UUID = field(immutable=True, index=True)
    status: OrderStatus = OrderStatus.PLACED
    total: Decimal = field(ge=0, digits=12, places=2)
    lines: Many[OrderLine] = related("order_id")


class OrderPlaced(Event):
    """A customer has ordered."""

    order_id: UUID
    customer_id: UUID
    total: Decimal


class OrderCancelled(Event):
    """An order was cancelled, and its pieces are back in stock."""

    order_id: UUID
    customer_id: UUID


class OutOfStock(Conflict):
    """Fewer pieces are left than were asked for."""


class AlreadyCancelled(Conflict):
    """The order was cancelled before."""


class LineWanted(Dto):
    """So many pieces of one product."""

    sku: str = field(min_length=1, max_length=40, examples=("TEA-GREEN",))
    quantity: int = field(ge=1, le=100, default=1)


class PlaceOrder(Dto):
    """What a customer wants."""

    lines: list[LineWanted] = field(min_length=1, max_length=50)


@store.command("POST /orders", status=201, allow=authenticated, limits=[limit("60/minute")], raises=[OutOfStock])
async def place_order(
    wanted: PlaceOrder, who: Principal, products: Repository[Product], orders: Repository[Order], events: Events
) -> Order:
    """Place an order for products in stock.

    All lines are taken from stock, or none: an order is never placed in part.
    """
    lines = []
    for line in wanted.lines:
        product = await products.one(sku=line.sku)
        if product.stock < line.quantity:
            raise OutOfStock(f"only {product.stock} of {product.sku} left", sku=product.sku, left=product.stock)
        await products.update(product, stock=product.stock - line.quantity)
        lines.append(
            OrderLine(
                order_id=UNASSIGNED,
                customer_id=who.id,
                product_id=product.id,
                sku=product.sku,
                quantity=line.quantity,
                price=product.price,
            )
        )
    total = sum((line.price * line.quantity for line in lines), Decimal(0))
    order = await orders.add(Order(customer_id=who.id, total=total, lines=lines))
    events.emit(OrderPlaced(order_id=order.id, customer_id=who.id, total=total), key=str(order.id))
    return order


@store.command("POST /orders/{order_id}/cancel", allow=authenticated, raises=[AlreadyCancelled])
async def cancel_order(
    order_id: UUID,
    orders: Repository[Order],
    lines: Repository[OrderLine],
    products: Repository[Product],
    events: Events,
) -> Order:
    """Cancel an order and put its pieces back in stock."""
    order = await orders.get(order_id)
    if order.status is OrderStatus.CANCELLED:
        raise AlreadyCancelled
    async for line in lines.stream(order_id=order_id):
        product = await products.get(line.product_id)
        await products.update(product, stock=product.stock + line.quantity)
    cancelled = await orders.update(order, status=OrderStatus.CANCELLED)
    events.emit(OrderCancelled(order_id=order.id, customer_id=order.customer_id), key=str(order.id))
    return cancelled


@store.query("GET /orders/{order_id}", allow=authenticated)
async def get_order(order_id: UUID, orders: Repository[Order]) -> Order:
    """Get one order. Another customer's is not found: the row policy of Order sees to it."""
    return await orders.get(order_id)


@store.query("GET /orders", allow=authenticated)
async def list_orders(find: Find[Order], orders: Repository[Order]) -> Page[Order]:
    """List orders: a customer's own, or all of them for support."""
    return await orders.page(find)
