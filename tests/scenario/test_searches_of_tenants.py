"""An entity with all options at once: what is searched for is the tenant's, not deleted, and the caller's to see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest
from tests.conformance.servers import mongo_database

from mainstay import Deleted, Entity, Module, Principal, Repository, Service, authenticated, field, owner, role
from mainstay.adapters.memory.store import MemoryStore
from mainstay.adapters.mongo.store import MongoStore
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.ports.store import Store
from mainstay.testing import Client, FixedClock, as_principal

OLGA = as_principal("olga", roles="lead", tenant="ours")
OTTO = as_principal("otto", tenant="ours")
THEO = as_principal("theo", roles="lead", tenant="theirs")


class Memo(Entity, tenant="tenant_id", soft_delete=True, audit=True, rows=owner("owner_id") | role("lead")):
    """A memo of one of the tenant's people."""

    owner_id: UUID = field(immutable=True)
    title: str = field(unique=True, searchable=True, max_length=80)


office = Module("office")
office.resource(
    Memo, path="/memos", read=authenticated, create=authenticated, update=authenticated, delete=authenticated
)


@office.command("PUT /memos/{memo_id}/back", allow=authenticated)
async def bring_back(memo_id: UUID, memos: Deleted[Memo]) -> Memo:
    """Bring a memo back."""
    return await memos.restore(memo_id)


@office.query("GET /memos/of/{title}", allow=authenticated)
async def named(title: str, memos: Repository[Memo]) -> Memo:
    """Find one by its title."""
    return await memos.one(title=title)


SERVICE = Service("office", modules=[office])


@pytest.fixture(params=["memory", "sqlite", "mongo"])
async def client(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Client]:
    if request.param == "mongo":
        with mongo_database(tmp_path) as url:
            async for client in _filled(FixedClock(), MongoStore(url)):
                yield client
        return
    clock = FixedClock()
    store: Store = MemoryStore()
    if request.param == "sqlite":
        store = SqliteStore(tmp_path / "s.sqlite", create=True, clock=clock.monotonic)
    async for client in _filled(clock, store):
        yield client


async def _filled(clock: FixedClock, store: Store) -> AsyncIterator[Client]:
    async with Client(SERVICE, store=store, clock=clock) as client:
        for person in (OLGA, OTTO, THEO):
            for title in (f"green tea of {person.subject}", f"black tea of {person.subject}"):
                assert (await client.post("/memos", json={"title": title}, who=person)).status == 201
        yield client


async def _found(client: Client, text: str, who: Principal) -> list[str]:
    answer = await client.get("/memos", query={"search": text, "sort": "title", "count": "exact"}, who=who)
    assert answer.status == 200
    titles = [item["title"] for item in answer.json["items"]]
    assert answer.json["count"] == len(titles)
    return titles


async def test_words_are_looked_for_among_what_the_caller_sees(client: Client) -> None:
    assert await _found(client, "green", OLGA) == ["green tea of olga", "green tea of otto"]
    assert await _found(client, "green", OTTO) == ["green tea of otto"]
    assert await _found(client, "tea theo", OLGA) == []
    assert await _found(client, "tea", THEO) == ["black tea of theo", "green tea of theo"]


async def test_a_deleted_row_is_not_found_by_its_words_until_it_is_back(client: Client) -> None:
    memo = (await client.get("/memos/of/green tea of otto", who=OTTO)).json["id"]
    assert (await client.delete(f"/memos/{memo}", who=OTTO)).status == 204
    assert await _found(client, "otto", OLGA) == ["black tea of otto"]
    assert (await client.put(f"/memos/{memo}/back", who=THEO)).status == 404
    assert (await client.put(f"/memos/{memo}/back", who=OTTO)).status == 200
    assert await _found(client, "otto", OLGA) == ["black tea of otto", "green tea of otto"]


async def test_a_changed_title_is_found_by_its_new_words_only(client: Client) -> None:
    memo = (await client.get("/memos/of/green tea of otto", who=OTTO)).json["id"]
    changed = await client.patch(f"/memos/{memo}", json={"title": "white tea of theo"}, who=OTTO)
    assert changed.status == 200
    assert await _found(client, "green", OTTO) == []
    assert await _found(client, "white", OTTO) == ["white tea of theo"]
    assert await _found(client, "white", THEO) == []
