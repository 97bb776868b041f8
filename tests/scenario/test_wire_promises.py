"""What is promised on the wire, asked of a whole service: camelCase, operations on their way out, 500, media types."""

from __future__ import annotations

import base64
import hmac
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import httpx2
import pytest

from mainstay import (
    Dto,
    Entity,
    Find,
    Module,
    Page,
    RawBody,
    Repository,
    Service,
    Upload,
    anyone,
    authenticated,
    field,
    limit,
    signed,
)
from mainstay.app.registry import find
from mainstay.app.servers.contract import Facing, Server
from mainstay.app.settings import Settings
from mainstay.inbound.http.server import listen
from mainstay.model.checks import check_service
from mainstay.testing import Client

desk = Module("desk")
KEY = "whsec_" + base64.b64encode(b"k" * 24).decode()


class Folder(Entity):
    short_name: str = field(unique=True)


class Sheet(Entity):
    folder_id: UUID = field(references=Folder)
    page_count: int = field(ge=0, default=0)


class Told(Dto):
    text: str


desk.resource(Folder, path="/folders", create=anyone)
desk.resource(Sheet, path="/sheets", create=anyone, read=anyone, deprecated=date(2026, 1, 1), successor="/pages")


@desk.command("POST /empty", allow=anyone)
async def empty(folder_id: UUID, sheets: Repository[Sheet]) -> Sheet:
    """Break a rule of the row, not of the body."""
    return await sheets.add(Sheet(folder_id=folder_id, page_count=-1))


@desk.query("GET /wrong", allow=anyone)
async def wrong() -> Told:
    """Give what was not declared."""
    return "not told"  # type: ignore[return-value]  # the mistake that the test is about


@desk.command("POST /uploads", allow=anyone)
async def take(file: Upload) -> str:
    """Take a file."""
    return f"{file.media_type} {file.size}"


@desk.command("POST /hooks", allow=signed("standard-webhooks", secret="hook"))
async def hear(body: RawBody) -> int:
    """Take what is signed."""
    return len(body)


@desk.query("GET /old", allow=anyone, deprecated=date(2026, 1, 1), sunset=date(2027, 1, 1), successor="/new")
async def old(find: Find[Folder], folders: Repository[Folder]) -> Page[Folder]:
    """Serve on, for now."""
    return await folders.page(find)


@desk.query("GET /older", allow=authenticated, deprecated=True, limits=[limit("100/minute")])
async def older() -> int:
    """Serve on, for those who are known."""
    return 1


camel = Service("camel", modules=[desk], case="camel")


@pytest.fixture(params=["asgi", "native", "uvicorn", "granian"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(camel, secrets={"hook": KEY}, raise_errors=False) as made:
        if request.param == "asgi":
            yield made
            return
        async with served(made, request.param):
            yield made


@asynccontextmanager
async def served(client: Client, name: str) -> AsyncIterator[None]:
    """Let a client's requests go over a socket to one of the servers."""
    ports = client.bound.ports
    app: Any = client.app()
    server: Server = find("server", name)(Facing(app.door, ports.clock, ports.observer, Settings()))
    (one,) = listen("127.0.0.1", 0)
    host, port = one.getsockname()
    await server.start([one])
    try:
        async with httpx2.AsyncClient(base_url=f"http://{host}:{port}") as http:
            client._http, before = http, client._http
            yield
            client._http = before
    finally:
        server.refuse()
        await server.finish(0.01, 5)


async def test_what_a_store_refuses_is_told_in_the_callers_names(client: Client) -> None:
    taken = [await client.post("/folders", json={"shortName": "a"}) for _ in range(2)][1]
    assert (taken.code, taken.json["field"]) == ("unique_conflict", "shortName")
    assert taken.json["faults"][0]["pointer"] == "/shortName"
    lost = await client.post("/sheets", json={"folderId": "0199c0de-0000-7000-8000-000000000001"})
    assert (lost.code, lost.json["faults"][0]["pointer"]) == ("reference_conflict", "/folderId")
    assert "folder_id" not in lost.text
    ruled = await client.post("/empty", json={"folderId": "0199c0de-0000-7000-8000-000000000001"})
    assert (ruled.status, ruled.json["faults"][0]["pointer"]) == (422, "/pageCount")


async def test_every_fault_of_ours_names_the_request(client: Client) -> None:
    answer = await client.get("/wrong")
    assert (answer.status, answer.json["request_id"]) == (500, answer.headers["x-request-id"])
    assert "Told" not in answer.text


async def test_a_body_of_any_type_may_leave_its_type_unsaid(client: Client) -> None:
    answer = await client.post("/uploads", body=b"abc")
    assert (answer.status, answer.json) == (200, "application/octet-stream 3")
    stamp = str(int(client.clock.time()))
    mac = hmac.digest(b"k" * 24, f"m.{stamp}.".encode() + b"{}", "sha256")
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
    assert (await client.post("/hooks", body=b"{}", headers=headers)).json == 2
    assert (await client.post("/hooks", body=b"[]", headers=headers)).status == 401


async def test_an_operation_on_its_way_out_says_so_in_every_answer(client: Client) -> None:
    for answer in (await client.get("/old"), await client.get("/old", query={"nonsense": "1"})):
        assert answer.headers["deprecation"] == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
        assert answer.headers["sunset"] == "Fri, 01 Jan 2027 00:00:00 GMT"
        assert answer.headers["link"] == '</new>; rel="successor-version"'
    for answer in (await client.get("/sheets"), await client.post("/sheets", json={})):
        assert answer.headers["deprecation"] == f"@{int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())}"
        assert answer.headers["link"] == '</pages>; rel="successor-version"'
    refused = await client.get("/older")
    assert (refused.status, refused.headers["deprecation"]) == (401, "@0")
    assert "sunset" not in refused.headers
    assert "deprecation" not in (await client.get("/wrong")).headers


def test_dates_that_do_not_fit_are_told_at_start_up() -> None:
    module = Module("dates")

    @module.query("GET /a", allow=anyone, sunset=date(2027, 1, 1))
    async def never() -> None: ...

    @module.query("GET /b", allow=anyone, deprecated=date(2027, 1, 1), sunset=datetime(2026, 1, 1, tzinfo=UTC))
    async def backwards() -> None: ...

    @module.query("GET /c", allow=anyone, deprecated=datetime(2026, 1, 1))  # noqa: DTZ001 - the mistake that is told
    async def nowhere() -> None: ...

    module.resource(Folder, path="/folders", read=anyone, sunset=date(2027, 1, 1))
    faults = check_service(Service("dates", modules=[module], case="kebab")).faults  # type: ignore[arg-type]  # so is this
    assert [fault.message for fault in faults] == [
        'case="kebab": it is "snake" or "camel"',
        "sunset= and successor= are for what is deprecated=: say since when",
        "sunset= is before deprecated=",
        "deprecated=, sunset=: a time has a zone",
        "sunset= and successor= are for what is deprecated=: say since when",
    ]
