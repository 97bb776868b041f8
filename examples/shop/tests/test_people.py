"""Customers, letters and reports: what belongs to whom."""

from shop.mailbox import Letter
from stocking import stocked

from mainstay.testing import Client, as_principal

ann, bob = as_principal("ann", roles="customer"), as_principal("bob", roles="customer")
support = as_principal("sue", roles="support")
manager = as_principal("max", roles="manager")


async def test_a_customer_is_who_makes_the_row(each_client: Client) -> None:
    answer = await each_client.post("/customers", who=ann, json={"name": "Ann", "email": "ann@example.com"})
    assert (answer.status, answer.json["user_id"]) == (201, str(ann.id))
    stolen = {"name": "Bob", "email": "bob@example.com", "user_id": str(ann.id)}
    assert (await each_client.post("/customers", who=bob, json=stolen)).status == 422


async def test_a_customer_sees_and_changes_the_own_row_only(each_client: Client) -> None:
    made = (await each_client.post("/customers", who=ann, json={"name": "Ann", "email": "ann@example.com"})).json
    path = f"/customers/{made['id']}"
    assert (await each_client.get(path, who=bob)).status == 404
    assert (await each_client.patch(path, who=bob, json={"name": "Eve"})).status == 404
    assert (await each_client.patch(path, who=ann, json={"name": "Anne"})).json["name"] == "Anne"
    assert (await each_client.patch(path, who=ann, json={"note": "rich"})).status == 422
    assert (await each_client.patch(path, who=support, json={"note": "kind"})).json["note"] == "kind"
    assert "note" not in (await each_client.get(path, who=ann)).json


async def test_an_order_is_thanked_for_once(each_client: Client) -> None:
    await stocked(each_client, TEA=5)
    await each_client.post("/orders", who=ann, json={"lines": [{"sku": "TEA"}]})
    assert [name for name, _ in await each_client.waiting()] == ["store.OrderPlaced"]
    assert await each_client.deliver() == 1
    assert await each_client.deliver() == 0
    (letter,) = await each_client.stored(Letter)
    assert letter.customer_id == ann.id
    assert len((await each_client.get("/letters", who=ann)).json["items"]) == 1
    assert (await each_client.get("/letters", who=bob)).json["items"] == []


async def test_a_parcel_that_another_service_tells_of_is_announced(each_client: Client) -> None:
    packer = as_principal("paul", roles="packer")
    told = {"order_id": str(ann.id), "customer_id": str(ann.id)}
    await each_client.hears("parcels.ParcelHandedOver", told, who=packer, source="shipping")
    assert await each_client.deliver() == 1
    (letter,) = (await each_client.get("/letters", who=ann)).json["items"]
    assert letter["subject"] == "Your parcel is on its way"
    assert (await each_client.get("/letters", who=packer)).json["items"] == []


async def test_reports_are_for_managers(each_client: Client) -> None:
    await stocked(each_client, TEA=5, CUP=5)
    first = (await each_client.post("/orders", who=ann, json={"lines": [{"sku": "TEA", "quantity": 3}]})).json
    await each_client.post("/orders", who=bob, json={"lines": [{"sku": "TEA"}, {"sku": "CUP", "quantity": 2}]})
    await each_client.post(f"/orders/{first['id']}/cancel", who=ann)
    assert (await each_client.get("/reports/sales", who=ann)).status == 403
    report = (await each_client.get("/reports/sales", who=manager)).json
    assert (report["orders"], report["cancelled"], report["revenue"]) == (2, 1, "15.00")
    assert report["products"] == [
        {"sku": "CUP", "pieces": 2, "orders": 1},
        {"sku": "TEA", "pieces": 4, "orders": 2},
    ]
    short = (await each_client.get("/reports/shortages", who=support, query={"below": 5})).json
    assert short == [{"sku": "CUP", "stock": 3}, {"sku": "TEA", "stock": 4}]
