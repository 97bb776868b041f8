"""Mass assignment: ids, versions, times, owners, tenants and read-only fields never come from a body."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from shop_served import settings_for, shop_service

from mainstay import UNASSIGNED, Dto, Entity, Module, Repository, Service, Upload, authenticated, field, owner, role
from mainstay.testing.apart import examine, examine_bodies
from mainstay.testing.apart.asking import MSGPACK
from mainstay.testing.client import Client
from mainstay.testing.people import as_principal

ANN = as_principal("ann", tenant="acme")
FORGED: dict[str, Any] = {
    "id": str(UUID(int=7)),
    "version": 7,
    "created_at": "2001-01-01T00:00:00Z",
    "updated_at": "2001-01-01T00:00:00Z",
    "writer_id": str(UUID(int=7)),
    "tenant_id": "globex",
    "deleted_at": "2001-01-01T00:00:00Z",
    "checked": True,
    "rank": 9,
    "unknown": 1,
}


class Deed(Entity, rows=owner("writer_id"), tenant="tenant_id", soft_delete=True):
    """A row with everything that a body must not set."""

    writer_id: UUID = field(immutable=True, default=UNASSIGNED)
    tenant_id: str = ""
    title: str = field(max_length=80)
    checked: bool = field(default=False, read_only=True)
    rank: int = field(default=0, write=role("chief"))


class Rank(Dto):
    """What a command takes, and no more."""

    title: str


def deeds(case: Any = "snake") -> Service:
    module = Module("deeds")
    module.resource(Deed, path="/deeds", read=authenticated, create=authenticated, update=authenticated)

    @module.command("POST /ranks", status=201, allow=authenticated)
    async def rank(wanted: Rank, rows: Repository[Deed]) -> Deed:
        return await rows.add(Deed(title=wanted.title))

    @module.command("POST /scans", status=204, allow=authenticated)
    async def scan(page: Upload, title: str) -> None:
        assert title
        assert page.filename

    return Service("deeds", modules=[module], case=case)


@pytest_asyncio.fixture(params=["snake", "camel"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    async with Client(deeds(request.param)) as made:
        yield made


def spelled(client: Client, name: str) -> str:
    if client.bound.service.case == "snake":
        return name
    first, *rest = name.split("_")
    return first + "".join(part.title() for part in rest)


@pytest.mark.parametrize("name", FORGED)
@pytest.mark.parametrize("media", ["application/json", MSGPACK])
async def test_no_member_is_taken_that_a_body_does_not_set(client: Client, name: str, media: str) -> None:
    import msgspec

    encode = msgspec.msgpack.encode if media == MSGPACK else msgspec.json.encode
    (deed,) = await client.given(Deed(title="first", writer_id=ANN.id, tenant_id="acme"))
    body = {"title": "forged", spelled(client, name): FORGED[name]}
    for method, path in (("POST", "/deeds"), ("POST", "/ranks"), ("PATCH", f"/deeds/{deed.id}")):
        medias = [media, "application/merge-patch+json"] if method == "PATCH" and media != MSGPACK else [media]
        for each in medias:
            answer = await client.request(method, path, who=ANN, body=encode(body), headers={"content-type": each})
            assert answer.status == 422, (method, path, each, answer)
            assert str(FORGED[name]) not in answer.text  # no fault repeats what was sent
    (stored,) = await client.stored(Deed)
    assert stored == deed


@pytest.mark.parametrize("name", FORGED)
async def test_no_field_of_a_form_is_taken_beyond_those_declared(client: Client, name: str) -> None:
    files = {"page": ("a.txt", b"x")}
    assert (await client.post("/scans", who=ANN, files=files, fields={"title": "t"})).status == 204
    fields = {"title": "t", spelled(client, name): str(FORGED[name])}
    assert (await client.post("/scans", who=ANN, files=files, fields=fields)).status == 422


async def test_what_is_set_comes_from_the_caller(client: Client) -> None:
    made = (await client.post("/deeds", who=ANN, json={"title": "mine"})).json
    (deed,) = await client.stored(Deed)
    assert (deed.writer_id, deed.tenant_id, deed.version, deed.checked, deed.rank) == (ANN.id, "acme", 1, False, 0)
    assert made["id"] == str(deed.id)


async def test_who_has_the_role_sets_what_is_for_it(client: Client) -> None:
    chief = as_principal("kim", tenant="acme", roles="chief")
    answer = await client.post("/deeds", who=chief, json={"title": "mine", "rank": 3})
    assert (answer.status, answer.json["rank"]) == (201, 3)


async def test_every_command_of_the_sample_and_of_the_shop() -> None:
    async with Client(deeds()) as client:
        report = await examine_bodies(client, ANN)
    report.check()
    assert set(report.operations) == {"create_deed", "update_deed", "rank", "scan"}
    assert report.unasked == {}
    async with Client(the_shop()) as client:
        await client.seed("test")
        report = await examine_bodies(client, as_principal("boss", roles=["manager", "support"]))
    report.check()
    assert report.unasked == {}
    assert len(report.operations) > 5


def the_shop() -> Service:
    return shop_service(settings_for("memory:"))


@pytest.mark.parametrize("roles", [[], ["support"], ["manager"]], ids=str)
async def test_two_callers_of_the_shop_are_kept_apart_by_every_operation(roles: list[str]) -> None:
    ann, bob = as_principal("ann"), as_principal("bob", roles=roles)
    async with Client(the_shop()) as client:
        report = await examine(client, ann, bob)
        served = {one.name for one in client.bound.operations if one.operation.method}
    report.check()
    assert set(report.operations) == served
    assert report.unasked == {}
    assert report.requests > 300
