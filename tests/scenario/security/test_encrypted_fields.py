"""Encrypted fields at the door: shown to whom they are for, found by nobody, and never in the file or the log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import apsw
import pytest
import pytest_asyncio
from clinic_service import CLERK, DOCTOR, SERVICE, Patient

from mainstay import Bulk, Entity, Module, Repository, Service, anyone, field
from mainstay.adapters.sql.sqlite_store import SqliteStore
from mainstay.model.conditions import all_of
from mainstay.model.inputs import Sort
from mainstay.ports.auditing import AuditRow
from mainstay.ports.rows import Query
from mainstay.sql import Sql
from mainstay.testing import Client, FixedClock

MARK = "what nobody else may know"
ANYTHING = {"accept": "*/*"}


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    clock = FixedClock()
    store = SqliteStore(tmp_path / "clinic.sqlite", create=True, synchronous="off", clock=clock.monotonic)
    async with Client(SERVICE, store=store, clock=clock, raise_errors=False) as made:
        yield made


async def admitted(client: Client) -> str:
    made = await client.post("/patients", who=CLERK, json={"name": "Ann", "born": "1970-02-03"}, key="ann")
    id: str = made.json["id"]
    changed = await client.patch(f"/patients/{id}", who=DOCTOR, json={"history": MARK})
    assert changed.json["history"] == MARK
    return id


async def test_who_may_read_it_is_shown_it_and_who_may_not_is_not(client: Client) -> None:
    id = await admitted(client)
    assert (await client.get(f"/patients/{id}", who=DOCTOR)).json["history"] == MARK
    assert "history" not in (await client.get(f"/patients/{id}", who=CLERK)).json
    for path in (f"/patients/{id}", "/patients", "/patients?fields=history", "/histories", "/patients?include=visits"):
        told, hidden = [await client.get(path, who=who, headers=ANYTHING) for who in (DOCTOR, CLERK)]
        assert MARK in told.body.decode()
        assert MARK not in hidden.body.decode()


@pytest.mark.parametrize(
    "query",
    [
        "born=1970-02-03",
        "born[gte]=1970-01-01",
        "born[in]=1970-02-03",
        "born[null]=true",
        "history=x",
        "history[contains]=x",
        "history[starts]=x",
        "sort=born",
        "sort=-history",
    ],
)
async def test_nothing_is_found_or_ordered_by_it(client: Client, query: str) -> None:
    await admitted(client)
    name = query.partition("=")[0].partition("[")[0]
    asked = await client.get(f"/patients?{query}", who=DOCTOR)
    unknown = query.replace("born", "nothing", 1).replace("history", "nothing", 1)
    other = await client.get(f"/patients?{unknown}", who=DOCTOR)
    assert asked.status == other.status == 400
    assert asked.body.replace(name.encode(), b"") == other.body.replace(b"nothing", b"").replace(name.encode(), b"")


async def test_the_contract_offers_no_filter_by_it(client: Client) -> None:
    document = (await client.get("/openapi.json")).json
    asked = [parameter["name"] for parameter in document["paths"]["/patients"]["get"]["parameters"]]
    assert "name" in asked
    assert not [name for name in asked if name.startswith(("born", "history"))]


async def test_neither_the_file_nor_the_log_nor_an_error_holds_it(client: Client, tmp_path: Path) -> None:
    id = await admitted(client)
    await client.patch(f"/patients/{id}", who=DOCTOR, json={"history": f"{MARK}, changed"})
    refused = await client.patch(f"/patients/{id}", who=DOCTOR, json={"history": MARK, "email": 5})
    assert refused.status == 422
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    (row,) = await client.stored(Patient, id=UUID(id))
    for told in (files, refused.body, repr(client.recorder.observed).encode(), repr(row).encode()):
        assert MARK.encode() not in told


async def test_the_audit_says_that_it_changed_and_no_more(client: Client) -> None:
    id = await admitted(client)
    trail = await _trail(client, UUID(id))
    assert trail[-1] == {"history": {"old": None, "new": "***"}}
    assert trail[0]["born"] == {"old": None, "new": "***"}


async def _trail(client: Client, id: UUID) -> list[dict[str, Any]]:
    transaction = client.bound.ports.store.begin(write=False)
    rows = await transaction.rows(AuditRow).fetch(Query(where=all_of(row_id=id), sort=(Sort("id"),)))
    await transaction.rollback()
    return [{name: {"old": a.old, "new": a.new} for name, a in row.changes.items()} for row in rows]


async def test_a_value_that_was_moved_is_an_error_and_never_garbage(client: Client, tmp_path: Path) -> None:
    one = await admitted(client)
    other = (await client.post("/patients", who=CLERK, json={"name": "Bob", "born": "1980-01-01"})).json["id"]
    with closing(apsw.Connection(str(tmp_path / "clinic.sqlite"))) as connection:
        (moved,) = connection.execute("SELECT born FROM clinic_patient WHERE id = ?", (one,)).fetchall()[0]
        connection.execute("UPDATE clinic_patient SET born = ? WHERE id = ?", (moved, other))
    assert (await client.get(f"/patients/{one}", who=CLERK)).json["born"] == "1970-02-03"
    answer = await client.get(f"/patients/{other}", who=CLERK)
    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "1970" not in answer.body.decode()
    notice = next(each for each in client.recorder.notices if each.event == "encrypted_value_unreadable")
    assert notice.facts["field"] == "Patient.born"


class Secretive(Entity):
    """A row with a code."""

    name: str = field(unique=True, max_length=20)
    code: int | None = field(default=None, ge=1, encrypted=True)


desk = Module("desk")


@desk.command("POST /codes", allow=anyone)
async def give_codes(code: int, rows: Bulk[Secretive]) -> int:
    """Give all rows without a code one, and add or change a row of its own."""
    await rows.upsert([Secretive(name="own", code=code)], on="name")
    return await rows.update(code=None, set={"code": code})


@desk.query("GET /codes", allow=anyone)
async def codes(rows: Repository[Secretive], sql: Sql) -> list[str]:
    """Give the codes, and the columns that statements are given."""
    found = [f"{row.name}={row.code}" async for row in rows.stream(sort="name")]
    return [*found, *map(str, sql.table(Secretive).columns.keys())]


async def test_many_rows_statements_and_upserts(tmp_path: Path) -> None:
    clock = FixedClock()
    store = SqliteStore(tmp_path / "desk.sqlite", create=True, synchronous="off", clock=clock.monotonic)
    service = Service("desk", version="1", modules=[desk])
    async with Client(service, store=store, clock=clock) as client:
        await client.given(Secretive(name="a"), Secretive(name="b", code=5), Secretive(name="c"))
        assert (await client.post("/codes", json={"code": 7})).json == 2
        found = (await client.get("/codes")).json
        assert found[:4] == ["a=7", "b=5", "c=7", "own=7"]
        assert found[4:] == ["id", "version", "created_at", "updated_at", "name"]  # Sql gives out no code
        refused = await client.post("/codes", json={"code": 0})
        assert (refused.status, refused.json["faults"][0]["pointer"]) == (422, "/0/code")
