"""Policies at the door: who may, when, from where, for whom; and that a refusal by a negation is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import UUID

import pytest
import pytest_asyncio

from mainstay import (
    AuditEntry,
    AuditTrail,
    Entity,
    Module,
    Page,
    Principal,
    Service,
    anyone,
    attribute,
    authenticated,
    between,
    delegated,
    field,
    network,
    owner,
    role,
    where,
)
from mainstay.testing.client import Client
from mainstay.testing.people import as_principal

ANN, BOB = as_principal("ann"), as_principal("bob")
ROBOT = as_principal("robot", roles=["clerk"])


class Folder(Entity, audit=True, rows=owner("client_id") | where(lambda row, who: row.ward == who.attributes["ward"])):
    """The papers of a client, for the ward that keeps them too."""

    client_id: UUID = field(immutable=True)
    ward: str = "north"
    price: int = field(default=0, read=role("clerk") & ~delegated, write=role("chief"))


def office() -> Service:
    module = Module("office")
    module.resource(
        Folder,
        path="/folders",
        read=authenticated,
        create=authenticated,
        update=authenticated & ~role("suspended"),
        delete=role("chief") & ~delegated,
    )

    @module.query("GET /night", allow=between("22:00", "06:00", "Europe/Berlin"))
    async def night() -> str:
        return "open"

    @module.query("GET /inside", allow=network("127.0.0.0/8", "10.0.0.0/8"))
    async def inside() -> str:
        return "open"

    @module.query("GET /outside", allow=~network("127.0.0.0/8"))
    async def outside() -> str:
        return "open"

    @module.query("GET /nobody", allow=~anyone)
    async def nobody() -> str:
        return "open"

    @module.query("GET /ward", allow=attribute("ward", "north"))
    async def ward() -> str:
        return "open"

    made = Service("office", modules=[module], roles={"chief": ["clerk"], "clerk": [], "suspended": []})

    @made.attributes
    async def staff(who: Principal) -> dict[str, object]:
        return {"ward": "north"} if "clerk" in who.roles else {}

    return made


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    async with Client(office()) as made:
        yield made


@pytest.mark.parametrize("caller", [None, ANN, as_principal("eve", roles="suspended")])
async def test_a_negation_refuses_whom_it_names(client: Client, caller: Principal | None) -> None:
    (folder,) = await client.given(Folder(client_id=UUID(int=3) if caller is None else caller.id))
    changed = await client.patch(f"/folders/{folder.id}", who=caller, json={"ward": "south"})
    assert changed.status == (401 if caller is None else 403 if caller.roles else 200)
    assert (await client.get("/nobody", who=caller)).status == (401 if caller is None else 403)


async def test_a_night_is_open_by_the_clocks_of_its_place(client: Client) -> None:
    assert (await client.get("/night")).status == 200  # midnight in UTC, one o'clock in Berlin
    client.clock.advance(5 * 3600)
    assert (await client.get("/night")).status == 401
    assert (await client.get("/night", who=ANN)).status == 403
    client.clock.advance(16 * 3600)
    assert (await client.get("/night")).status == 200


async def test_an_address_decides_and_no_header_does(client: Client) -> None:
    forged = {"x-forwarded-for": "8.8.8.8", "forwarded": "for=8.8.8.8"}
    assert (await client.get("/inside", headers=forged)).status == 200
    assert (await client.get("/outside", headers=forged)).status == 401


async def test_what_the_service_knows_of_a_caller_opens_rows_and_operations(client: Client) -> None:
    await client.given(Folder(client_id=BOB.id), Folder(client_id=BOB.id, ward="south"))
    clerk, chief = as_principal("eve", roles="clerk"), as_principal("kim", roles="chief")
    for who, seen, status in ((ANN, 0, 403), (clerk, 1, 200), (chief, 1, 200), (BOB, 2, 403)):
        assert len((await client.get("/folders", who=who)).json["items"]) == seen
        assert (await client.get("/ward", who=who)).status == status


async def test_who_acts_for_another_sees_its_rows_and_has_what_both_have(client: Client) -> None:
    chief = as_principal("kim", roles=["chief"])
    (folder,) = await client.given(Folder(client_id=chief.id, price=7))
    acted = as_principal("kim", roles=["chief", "clerk"]).acted_for_by(ROBOT)
    assert acted.roles == {"clerk"}
    assert "price" in (await client.get("/folders", who=chief)).json["items"][0]
    assert "price" not in (await client.get("/folders", who=acted)).json["items"][0]
    assert (await client.get("/folders?price=7", who=acted)).status == 400
    assert (await client.delete(f"/folders/{folder.id}", who=acted)).status == 403
    robot_of_chief = chief.acted_for_by(as_principal("robot", roles="chief"))
    assert (await client.delete(f"/folders/{folder.id}", who=robot_of_chief)).status == 403
    assert (await client.patch(f"/folders/{folder.id}", who=acted, json={"ward": "east"})).status == 200
    (calls,) = [call for call in client.recorder.calls if call.method == "PATCH"]
    assert calls.principal.actor is not None
    assert (calls.principal.subject, calls.principal.actor.subject) == ("kim", "robot")


async def test_the_audit_tells_who_acted_and_for_whom() -> None:
    module = Module("office")
    module.resource(Folder, path="/folders", read=authenticated, create=authenticated, update=authenticated)

    @module.query("GET /trail/{id}", allow=authenticated)
    async def trail(id: UUID, audit: AuditTrail[Folder]) -> Page[AuditEntry]:
        return await audit.of(id)

    async with Client(Service("office", modules=[module])) as client:
        folder = (await client.post("/folders", who=ANN, json={})).json
        acted = ANN.acted_for_by(ROBOT)
        changed = await client.patch(f"/folders/{folder['id']}", who=acted, json={"ward": "east"})
        assert changed.status == 200
        latest, first = (await client.get(f"/trail/{folder['id']}", who=ANN)).json["items"]
    assert (first["actor"], first["actor_id"], first["subject"]) == ("ann", str(ANN.id), None)
    assert (latest["actor"], latest["actor_id"]) == ("robot", str(ROBOT.id))
    assert (latest["subject"], latest["subject_id"]) == ("ann", str(ANN.id))


async def test_the_reply_to_one_actor_is_not_replayed_to_another(client: Client) -> None:
    other = ANN.acted_for_by(as_principal("other"))
    made = [
        await client.post("/folders", who=who, json={}, key="k") for who in (ANN, ANN.acted_for_by(ROBOT), other, ANN)
    ]
    assert [answer.status for answer in made] == [201] * 4
    assert len({answer.json["id"] for answer in made}) == 3
    assert made[3].json["id"] == made[0].json["id"]
