"""Orders, which others are told of."""

from decimal import Decimal
from uuid import UUID

from mainstay import Dto, Entity, Event, Events, Module, Repository, Service, anyone, field

orders = Module("orders")


class Order(Entity):
    """A row of eight columns."""

    sku: str = field(max_length=40)
    customer_id: UUID
    quantity: int = field(ge=1)
    total: Decimal = field(ge=0, digits=12, places=2)


class OrderPlaced(Event):
    """An order was placed."""

    order_id: UUID
    customer_id: UUID
    sku: str
    quantity: int
    total: Decimal


class PlaceOrder(Dto):
    """What a call asks for."""

    sku: str = field(min_length=1, max_length=40)
    customer_id: UUID
    quantity: int = field(ge=1, le=100)
    total: Decimal = field(ge=0, digits=12, places=2)


class Hello(Dto):
    """A greeting."""

    message: str


@orders.query("GET /hello", allow=anyone)
async def hello() -> Hello:
    """Say that the service answers."""
    return Hello(message="hello")


@orders.command("POST /orders", status=201, allow=anyone)
async def place_order(wanted: PlaceOrder, rows: Repository[Order], events: Events) -> Order:
    """Place an order, and tell of it."""
    order = await rows.add(
        Order(sku=wanted.sku, customer_id=wanted.customer_id, quantity=wanted.quantity, total=wanted.total)
    )
    events.emit(
        OrderPlaced(
            order_id=order.id, customer_id=order.customer_id, sku=order.sku, quantity=order.quantity, total=order.total
        )
    )
    return order


service = Service("shop", version="1.0.0", modules=[orders])
