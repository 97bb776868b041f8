"""A service with versions: which paths there are, what is told of what ends, and the contract of each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date
from uuid import UUID

import pytest

from mainstay import Dto, Entity, Find, Module, Page, Repository, Service, Version, anyone, field
from mainstay.testing import Client


class Book(Entity):
    title: str = field(max_length=100)


class OldTitle(Dto):
    name: str


class NewTitle(Dto):
    title: str = field(max_length=100)


def library() -> Module:
    module = Module("library")
    module.resource(Book, path="/books", read=anyone)

    @module.command("POST /books", status=201, allow=anyone, until="2", name="add_book")
    async def add_old(new: OldTitle, books: Repository[Book]) -> Book:
        return await books.add(Book(title=new.name))

    @module.command("POST /books", status=201, allow=anyone, since="3", name="add_book")
    async def add_new(new: NewTitle, books: Repository[Book]) -> Book:
        return await books.add(Book(title=new.title))

    @module.query("GET /shelves/{shelf}/books", allow=anyone, until="2", name="shelf")
    async def shelf(shelf: str, find: Find[Book], books: Repository[Book]) -> Page[Book]:
        return await books.page(find)

    @module.query("GET /rooms/{shelf}/books", allow=anyone, since="3", name="shelf")
    async def room(shelf: str, find: Find[Book], books: Repository[Book]) -> Page[Book]:
        return await books.page(find)

    @module.query("GET /search", allow=anyone, until="2")
    async def search(word: str) -> str:
        return word

    @module.query("GET /news", allow=anyone, since="3")
    async def news() -> str:
        return "news"

    return module


VERSIONS = [Version("1", ended=True), Version("2", deprecated=date(2026, 3, 1), sunset=date(2027, 3, 1)), "3", "4"]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(Service("library", modules=[library()], versions=VERSIONS)) as client:
        yield client


async def test_each_version_has_its_own_form(client: Client) -> None:
    old = await client.post("/v2/books", json={"name": "Emma"})
    new = await client.post("/v3/books", json={"title": "Emma"})
    assert (old.status, new.status) == (201, 201)
    assert (await client.post("/v2/books", json={"title": "Emma"})).status == 422
    assert (await client.post("/v4/books", json={"name": "Emma"})).status == 422
    assert old.headers["location"].startswith("/v2/books/")
    assert new.headers["location"].startswith("/v3/books/")
    assert (await client.get(old.headers["location"])).json["title"] == "Emma"


async def test_links_keep_the_version(client: Client) -> None:
    for title in ("a", "b", "c"):
        await client.post("/v3/books", json={"title": title})
    page = await client.get("/v4/books", query={"limit": 2})
    assert page.headers["link"].startswith("</v4/books?limit=2&cursor=")


async def test_what_a_version_has_not_is_not_found(client: Client) -> None:
    assert (await client.get("/v2/news")).status == 404
    assert (await client.get("/v3/search", query={"word": "x"})).status == 404
    assert (await client.get("/v3/news")).status == 200
    for path in ("/books", "/v9/books", "/v/books", "/", "/V2/books", "/v2x/books", "/v%32/books/1"):
        answer = await client.get(path)
        assert (answer.status, answer.code) == (404, "not_found"), path
    assert "/v2 or /v3 or /v4" in (await client.get("/v9/books")).json["detail"]
    assert (await client.delete("/v3/books")).status == 405


@pytest.mark.parametrize(
    ("path", "successor"),
    [
        ("/v1/books", "/v2/books"),
        ("/v1/books/7", "/v2/books/7"),
        ("/v1/news", "/v3/news"),
        ("/v1/never", "/v2/openapi.json"),
        ("/v1", "/v2/openapi.json"),
    ],
)
async def test_a_version_that_has_ended_is_gone(client: Client, path: str, successor: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        answer = await client.request(method, path)
        assert (answer.status, answer.code) == (410, "version_ended")
        assert answer.headers["link"] == f'<{successor}>; rel="successor-version"'


async def test_what_ends_says_so(client: Client) -> None:
    ends = await client.get("/v2/search", query={"word": "x"})
    assert ends.headers["deprecation"] == "@1772323200"
    assert ends.headers["sunset"] == "Mon, 01 Mar 2027 00:00:00 GMT"
    assert "link" not in ends.headers  # nothing follows it
    moved = await client.get("/v2/shelves/a%2Fb/books")
    assert moved.headers["link"] == '</v3/rooms/a%2Fb/books>; rel="successor-version"'
    goes_on = await client.get(f"/v2/books/{UUID(int=1)}")
    assert goes_on.headers["link"] == f'</v3/books/{UUID(int=1)}>; rel="successor-version"'
    assert goes_on.status == 404
    for path in ("/v3/news", "/v4/books"):
        assert "deprecation" not in (await client.get(path)).headers


async def test_without_a_deprecated_version_an_operation_that_ends_still_says_so() -> None:
    module = Module("m")

    @module.query("GET /one", allow=anyone, until="1", name="it")
    async def one() -> str:
        return "1"

    @module.query("GET /one", allow=anyone, since="2", name="it")
    async def two() -> str:
        return "2"

    async with Client(Service("s", modules=[module], versions=["1", "2"])) as client:
        first, second = await client.get("/v1/one"), await client.get("/v2/one")
        assert (first.json, second.json) == ("1", "2")
        assert first.headers["deprecation"] == "@0"
        assert first.headers["link"] == '</v2/one>; rel="successor-version"'
        assert "deprecation" not in second.headers
        assert [one.name for one in client.bound.operations] == ["it", "it@2"]


async def test_each_version_has_a_contract(client: Client) -> None:
    contracts = {v: (await client.get(f"/{v}/openapi.json")).json for v in ("v2", "v3", "v4")}
    assert (await client.get("/v1/openapi.json")).status == 410
    assert set(contracts["v2"]["paths"]) == {
        "/v2/books",
        "/v2/books/{id}",
        "/v2/search",
        "/v2/shelves/{shelf}/books",
    }
    assert contracts["v2"]["paths"]["/v2/search"]["get"]["deprecated"] is True
    assert "deprecated" not in contracts["v3"]["paths"]["/v3/news"]["get"]
    assert "NewTitle" not in contracts["v2"]["components"]["schemas"]
    assert contracts["v3"]["info"]["title"] == "Library v3"
    assert (await client.get("/openapi.json")).json == contracts["v4"]


async def test_the_docs_page_lets_choose(client: Client) -> None:
    page = (await client.get("/docs")).text
    found = [page.index(f'value="{v}/openapi.json"') for v in ("v4", "v3", "v2")]
    assert found == sorted(found)
    assert "v1/" not in page


async def test_a_key_is_of_one_form_of_an_operation(client: Client) -> None:
    old = await client.post("/v2/books", json={"name": "Emma"}, key="k")
    again = await client.post("/v2/books", json={"name": "Emma"}, key="k")
    new = await client.post("/v3/books", json={"title": "Emma"}, key="k")
    assert (again.headers["idempotency-replayed"], again.json) == ("true", old.json)
    assert new.json["id"] != old.json["id"]


async def test_services_without_versions_are_as_before() -> None:
    module = Module("m")

    @module.query("GET /v1/one", allow=anyone)
    async def one() -> str:
        return "1"

    async with Client(Service("s", modules=[module])) as client:
        assert (await client.get("/v1/one")).status == 200
        assert (await client.get("/v2/one")).json["detail"] == "There is nothing at this path"
        assert "select" not in (await client.get("/docs")).text
