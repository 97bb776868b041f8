"""Two tenants of one service: whatever one asks, the answer is the same whether or not the other has anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tenants_sample import SERVICE, Company, Contact, Entry

from mainstay import Module, Repository, Service, authenticated
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.app.refusal import Refusal
from mainstay.testing import Answer, Client, FixedClock, as_principal

OURS = as_principal("olga", roles="lead", tenant="ours")
THEIRS = as_principal("theo", roles="lead", tenant="theirs")
NOBODYS = as_principal("nora", roles="lead")
HIDDEN = {
    "company": UUID(int=0x7A << 80 | 0x7 << 76 | 0x8 << 60),
    "contact": UUID(int=0x7B << 80 | 0x7 << 76 | 0x8 << 60),
}
MARKS = ("hidden entry", *map(str, HIDDEN.values()), str(THEIRS.id))
VOLATILE = frozenset({"date", "x-request-id"})
Ask = dict[str, Any]


def _hidden() -> list[Any]:
    of: Any = {"tenant_id": "theirs"}
    return [
        Company(id=HIDDEN["company"], name="hidden-inc", size=77, **of),
        Company(id=UUID(int=HIDDEN["company"].int + 1), name="shared name", size=78, **of),
        Contact(
            id=HIDDEN["contact"], company_id=HIDDEN["company"], owner_id=THEIRS.id, email="hidden@example.com", **of
        ),
        Contact(
            company_id=HIDDEN["company"],
            id=UUID(int=HIDDEN["contact"].int + 1),
            owner_id=OURS.id,
            email="own@example.com",
            **of,
        ),
        Entry(id=UUID(int=HIDDEN["contact"].int + 2), text="hidden entry", **of),
    ]


@asynccontextmanager
async def _open(folder: Path, *, store: str, hidden: bool) -> AsyncIterator[Client]:
    folder.mkdir()
    clock = FixedClock()
    made = SqliteStore(folder / "t.db", create=True, synchronous="off", clock=clock.monotonic)
    async with Client(SERVICE, store=made if store == "sqlite" else None, clock=clock, raise_errors=False) as client:
        if hidden:
            await client.given(*_hidden())
        yield client


def _asks(company: str, contact: str, ids: dict[str, Any]) -> list[tuple[str, str, Ask]]:
    """Return requests for every operation: over all rows, of hidden ones, and with values that hidden ones have."""
    hidden_company, hidden_contact = str(ids["company"]), str(ids["contact"])
    wanted = {"company_id": company, "email": "hidden@example.com"}
    return [
        ("GET", "/companies?count=exact&include=contacts", {}),
        ("GET", "/companies?limit=1&sort=-size", {}),
        ("GET", "/companies?name=hidden-inc&count=exact", {}),
        ("GET", "/companies?tenant_id=theirs&size[gte]=70&count=exact", {}),
        ("GET", f"/companies?id={hidden_company}", {}),
        ("GET", f"/companies/{hidden_company}", {}),
        ("GET", f"/companies/{hidden_company}?include=contacts", {"headers": {"if-none-match": '"1"'}}),
        ("PATCH", f"/companies/{hidden_company}", {"json": {"size": 3}}),
        ("PATCH", f"/companies/{hidden_company}", {"json": {"size": 3}, "headers": {"if-match": '"1"'}}),
        ("DELETE", f"/companies/{hidden_company}", {}),
        ("POST", "/companies", {"json": {"name": "shared name"}}),
        ("POST", "/companies", {"json": {"name": "x", "tenant_id": "theirs"}}),
        ("PATCH", f"/companies/{company}", {"json": {"tenant_id": "theirs"}}),
        ("PATCH", f"/companies/{company}", {"json": {"name": "hidden-inc"}}),
        ("GET", "/contacts?count=exact", {}),
        ("GET", f"/contacts?company_id={hidden_company}&count=exact", {}),
        ("GET", f"/contacts/{hidden_contact}", {}),
        ("POST", "/contacts", {"json": wanted}),
        ("POST", "/contacts", {"json": {**wanted, "email": "z@example.com", "company_id": hidden_company}}),
        ("PATCH", f"/contacts/{contact}", {"json": {"company_id": hidden_company}}),
        ("PATCH", f"/contacts/{contact}", {"json": {"email": "own@example.com"}}),
        ("PATCH", f"/contacts/{hidden_contact}", {"json": {"email": "y@example.com"}}),
        ("DELETE", f"/contacts/{hidden_contact}", {}),
        ("GET", "/found?count=exact&sort=email", {}),
        ("GET", "/figures", {}),
        ("GET", "/names/hidden-inc", {}),
        ("GET", "/names/shared name", {}),
        ("GET", "/stream", {"headers": {"accept": "application/x-ndjson"}}),
        ("GET", "/selected", {}),
        ("POST", "/growth", {"json": {"size": 5}}),
        ("GET", f"/entries/{ids['company']}", {}),
        ("GET", "/entries", {}),
        ("POST", "/cleaning", {}),
        ("GET", "/companies?count=exact&include=contacts", {}),
        ("GET", "/openapi.json", {}),
    ]


def _told(answer: Answer) -> tuple[int, list[tuple[str, str]], str]:
    return answer.status, sorted((n, v) for n, v in answer.headers.items() if n not in VOLATILE), answer.text


async def _asked(client: Client, who: Any, ids: dict[str, Any]) -> list[tuple[str, Any]]:
    """Ask everything, with rows of one's own where one may have them, and deliver the events."""
    own = {"company": "00000000-0000-7000-8000-00000000dead", "contact": "00000000-0000-7000-8000-00000000dead"}
    made = await client.post("/companies", who=who, json={"name": "ours"})
    if made.status == 201:
        own["company"] = made.json["id"]
        contact = await client.post(
            "/contacts", who=who, json={"company_id": made.json["id"], "email": "o@example.com"}
        )
        own["contact"] = contact.json["id"]
    told: list[tuple[str, Any]] = []
    for method, path, more in _asks(own["company"], own["contact"], ids):
        answer = await client.request(method, path, who=who, **more)
        told.append((f"{method} {path} {more}", _told(answer)))
        if path.startswith("/companies?limit=1") and answer.json.get("next"):
            following = await client.get(f"{path}&cursor={answer.json['next']}", who=who)
            told.append(("the next page", _told(following)))
        await client.deliver()
    return told


