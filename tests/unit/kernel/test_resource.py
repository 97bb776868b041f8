"""Resources: an entity served without code, each verb under its policy and the rows' own."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest
from kernel_world import ANN, Build, World

from mainstay import Ask, Entity, Module, anyone, authenticated, check, field, limit, owner, role, where
from mainstay.kernel.call import Reply
from mainstay.model.problem import Problem


class Diary(Entity):
    owner_id: UUID
    text: str = field(max_length=20)
    region: str = field(default="north")
    mood: str = field(default="fine", write=owner("owner_id"))
    rank: int = field(default=0, write=role("manager"))


class Shared(Entity, rows=owner("owner_id") | role("manager")):
    owner_id: UUID
    text: str = field(max_length=20)


def diaries(**more: Any) -> Module:
    module = Module("diaries")
    mine = owner("owner_id")
    module.resource(Diary, path="/diaries", read=mine, create=mine, update=mine, delete=mine, **more)
    return module


async def send(world: World, name: str, who: bytes | None = b"ann", id: Any = None, **given: Any) -> Any:
    if "json" in given:
        given["body"] = msgspec.json.encode(given.pop("json"))
    arguments = {"id": str(id)} if id is not None else {}
    return await world.send(name, credentials=who, arguments=arguments, **given)


def body(outcome: Reply | Problem) -> Any:
    assert isinstance(outcome, Reply), repr(outcome)
    return msgspec.json.decode(outcome.body)


async def test_policies_on_verbs_hold_for_their_rows(build: Build) -> None:
    world = await build(diaries())
    made = await send(world, "create_diary", json={"text": "mine"})
    diary = body(made)
    assert (made.status, made.location, diary["owner_id"]) == (201, diary["id"], str(ANN.id))
    assert [d["id"] for d in body(await send(world, "list_diaries"))["items"]] == [diary["id"]]
    assert body(await send(world, "list_diaries", b"bob"))["items"] == []
    assert body(await send(world, "get_diary", id=diary["id"]))["text"] == "mine"
    for name in ("get_diary", "update_diary", "delete_diary"):
        given: dict[str, Any] = {"json": {"text": "stolen"}} if name == "update_diary" else {}
        hidden = await send(world, name, b"bob", diary["id"], **given)
        absent = await send(world, name, b"bob", UUID(int=7), **given)
        assert (hidden.code, hidden.detail) == (absent.code, absent.detail) == ("not_found", absent.detail)
    changed = await send(world, "update_diary", id=diary["id"], json={"text": "new"})
    assert (body(changed)["text"], changed.version) == ("new", 2)
    gone = await send(world, "delete_diary", id=diary["id"])
    assert (gone.status, gone.body) == (204, b"")
    assert (await send(world, "get_diary", id=diary["id"])).code == "not_found"


@pytest.mark.parametrize("field_name", ["owner_id", "id", "version", "created_at", "updated_at"])
async def test_what_the_service_sets_never_comes_from_a_body(build: Build, field_name: str) -> None:
    world = await build(diaries())
    value = "2026-01-01T00:00:00Z" if field_name.endswith("_at") else 3 if field_name == "version" else str(UUID(int=5))
    refused = await send(world, "create_diary", json={"text": "x", field_name: value})
    assert [f.pointer for f in refused.faults] == [f"/{field_name}"]
    made = body(await send(world, "create_diary", json={"text": "x"}))
    refused = await send(world, "update_diary", id=made["id"], json={field_name: value})
    assert [f.pointer for f in refused.faults] == [f"/{field_name}"]


async def test_a_policy_that_no_row_meets_forbids_to_create(build: Build) -> None:
    module = Module("diaries")
    here = where(lambda row, who: row.region == "south")
    module.resource(Diary, path="/diaries", read=anyone, create=owner("owner_id") & here)
    world = await build(module)
    assert (await send(world, "create_diary", json={"text": "x"})).code == "forbidden"
    assert body(await send(world, "create_diary", json={"text": "x", "region": "south"}))["region"] == "south"
    assert (await send(world, "create_diary", None, json={"text": "x"})).code == "credentials_missing"


async def test_policies_on_fields_are_asked_when_they_are_written(build: Build) -> None:
    world = await build(diaries())
    made = body(await send(world, "create_diary", json={"text": "x", "mood": "good"}))
    assert made["mood"] == "good"
    refused = await send(world, "create_diary", json={"text": "x", "rank": 3})
    assert [(f.code, f.pointer) for f in refused.faults] == [("forbidden_field", "/rank")]
    assert body(await send(world, "create_diary", b"max", json={"text": "x", "rank": 3}))["rank"] == 3
    refused = await send(world, "update_diary", id=made["id"], json={"rank": 1})
    assert [(f.code, f.pointer) for f in refused.faults] == [("forbidden_field", "/rank")]


async def test_a_field_that_only_its_owner_sets_is_not_set_for_another(build: Build) -> None:
    module = Module("diaries")
    module.resource(Diary, path="/diaries", read=anyone, create=role("manager"), update=anyone)
    world = await build(module)
    given = {"text": "x", "owner_id": str(ANN.id)}
    refused = await send(world, "create_diary", b"max", json={**given, "mood": "bad"})
    assert [f.pointer for f in refused.faults] == ["/mood"]
    made = body(await send(world, "create_diary", b"max", json=given))
    assert made["owner_id"] == str(ANN.id)
    assert (await send(world, "update_diary", b"max", made["id"], json={"mood": "bad"})).code == "invalid"
    assert body(await send(world, "update_diary", b"ann", made["id"], json={"mood": "bad"}))["mood"] == "bad"


class Ledger(Entity):
    """A row whose fields are for its team, which a token names by a text."""

    team: UUID
    shown: int = field(default=1, read=where(lambda row, who: row.team == who.claims["team"]))
    kept: int = field(default=1, write=where(lambda row, who: row.team == who.claims["team"]))


async def test_a_claim_is_compared_as_a_value_of_its_field(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    team = UUID(int=77)
    monkeypatch.setattr("kernel_world.ANN", msgspec.structs.replace(ANN, claims={"team": str(team)}))
    module = Module("ledgers")
    module.resource(Ledger, path="/ledgers", read=anyone, create=anyone, update=anyone)
    world = await build(module)
    made = body(await send(world, "create_ledger", b"ann", json={"team": str(team), "kept": 2}))
    assert (made["shown"], made["kept"]) == (1, 2)
    assert body(await send(world, "update_ledger", b"ann", made["id"], json={"kept": 3}))["kept"] == 3
    other = body(await send(world, "create_ledger", b"bob", json={"team": str(team)}))
    assert "shown" not in other
    refused = await send(world, "update_ledger", b"bob", made["id"], json={"kept": 4})
    assert [(f.code, f.pointer) for f in refused.faults] == [("forbidden_field", "/kept")]
    refused = await send(world, "create_ledger", b"ann", json={"team": str(UUID(int=78)), "kept": 2})
    assert [(f.code, f.pointer) for f in refused.faults] == [("forbidden_field", "/kept")]


async def test_the_rows_own_policy_holds_beside_that_of_the_verb(build: Build) -> None:
    module = Module("shared")
    module.resource(Shared, path="/shared", read=anyone, create=authenticated, update=anyone, delete=role("manager"))
    world = await build(module)
    made = body(await send(world, "create_shared", json={"text": "x"}))
    assert made["owner_id"] == str(ANN.id)
    assert body(await send(world, "list_shared", None))["items"] == []
    assert (await send(world, "get_shared", b"bob", made["id"])).code == "not_found"
    assert (await send(world, "update_shared", b"bob", made["id"], json={"text": "y"})).code == "not_found"
    assert (await send(world, "delete_shared", b"ann", made["id"])).code == "forbidden"
    assert (await send(world, "delete_shared", b"max", made["id"])).status == 204


async def test_a_precondition_is_that_of_the_row(build: Build) -> None:
    world = await build(diaries(precondition=True))
    made = body(await send(world, "create_diary", json={"text": "x"}))
    assert world.names["update_diary"].operation.precondition
    assert not world.names["create_diary"].operation.precondition
    for name in ("update_diary", "delete_diary"):
        given: dict[str, Any] = {"json": {"text": "y"}} if name == "update_diary" else {}
        stale = await send(world, name, id=made["id"], if_match=(7,), **given)
        assert stale.code == "precondition_failed"
    assert body(await send(world, "update_diary", id=made["id"], if_match=(1,), json={"text": "y"}))["version"] == 2
    assert (await send(world, "delete_diary", id=made["id"], if_match=())).status == 204


async def test_the_limits_of_a_resource_hold_for_each_of_its_operations(build: Build) -> None:
    world = await build(diaries(limits=[limit("1/minute")]))
    assert isinstance(await send(world, "list_diaries"), Reply)
    assert (await send(world, "list_diaries")).code == "rate_limited"
    assert isinstance(await send(world, "create_diary", json={"text": "x"}), Reply)


async def test_a_check_of_the_call_guards_a_verb(build: Build) -> None:
    module = Module("diaries")
    module.resource(Diary, path="/diaries", read=check(lambda who: who.subject == "max") & authenticated)
    world = await build(module)
    assert (await send(world, "list_diaries", None)).code == "credentials_missing"
    assert (await send(world, "list_diaries", b"ann")).code == "forbidden"
    assert body(await send(world, "list_diaries", b"max"))["items"] == []


async def test_another_module_asks_a_resource(build: Build) -> None:
    asking = Module("asking")

    @asking.query("GET /first/{diary_id}", allow=anyone)
    async def first(diary_id: UUID, ask: Ask) -> str:
        found = await ask("diaries.list_diaries")
        one = await ask("diaries.get_diary", id=diary_id)
        assert found.items == [one]
        assert isinstance(one, Diary)
        return one.text

    world = await build(diaries(), asking)
    made = body(await send(world, "create_diary", json={"text": "asked"}))
    outcome = await world.send("first", credentials=b"ann", arguments={"diary_id": made["id"]})
    assert body(outcome) == "asked"
    assert not world.names["first"].inline


async def test_two_modules_with_entities_of_one_name(build: Build) -> None:
    here, there = Module("here"), Module("there")
    for module in (here, there):
        made: Any = type(Entity)("Thing", (Entity,), {"__module__": __name__, "__annotations__": {"text": str}})
        module.resource(made, path=f"/{module.name}", read=anyone, create=anyone, name=f"thing_{module.name}")
    world = await build(here, there)
    assert world.bound.faults == []
    assert sorted(t.name for t in world.bound.tables if t.module != "mainstay") == ["here_thing", "there_thing"]
    assert isinstance(await send(world, "create_thing_here", json={"text": "x"}), Reply)
    assert body(await send(world, "list_there"))["items"] == []
    assert len(body(await send(world, "list_here"))["items"]) == 1


async def test_nobody_moves_a_row_out_of_their_own_reach(build: Build) -> None:
    module = Module("diaries")
    north = where(lambda row, who: row.region == "north")
    module.resource(Diary, path="/diaries", read=anyone, create=anyone, update=north)
    world = await build(module)
    made = body(await send(world, "create_diary", json={"text": "x", "owner_id": str(ANN.id)}))
    assert (await send(world, "update_diary", id=made["id"], json={"region": "south"})).code == "forbidden"
    assert body(await send(world, "get_diary", id=made["id"]))["region"] == "north"
    assert body(await send(world, "update_diary", id=made["id"], json={"owner_id": str(UUID(int=5))}))["version"] == 2
