"""Parcels: prepared once for each order, handed over or called off, seen by whose they are."""

from typing import Any
from uuid import UUID

from mainstay.testing import Client, as_principal

ann, bob = as_principal("ann", roles="customer"), as_principal("bob", roles="customer")
paul = as_principal("paul", roles="packer")
ORDER, EVENT = UUID(int=7), UUID(int=8)


async def placed(client: Client, order: UUID = ORDER, event: UUID | None = None) -> Any:
    """Have the shop tell of an order of Ann's; return her parcel."""
    content = {"order_id": str(order), "customer_id": str(ann.id), "total": "7.00"}
    await client.hears("store.OrderPlaced", content, who=ann, key=str(order), source="shop", id=event)
    await client.deliver()
    (parcel,) = (await client.get("/parcels", who=ann, query={"order_id": str(order)})).json["items"]
    return parcel


async def test_an_order_becomes_a_parcel_however_often_it_is_told_of(each_client: Client) -> None:
    first = await placed(each_client, event=EVENT)
    assert (first["order_id"], first["status"]) == (str(ORDER), "to_pack")
    assert await placed(each_client, event=EVENT) == first


async def test_a_parcel_is_seen_by_its_customer_and_by_who_packs(each_client: Client) -> None:
    await placed(each_client)
    for who, count in ((ann, 1), (bob, 0), (paul, 1)):
        assert len((await each_client.get("/parcels", who=who)).json["items"]) == count
    assert (await each_client.get("/parcels")).status == 401


async def test_a_parcel_is_handed_over_once_and_told_of(each_client: Client) -> None:
    parcel = await placed(each_client)
    path = f"/parcels/{parcel['id']}/hand-over"
    assert (await each_client.post(path, who=ann)).status == 403
    assert (await each_client.post(path, who=paul)).json["status"] == "handed_over"
    told = {"order_id": str(ORDER), "customer_id": str(ann.id)}
    assert await each_client.waiting() == [("parcels.ParcelHandedOver", told)]
    again = await each_client.post(path, who=paul)
    assert (again.status, again.code) == (409, "not_to_be_packed")


async def test_an_order_that_was_cancelled_is_not_sent(each_client: Client) -> None:
    parcel = await placed(each_client)
    await each_client.hears("store.OrderCancelled", {"order_id": str(ORDER)}, who=ann, key=str(ORDER), source="shop")
    await each_client.deliver()
    refused = await each_client.post(f"/parcels/{parcel['id']}/hand-over", who=paul)
    assert (refused.status, refused.code) == (409, "not_to_be_packed")
