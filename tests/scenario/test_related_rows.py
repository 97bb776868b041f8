"""Rows with what belongs to them: to one, to many, through others; for whom, and as the contract says it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from contracts import contract_bytes

from mainstay import Entity, Many, Module, One, Service, anyone, authenticated, cache, field, owner, related, role
from mainstay.adapters.memory.transaction import MemoryRows
from mainstay.model.checks import check_service
from mainstay.ports.rows import Query
from mainstay.testing import Client, as_principal

ANN = as_principal("ann")
BOB = as_principal("bob")
BOSS = as_principal("boss", roles="boss")


class Category(Entity):
    """A kind of products."""

    name: str
    margin: int = field(default=0, read=role("boss"))
    products: Many[Product] = related("category_id")


class Tag(Entity, rows=owner("owner_id") | role("boss")):
    """What a caller marks products with."""

    owner_id: UUID
    word: str = field(max_length=20)


class ProductTag(Entity):
    """What stands between."""

    product_id: UUID = field(references="Product")
    tag_id: UUID = field(references=Tag)


class Supplier(Entity):
    """Where a product comes from."""

    name: str


class Product(Entity):
    """Something on sale."""

    name: str
    category_id: UUID | None = field(references=Category, default=None)
    supplier_id: UUID | None = field(references=Supplier, default=None, read=role("boss"))
    source_id: UUID | None = field(references=Supplier, default=None, secret=True)
    category: One[Category] = related("category_id")
    supplier: One[Supplier] = related("supplier_id")
    source: One[Supplier] = related("source_id")
    tags: Many[Tag] = related(through=ProductTag)


shop = Module("shop")
shop.resource(Product, path="/products", read=anyone, create=anyone, update=anyone)
shop.resource(Category, path="/categories", read=anyone)
shop.resource(ProductTag, path="/product-tags", read=authenticated, create=authenticated)
SERVICE = Service("shop", modules=[shop])


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(SERVICE) as client:
        yield client


async def filled(client: Client) -> tuple[Product, Product]:
    """Add two products, the first with a category, a supplier, and a tag of Ann and one of Bob."""
    category, supplier = await client.given(Category(name="tea", margin=7), Supplier(name="Li"))
    green, loose = await client.given(
        Product(name="green", category_id=category.id, supplier_id=supplier.id, source_id=supplier.id),
        Product(name="loose"),
    )
    tags = await client.given(Tag(owner_id=ANN.id, word="mild"), Tag(owner_id=BOB.id, word="cheap"))
    await client.given(*(ProductTag(product_id=green.id, tag_id=tag.id) for tag in tags))
    return green, loose


async def test_the_row_that_is_referred_to_is_shown_as_the_caller_may_see_it(client: Client) -> None:
    green, _ = await filled(client)
    for who, shown in ((None, {"name": "tea"}), (BOSS, {"name": "tea", "margin": 7})):
        items = (await client.get("/products?include=category", who=who)).json["items"]
        one = (await client.get(f"/products/{green.id}?include=category", who=who)).json
        assert one == items[0]
        told = items[0]["category"]
        assert {name: told[name] for name in told if name in ("name", "margin")} == shown
        assert told["id"] == items[0]["category_id"]
        assert items[1]["category"] is None
    assert "category" not in (await client.get(f"/products/{green.id}")).json


async def test_rows_through_others_are_those_that_the_caller_may_see(client: Client) -> None:
    await filled(client)
    for who, words in ((None, []), (ANN, ["mild"]), (BOSS, ["mild", "cheap"])):
        items = (await client.get("/products?include=tags,category", who=who)).json["items"]
        assert [[tag["word"] for tag in item["tags"]] for item in items] == [words, []]


@pytest.mark.parametrize("path", ["supplier", "source", "products", "category.margin", "category.products.category"])
async def test_what_rests_on_a_field_that_is_not_shown_is_no_relation(client: Client, path: str) -> None:
    answer = await client.get(f"/products?include={path}", who=ANN)
    assert answer.status == 400
    assert [fault["code"] for fault in answer.json["faults"]] == ["unknown_relation"]


async def test_whoever_may_read_the_field_may_ask_for_what_it_names(client: Client) -> None:
    await filled(client)
    items = (await client.get("/products?include=supplier&sort=name", who=BOSS)).json["items"]
    assert [item["supplier"] and item["supplier"]["name"] for item in items] == ["Li", None]
    assert (await client.get("/products?include=source", who=BOSS)).status == 400
    below = await client.get("/categories?include=products.supplier", who=BOSS)
    assert below.json["items"][0]["products"][0]["supplier"]["name"] == "Li"
    assert (await client.get("/categories?include=products.supplier", who=ANN)).status == 400


async def test_the_tag_of_a_row_is_of_what_is_shown_with_it(client: Client) -> None:
    green, _ = await filled(client)
    path = f"/products/{green.id}?include=tags"
    tag = (await client.get(path, who=ANN)).headers["etag"]
    assert (await client.get(path, who=ANN, headers={"if-none-match": tag})).status == 304
    (word,) = await client.given(Tag(owner_id=ANN.id, word="new"))
    made = await client.post("/product-tags", who=ANN, json={"product_id": str(green.id), "tag_id": str(word.id)})
    assert made.status == 201
    assert (await client.get(path, who=ANN, headers={"if-none-match": tag})).status == 200


async def test_a_link_to_what_the_caller_may_not_see_is_refused(client: Client) -> None:
    green, _ = await filled(client)
    (theirs,) = await client.given(Tag(owner_id=BOB.id, word="theirs"))
    body = {"product_id": str(green.id), "tag_id": str(theirs.id)}
    assert (await client.post("/product-tags", who=ANN, json=body)).status == 409
    assert (await client.post("/products", who=ANN, json={"name": "x", "tags": []})).status == 422


async def test_each_relation_is_one_read_however_many_rows_there_are(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    (category,) = await client.given(Category(name="tea"))
    products = await client.given(*(Product(name=f"{n}", category_id=category.id) for n in range(50)))
    (tag,) = await client.given(Tag(owner_id=ANN.id, word="mild"))
    await client.given(*(ProductTag(product_id=product.id, tag_id=tag.id) for product in products))
    reads: list[Query] = []
    fetch = MemoryRows.fetch

    async def counted(self: MemoryRows, query: Query) -> list[Any]:
        reads.append(query)
        return await fetch(self, query)

    monkeypatch.setattr(MemoryRows, "fetch", counted)
    items = (await client.get("/products?include=category.products,tags&limit=50", who=ANN)).json["items"]
    assert len(items) == len(items[0]["category"]["products"]) == 50
    assert len(reads) == 5  # products; categories and their products; links and tags


async def test_the_contract_says_what_may_be_asked_for_and_what_comes() -> None:
    document = json.loads(contract_bytes(SERVICE))
    (include,) = [p for p in document["paths"]["/products"]["get"]["parameters"] if p["name"] == "include"]
    assert include["schema"]["items"]["enum"] == ["category", "category.products", "tags"]
    assert include["schema"]["maxItems"] == 10
    shown = document["components"]["schemas"]["Product"]["properties"]
    assert shown["category"]["anyOf"] == [{"$ref": "#/components/schemas/Category"}, {"type": "null"}]
    assert shown["tags"]["items"] == {"$ref": "#/components/schemas/Tag"}
    assert "category" not in document["components"]["schemas"]["ProductCreate"]["properties"]


async def test_an_answer_that_rests_on_a_policy_of_rows_between_is_no_shared_one() -> None:
    class Quiet(Entity, rows=owner("owner_id")):
        owner_id: UUID
        page_id: UUID = field(references="Sheet")
        word_id: UUID = field(references=Supplier)

    class Sheet(Entity):
        words: Many[Supplier] = related("page_id", through=Quiet, to="word_id")

    module = Module("sheets")
    module.resource(Sheet, path="/sheets", read=anyone, cache=cache(60, shared=60))
    faults = [fault.message for fault in check_service(Service("s", modules=[module])).faults]
    assert any("Quiet has a policy on rows" in fault for fault in faults)