@pytest.mark.asyncio
@pytest.mark.parametrize("store", ["memory", "sqlite"])
@pytest.mark.parametrize("who", [OURS, NOBODYS], ids=["another tenant", "no tenant"])
async def test_no_answer_tells_of_another_tenant(tmp_path: Path, who: Any, store: str) -> None:
    told = []
    for hidden in (True, False):
        async with _open(tmp_path / str(hidden), store=store, hidden=hidden) as client:
            told.append(await _asked(client, who, HIDDEN))
            if hidden:
                served = {one.operation.name for one in client.bound.operations if one.operation.method}
                seen = {event.operation for event in client.recorder.calls}
                assert served <= seen, served - seen
                kept = {row.id: row for row in await client.stored(Company)}
                assert (kept[HIDDEN["company"]].size, kept[HIDDEN["company"]].version) == (77, 1)
                assert {
                    row.text for row in await client.stored(Entry) if row.id != UUID(int=HIDDEN["contact"].int + 2)
                } == ({"olga: 2 of 2"} if who is OURS else set())
    for (asked, with_them), (_, without) in zip(*told, strict=True):
        assert with_them == without, asked
        sent = asked.partition(" ")[2]
        for mark in MARKS:
            assert mark not in with_them[2] or mark in sent or "openapi" in asked, asked


@pytest.mark.asyncio
async def test_an_idempotency_key_is_of_a_tenant(tmp_path: Path) -> None:
    moved = as_principal("olga", roles="lead", tenant="theirs")
    async with _open(tmp_path / "k", store="memory", hidden=False) as client:
        first = await client.post("/companies", who=OURS, json={"name": "one"}, key="k")
        again = await client.post("/companies", who=OURS, json={"name": "one"}, key="k")
        other = await client.post("/companies", who=moved, json={"name": "two"}, key="k")
        assert (again.json, again.headers["idempotency-replayed"]) == (first.json, "true")
        assert (other.status, "idempotency-replayed" in other.headers, other.json["tenant_id"]) == (
            201,
            False,
            "theirs",
        )


@pytest.mark.asyncio
async def test_the_contract_says_that_the_tenant_is_read_only(tmp_path: Path) -> None:
    async with _open(tmp_path / "c", store="memory", hidden=False) as client:
        schemas = (await client.get("/openapi.json")).json["components"]["schemas"]
    assert schemas["Company"]["properties"]["tenant_id"]["readOnly"] is True
    writable = [name for name, schema in schemas.items() if name.startswith("Company") and name != "Company"]
    assert writable
    for name in writable:
        assert "tenant_id" not in schemas[name].get("properties", {}) or name.endswith(("Page", "Part")), name


@pytest.mark.asyncio
async def test_a_seed_is_of_the_tenant_that_it_names() -> None:
    crm = Module("crm")
    crm.resource(Company, path="/companies", read=authenticated)
    service = Service("crm", modules=[crm])

    @service.seed(tenant="ours")
    async def ours(companies: Repository[Company]) -> None:
        await companies.add(Company(name="seeded"))

    async with Client(service) as client:
        assert await client.seed() == ["ours"]
        assert [row["name"] for row in (await client.get("/companies", who=OURS)).json["items"]] == ["seeded"]
        assert (await client.get("/companies", who=THEIRS)).json["items"] == []

    @service.seed
    async def nobodys(companies: Repository[Company]) -> None:
        await companies.add(Company(name="lost"))

    async with Client(service) as client:
        with pytest.raises(Refusal, match="the seed nobodys failed: no_tenant"):
            await client.seed()
