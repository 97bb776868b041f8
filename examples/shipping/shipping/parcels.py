"""Parcels: one for each order that the shop tells of, packed, handed over, and told of in turn."""

from enum import StrEnum
from uuid import UUID

from mainstay import (
    Conflict,
    Entity,
    Event,
    Events,
    Find,
    Module,
    NotFound,
    Page,
    Repository,
    authenticated,
    field,
    owner,
    role,
)

parcels = Module("parcels")


class ParcelStatus(StrEnum):
    """Where a parcel stands."""

    TO_PACK = "to_pack"
    HANDED_OVER = "handed_over"
    CALLED_OFF = "called_off"


class Parcel(Entity, rows=owner("customer_id") | role("packer"), person="customer_id"):
    """What is sent for one order."""

    order_id: UUID = field(immutable=True, unique=True)
    customer_id: UUID = field(immutable=True, index=True)
    status: ParcelStatus = ParcelStatus.TO_PACK


class OrderPlaced(Event):
    """What this service wants to know of the shop's event: fields that it does not name are ignored."""

    order_id: UUID
    customer_id: UUID


class OrderCancelled(Event):
    """An order is not to be sent any more."""

    order_id: UUID


class ParcelHandedOver(Event):
    """A parcel is on its way to its customer."""

    order_id: UUID
    customer_id: UUID


class NotToBePacked(Conflict):
    """The parcel is on its way already, or was called off."""


@parcels.on("store.OrderPlaced")
async def prepare(event: OrderPlaced, rows: Repository[Parcel]) -> None:
    """Prepare a parcel for an order: one, however often the event comes."""
    await rows.add(Parcel(order_id=event.order_id, customer_id=event.customer_id))


@parcels.on("store.OrderCancelled")
async def call_off(event: OrderCancelled, rows: Repository[Parcel]) -> None:
    """Call a parcel off, where it is not on its way. Should it not be there yet, this is tried again in a moment."""
    parcel = await rows.one(order_id=event.order_id)
    if parcel.status is ParcelStatus.TO_PACK:
        await rows.update(parcel, status=ParcelStatus.CALLED_OFF)


@parcels.query("GET /parcels", allow=authenticated)
async def list_parcels(find: Find[Parcel], rows: Repository[Parcel]) -> Page[Parcel]:
    """List the caller's parcels; a packer sees all."""
    return await rows.page(find)


@parcels.command("POST /parcels/{parcel_id}/hand-over", allow=role("packer"), raises=[NotToBePacked, NotFound])
async def hand_over(parcel_id: UUID, rows: Repository[Parcel], events: Events) -> Parcel:
    """Hand a parcel over to the carrier, and tell whoever wants to know."""
    parcel = await rows.get(parcel_id)
    if parcel.status is not ParcelStatus.TO_PACK:
        raise NotToBePacked
    events.emit(ParcelHandedOver(order_id=parcel.order_id, customer_id=parcel.customer_id), key=str(parcel.order_id))
    return await rows.update(parcel, status=ParcelStatus.HANDED_OVER)
