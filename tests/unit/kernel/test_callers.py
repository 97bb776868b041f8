"""The caller made whole: roles that its own bring along, attributes that the service loads, circumstances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from mainstay import (
    Bulk,
    Circumstances,
    Clock,
    Dto,
    Entity,
    Event,
    Events,
    Module,
    NotFound,
    Principal,
    Repository,
    Service,
    anyone,
    attribute,
    authenticated,
    between,
    check,
    field,
    protocol,
    role,
    where,
)
from mainstay.kernel.callers import MAX_ATTRIBUTES, MAX_KEPT
from mainstay.model.faults import StartupFailed
from mainstay.testing.client import Client
from mainstay.testing.people import as_principal
from mainstay.testing.unit import memory_unit


class Seen(Dto):
    """What a use case has seen of its caller."""

    roles: list[str]
    attributes: dict[str, Any]
    at: str | None


class Staff(Entity):
    """Who works here."""

    person_id: UUID = field(unique=True)
    ward: str


class Bed(Entity, rows=where(lambda row, who: row.ward == who.attributes["ward"]) | role("chief")):
    """A bed of a ward."""

    ward: str


class Rung(Event):
    """Somebody rang."""

    bed: str


def seen(who: Principal) -> Seen:
    at = None if who.circumstances is None else f"{who.circumstances.at:%H:%M} {who.circumstances.protocol}"
    return Seen(roles=sorted(who.roles), attributes=dict(who.attributes), at=at)


def ward(*, allow: Any = authenticated) -> Module:
    module = Module("ward")
    module.entity(Staff, Bed)
    module.resource(Bed, path="/beds", read=authenticated)

    @module.query("GET /me", allow=allow)
    async def me(who: Principal) -> Seen:
        return seen(who)

    return module


async def test_a_service_that_declares_none_of_it_has_no_such_stage() -> None:
    async with Client(Service("ward", modules=[ward()])) as client:
        answer = await client.get("/me", who=as_principal("ann", roles="boss"))
        assert answer.json == {"roles": ["boss"], "attributes": {}, "at": None}
        (me,) = [one for one in client.bound.operations if one.name == "me"]
        assert "bind_caller" not in [stage.__qualname__.split(".")[0] for stage in me.stages]


async def test_roles_are_expanded_before_any_policy_is_asked() -> None:
    service = Service("ward", modules=[ward(allow=role("nurse"))], roles={"chief": ["nurse"], "nurse": []})
    async with Client(service) as client:
        for _ in range(2):  # worked out, and remembered
            assert (await client.get("/me", who=as_principal("ann", roles="chief"))).json["roles"] == ["chief", "nurse"]
        assert (await client.get("/me", who=as_principal("bob", roles="nurse"))).json["roles"] == ["nurse"]
        assert (await client.get("/me", who=as_principal("eve", roles="other"))).status == 403
        assert (await client.get("/me")).status == 401


async def test_sets_of_roles_beyond_the_bound_are_worked_out_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.kernel.callers._MAX_ROLE_SETS", 0)
    service = Service("ward", modules=[ward(allow=role("nurse"))], roles={"chief": ["nurse"], "nurse": []})
    async with Client(service) as client:
        assert (await client.get("/me", who=as_principal("ann", roles="chief"))).status == 200


async def test_circumstances_are_there_where_a_policy_asks_for_them() -> None:
    service = Service("ward", modules=[ward(allow=between("08:00", "18:00") & protocol("rest"))])
    async with Client(service) as client:
        assert (await client.get("/me", who=as_principal("ann"))).status == 403
        assert (await client.get("/me")).status == 401
        client.clock.advance(9 * 3600)
        assert (await client.get("/me", who=as_principal("ann"))).json["at"] == "09:00 rest"
        assert (await client.get("/me")).json["at"] == "09:00 rest"  # no policy asks who it is


def with_staff(**more: Any) -> tuple[Service, list[str]]:
    service, loaded = Service("ward", modules=[ward(allow=anyone)]), list[str]()

    @service.attributes(**more)
    async def staff(who: Principal, people: Repository[Staff]) -> dict[str, object]:
        loaded.append(who.subject)
        try:
            return {"ward": (await people.one(person_id=who.id)).ward}
        except NotFound:
            return {}

    return service, loaded


async def test_attributes_are_loaded_once_a_call_by_the_service_itself() -> None:
    service, loaded = with_staff()
    ann, bob = as_principal("ann"), as_principal("bob")
    async with Client(service) as client:
        await client.given(Staff(person_id=ann.id, ward="north"), Bed(ward="north"), Bed(ward="south"))
        assert (await client.get("/me", who=ann)).json["attributes"] == {"ward": "north"}
        assert [bed["ward"] for bed in (await client.get("/beds", who=ann)).json["items"]] == ["north"]
        assert (await client.get("/beds", who=bob)).json["items"] == []
        assert len((await client.get("/beds", who=as_principal("eve", roles="chief"))).json["items"]) == 2
        assert loaded == ["ann", "ann", "bob", "eve"]
        assert (await client.get("/me")).json["attributes"] == {}
        assert len(loaded) == 4  # of nobody known nothing is looked for


async def test_attributes_are_kept_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainstay.kernel.callers.MAX_KEPT", 2)
    service, loaded = with_staff(keep=30)
    ann, bob, eve = (as_principal(name) for name in ("ann", "bob", "eve"))
    async with Client(service) as client:
        await client.given(Staff(person_id=ann.id, ward="north"))
        for _ in range(2):
            assert (await client.get("/me", who=ann)).json["attributes"] == {"ward": "north"}
        assert loaded == ["ann"]
        client.clock.advance(30)
        await client.get("/me", who=ann)
        assert loaded == ["ann", "ann"]
        for who in (bob, eve, bob, ann):
            await client.get("/me", who=who)
        assert loaded == ["ann", "ann", "bob", "eve", "ann"]  # she was known the longest, and went
        assert (await client.get("/me", who=as_principal("ann", tenant="other"))).json["attributes"] == {
            "ward": "north"
        }
        assert len(loaded) == 6  # another tenant's caller is another
    assert MAX_KEPT == 10_000


@pytest.mark.parametrize(
    "answer",
    [
        RuntimeError("the directory is away"),
        NotFound("nobody"),
        ["no", "mapping"],
        {1: "no name"},
        {f"a{number}": number for number in range(MAX_ATTRIBUTES + 1)},
    ],
    ids=str,
)
async def test_a_source_that_fails_is_503_and_never_a_refusal(answer: Any) -> None:
    service = Service("ward", modules=[ward()])

    @service.attributes
    async def staff(who: Principal) -> Mapping[str, object]:
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]  # that is what is tried

    async with Client(service, raise_errors=False) as client:
        got = await client.get("/me", who=as_principal("ann"))
        assert (got.status, got.code, got.headers["retry-after"]) == (503, "unavailable", "1")
        (ended,) = client.recorder.calls
        assert ended.error is not None


def test_a_second_source_and_a_long_memory_are_refused() -> None:
    service, _ = with_staff()
    with pytest.raises(ValueError, match=r"has a source already, at .*test_callers\.py"):
        service.attributes(lambda: {})
    for keep in (-1.0, 61.0):
        with pytest.raises(ValueError, match="expected 0 to 60"):
            Service("ward", modules=[ward()]).attributes(keep=keep)


def test_a_source_asks_for_what_there_is_and_changes_nothing() -> None:
    class Lost:
        """What nothing provides."""

    for kind, message in ((Lost, "nothing provides Lost"), (Bulk[Staff], "parameter rows changes things")):
        service = Service("ward", modules=[ward()])

        async def staff(rows: Any) -> dict[str, object]:
            return {}

        staff.__annotations__["rows"] = kind
        service.attributes(staff)
        with pytest.raises(StartupFailed, match=message):
            Client(service)


async def test_a_consumer_runs_as_a_whole_caller_of_its_own_time() -> None:
    module = ward(allow=authenticated & ~protocol("event"))
    told: list[Seen] = []

    @module.command("POST /bell", status=204, allow=role("nurse"))
    async def ring(events: Events) -> None:
        events.emit(Rung(bed="1"))

    @module.on(Rung)
    async def hear(event: Rung, who: Principal, clock: Clock) -> None:
        told.append(seen(who))

    service = Service("ward", modules=[module], roles={"chief": ["nurse"], "nurse": []})

    @service.attributes
    async def staff(who: Principal) -> dict[str, object]:
        return {"name": who.subject}

    boss, robot = as_principal("ann", roles="chief"), as_principal("robot", roles=["chief", "nurse"])
    async with Client(service) as client:
        assert (await client.post("/bell", who=boss)).status == 204
        client.clock.advance(3600)
        await client.deliver()
        assert (await client.post("/bell", who=boss.acted_for_by(robot))).status == 204
        await client.deliver()
    assert [(one.roles, one.attributes, one.at) for one in told] == [
        (["chief", "nurse"], {"name": "ann"}, "01:00 event"),
        (["chief", "nurse"], {"name": "ann"}, "01:00 event"),
    ]


async def test_the_service_itself_is_left_as_it_is() -> None:
    module = ward(allow=check(lambda _who, call: isinstance(call, Circumstances)) & attribute("name", "x"))
    told: list[Principal] = []

    @module.on(Rung)
    async def hear(event: Rung, who: Principal) -> None:
        told.append(who)

    @module.command("POST /bell", status=204, allow=anyone)
    async def ring(events: Events) -> None:
        events.emit(Rung(bed="1"))

    async with Client(Service("ward", modules=[module])) as client:
        client.change(as_principal("root"), Principal.system)
        await client.post("/bell", who=as_principal("root"))
        await client.deliver()
        assert (await client.get("/me", who=as_principal("root"))).json["at"] is None
    assert told == [Principal.system]


async def test_a_query_that_goes_on_for_the_same_caller_goes_on_as_it_was() -> None:
    async with memory_unit(Staff, who=as_principal("ann")) as unit:
        work = unit.repository(Staff)._unit
        frame = work.frame
        work.go_on_for(frame.who)
        assert work.frame is frame
