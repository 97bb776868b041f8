"""Parcels: one for each order that another service tells of."""

from decimal import Decimal
from uuid import UUID

from mainstay import Entity, Event, Module, Repository, Service, field

parcels = Module("parcels")


class Parcel(Entity):
    """A row of eight columns."""

    order_id: UUID  # not unique, so that a second effect would be seen
    customer_id: UUID
    sku: str = field(max_length=40)
    quantity: int


class OrderPlaced(Event):
    """What this service wants to know of the shop's event."""

    order_id: UUID
    customer_id: UUID
    sku: str
    quantity: int
    total: Decimal


@parcels.on("orders.OrderPlaced", concurrency=32)
async def pack(event: OrderPlaced, rows: Repository[Parcel]) -> None:
    """Make the one parcel of an order, however often the event comes."""
    await rows.add(
        Parcel(order_id=event.order_id, customer_id=event.customer_id, sku=event.sku, quantity=event.quantity)
    )


service = Service("shipping", version="1.0.0", modules=[parcels])
