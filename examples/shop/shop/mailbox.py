"""Letters to customers: a module of its own, that knows of the store only what it is told and what it asks."""

from decimal import Decimal
from uuid import UUID

from mainstay import Ask, Entity, Event, Find, Module, Page, Repository, authenticated, field, owner, protocol

mailbox = Module("mailbox")


class Letter(Entity, rows=owner("customer_id") | protocol("event"), person="customer_id"):
    """A letter to a customer. Consumers write it, whoever has caused what they hear of: a packer, for one."""

    customer_id: UUID = field(immutable=True, index=True)
    subject: str = field(max_length=200)
    text: str = field(max_length=2000)


class OrderPlaced(Event):
    """What this module wants to know of the store's event: fields that it does not name are ignored."""

    order_id: UUID
    customer_id: UUID
    total: Decimal


@mailbox.on("store.OrderPlaced")
async def thank(event: OrderPlaced, letters: Repository[Letter], ask: Ask) -> None:
    """Thank for an order: once, however often the event is delivered."""
    order = await ask("store.get_order", order_id=event.order_id)
    text = f"We have your order {order.id} of {order.total} and are packing it."
    await letters.add(Letter(customer_id=event.customer_id, subject="Thank you for your order", text=text))


class ParcelHandedOver(Event):
    """What another service tells, where both are joined by a broker: the parcel of an order is on its way."""

    order_id: UUID
    customer_id: UUID


@mailbox.on("parcels.ParcelHandedOver")
async def announce(event: ParcelHandedOver, letters: Repository[Letter]) -> None:
    """Announce a parcel to its customer."""
    text = f"Your order {event.order_id} is on its way to you."
    await letters.add(Letter(customer_id=event.customer_id, subject="Your parcel is on its way", text=text))


@mailbox.query("GET /letters", allow=authenticated)
async def list_letters(find: Find[Letter], letters: Repository[Letter]) -> Page[Letter]:
    """List the caller's letters."""
    return await letters.page(find)
