"""The catalog: open to read, changed by managers, with a field that only they see."""

import pytest
from shop.store.catalog import Category, Product
from stocking import stocked

from mainstay.testing import Client, Scenario, as_principal

ann = as_principal("ann", roles="customer")
manager = as_principal("max", roles="manager")
TEA = {"slug": "tea", "title": "Tea"}


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario(name="anyone may look", request="GET /categories", expect=200, body={"items": []}),
        Scenario(name="nobody may not create", request="POST /categories", json=TEA, expect=401),
        Scenario(name="a customer may not create", request="POST /categories", who=ann, json=TEA, expect=403),
        Scenario(name="a manager may", request="POST /categories", who=manager, json=TEA, expect=201),
        Scenario(
            name="a slug has a form",
            request="POST /categories",
            who=manager,
            json={**TEA, "slug": "Green Tea"},
            expect=422,
        ),
        Scenario(
            name="an id is not for the body",
            request="POST /categories",
            who=manager,
            json={**TEA, "id": "0199c0de-0000-7000-8000-000000000001"},
            expect=422,
        ),
    ],
    ids=str,
)
async def test_categories(client: Client, scenario: Scenario) -> None:
    await scenario.run(client)


async def test_a_sku_is_given_once(each_client: Client) -> None:
    product = (await stocked(each_client, TEA=1))["TEA"]
    same = {"sku": "TEA", "name": "Tea", "category_id": str(product.category_id), "price": "1.00"}
    answer = await each_client.post("/products", who=manager, json=same)
    assert (answer.status, answer.code, answer.json["field"]) == (409, "unique_conflict", "sku")


async def test_a_category_with_products_stays(each_client: Client) -> None:
    product = (await stocked(each_client, TEA=1))["TEA"]
    answer = await each_client.delete(f"/categories/{product.category_id}", who=manager)
    assert (answer.status, answer.code) == (409, "reference_conflict")
    assert len(await each_client.stored(Category)) == 1


async def test_only_managers_see_and_set_the_purchase_price(each_client: Client) -> None:
    product = (await stocked(each_client, TEA=1))["TEA"]
    path = f"/products/{product.id}"
    changed = await each_client.patch(path, who=manager, json={"purchase_price": "2.50"})
    assert (changed.status, changed.json["purchase_price"]) == (200, "2.50")
    assert "purchase_price" not in (await each_client.get(path)).json
    assert "purchase_price" not in (await each_client.get(path, who=ann)).json
    for query in ({"purchase_price": "2.50"}, {"sort": "purchase_price"}, {"fields": "purchase_price"}):
        assert (await each_client.get("/products", who=ann, query=query)).status == 400
        assert (await each_client.get("/products", who=manager, query=query)).status == 200


async def test_a_change_names_the_version_it_is_of(each_client: Client) -> None:
    product = (await stocked(each_client, TEA=1))["TEA"]
    path = f"/products/{product.id}"
    tag = (await each_client.get(path)).headers["etag"]
    assert (await each_client.get(path, headers={"if-none-match": tag})).status == 304
    assert (await each_client.patch(path, who=manager, json={"stock": 2}, headers={"if-match": tag})).status == 200
    late = await each_client.patch(path, who=manager, json={"stock": 3}, headers={"if-match": tag})
    assert (late.status, late.code) == (412, "precondition_failed")
    assert [p.stock for p in await each_client.stored(Product)] == [2]


async def test_pages_show_every_product_once_while_others_come(each_client: Client) -> None:
    await stocked(each_client, **{f"P-{number}": number for number in range(9)})
    seen: list[str] = []
    query: dict[str, object] = {"sort": "-stock", "limit": 4, "fields": "sku"}
    while True:
        page = (await each_client.get("/products", query=query)).json
        seen += [item["sku"] for item in page["items"]]
        if "next" not in page:
            break
        query["cursor"] = page["next"]
        shelf = (await each_client.stored(Category))[0]
        extra = {"sku": f"N-{len(seen)}", "name": "New", "category_id": str(shelf.id), "price": "1", "stock": 99}
        assert (await each_client.post("/products", who=manager, json=extra)).status == 201
    assert seen == [f"P-{number}" for number in reversed(range(9))]


async def test_the_seeds_are_idempotent(each_client: Client) -> None:
    await each_client.seed()
    first = await each_client.stored(Product)
    await each_client.seed()
    assert await each_client.stored(Product) == first
    assert len(first) == 8
