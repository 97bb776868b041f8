"""``?search=``: rows by their words, only in what the caller may read, and as the contract says it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from contracts import contract_bytes

from mainstay import Bulk, Dto, Entity, Find, Module, Page, Repository, Secret, Service, anyone, field, role, search
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.checks import check_service
from mainstay.ports.store import Store
from mainstay.testing import Client, as_principal
from mainstay.testing.fixed import FixedClock

EDITOR = as_principal("ed", roles="editor")


class Tea(Entity):
    """A tea."""

    name: str = field(searchable=True, max_length=80)
    story: str | None = field(searchable=True, default=None)
    note: str = field(searchable=True, default="", read=role("editor"))
    rank: int = 0


class Hint(Entity):
    """What only editors may look into."""

    word: str = field(searchable=True, read=role("editor"))
    search: int = 0


class Plain(Entity):
    """What has nothing to search in."""

    search: str


shop = Module("shop")
shop.resource(Tea, path="/teas", read=anyone, create=anyone, update=anyone, delete=anyone)
shop.resource(Hint, path="/hints", read=anyone, create=role("editor"))
shop.resource(Plain, path="/plain", read=anyone, create=anyone)


class Wanted(Dto):
    text: str


@shop.command("PUT /names", allow=anyone)
async def rename(body: Wanted, bulk: Bulk[Tea]) -> int:
    """Rename all that are found."""
    return await bulk.update(search(body.text), set={"name": "renamed"})


@shop.query("GET /best", allow=anyone)
async def best(find: Find[Tea], teas: Repository[Tea]) -> Page[Tea]:
    """Find the best ones."""
    return await teas.page(find, rank=1)


SERVICE = Service("shop", modules=[shop])


@pytest.fixture(params=["memory", "sqlite"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    clock = FixedClock()
    store: Store = MemoryStore()
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "s.sqlite", create=True, clock=clock.monotonic)
    async with Client(SERVICE, store=store, clock=clock) as client:
        for body in (
            {"name": "Grüner Tee", "story": "from the hills"},
            {"name": "Black tea", "story": "green hills"},
            {"name": "Rooibos"},
        ):
            assert (await client.post("/teas", json=body)).status == 201
        await client.given(Tea(name="Quiet", note="hidden green", rank=1))
        yield client


async def names(client: Client, text: str, **more: Any) -> list[str]:
    query = more.pop("query", {})
    answer = await client.get("/teas", query={"search": text, **query}, **more)
    assert answer.status == 200, answer.json
    return [item["name"] for item in answer.json["items"]]


async def test_rows_are_found_with_filters_orders_and_counts(client: Client) -> None:
    assert await names(client, "hill") == ["Grüner Tee", "Black tea"]
    assert await names(client, "GRUNER tee") == ["Grüner Tee"]
    assert await names(client, "tea green") == ["Black tea"]
    assert await names(client, "hills", query={"sort": "name", "name[ne]": "x", "fields": "name"}) == [
        "Black tea",
        "Grüner Tee",
    ]
    assert await names(client, "") == await names(client, "?!") == await names(client, "nothing") == []
    counted = await client.get("/teas?search=hills&count=exact&limit=1")
    assert (counted.json["count"], len(counted.json["items"])) == (2, 1)
    rest = await client.get(
        "/teas", query={"search": "hills", "count": "exact", "cursor": counted.json["next"], "limit": 1}
    )
    assert [item["name"] for item in rest.json["items"]] == ["Black tea"]
    other = await client.get("/teas", query={"search": "tea", "cursor": counted.json["next"]})
    assert other.status == 400  # a cursor is good for the same search
    assert [item["name"] for item in (await client.get("/best?search=quiet")).json["items"]] == ["Quiet"]
    assert (await client.get("/best?search=tea")).json["items"] == []


async def test_what_a_caller_may_not_read_is_not_searched(client: Client) -> None:
    assert await names(client, "green") == ["Black tea"]
    assert await names(client, "green", who=EDITOR) == ["Black tea", "Quiet"]
    await client.given(Hint(word="x", search=5))
    assert (await client.get("/hints?search=x")).status == 400
    assert len((await client.get("/hints?search=x", who=EDITOR)).json["items"]) == 1


async def test_changes_are_found_by_their_new_words(client: Client) -> None:
    (black,) = (await client.get("/teas?search=black")).json["items"]
    path = f"/teas/{black['id']}"
    assert (await client.patch(path, json={"name": "Dark"})).status == 200
    assert await names(client, "black") == []
    assert await names(client, "dark hills") == ["Dark"]
    assert (await client.put("/names", json={"text": "hills"})).json == 2
    assert await names(client, "renamed") == ["renamed", "renamed"]
    assert await names(client, "dark") == []
    assert (await client.delete(path)).status == 204
    assert await names(client, "renamed") == ["renamed"]


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/teas?search=" + "x" * 101, "too_long"),
        ("/teas?search=a&search=b", "repeated"),
        ("/teas?search[contains]=a", "unknown_parameter"),
        ("/plain?search[search]=a", "unknown_parameter"),
    ],
)
async def test_what_is_no_search_is_refused(client: Client, path: str, code: str) -> None:
    answer = await client.get(path)
    assert answer.status == 400
    assert [fault["code"] for fault in answer.json["faults"]] == [code]


async def test_a_field_may_have_the_name(client: Client) -> None:
    assert (await client.post("/plain", json={"search": "a"})).status == 201
    assert len((await client.get("/plain?search=a")).json["items"]) == 1
    (tea,) = (await client.get("/teas?search=rooibos")).json["items"]
    assert (await client.get(f"/teas/{tea['id']}?search=x")).status == 400


async def test_the_contract_has_it_where_something_is_searchable() -> None:
    paths = json.loads(contract_bytes(SERVICE))["paths"]
    told = {
        path: [p for p in paths[path]["get"]["parameters"] if p["name"] == "search"]
        for path in ("/teas", "/best", "/hints", "/teas/{id}")
    }
    assert told["/teas"] == told["/best"]
    assert told["/teas"][0]["schema"] == {"type": "string", "maxLength": 100}
    assert "name, story," in told["/teas"][0]["description"]
    assert told["/teas/{id}"] == []
    assert all("enum" not in p["schema"] and p["schema"]["type"] == "integer" for p in told["/hints"])


class Odd(Entity):
    number: int = field(searchable=True, default=0)
    pin: str = field(searchable=True, secret=True, default="")
    key: Secret[str] = field(searchable=True)


class Given(Dto):
    text: str = field(searchable=True)


async def test_what_has_no_words_to_be_found_by_is_refused_at_start_up() -> None:
    module = Module("odd")
    module.entity(Odd)

    @module.command("POST /given", allow=anyone)
    async def give(body: Given) -> None: ...

    faults = {f.subject: f.message for f in check_service(Service("s", modules=[module])).faults}
    assert faults == {
        "Odd.number": "searchable is for fields of an entity that are str",
        "Odd.pin": "searchable finds rows by what nobody is shown: secret and write_only fields have no words",
        "Odd.key": "searchable finds rows by what nobody is shown: secret and write_only fields have no words",
        "Given.text": "searchable is for fields of an entity that are str",
    }
