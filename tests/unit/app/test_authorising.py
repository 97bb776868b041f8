"""Authorisation told: of services with attributes, tenants, Cedar files and consumers."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from mainstay import Dto, Entity, Event, Events, Module, Principal, Service, anyone, authenticated, field, role, where
from mainstay.app.authorising import draw_matrix, explain
from mainstay.app.authorising.explanation import UNLOADED
from mainstay.app.authorising.verdicts import whole
from mainstay.app.checking import inspect
from mainstay.cedar import cedar
from mainstay.kernel.bind import Bound
from mainstay.testing.people import as_principal


class Happened(Event):
    """Something did."""

    number: int


class Told(Dto):
    """What is told."""

    number: int
    secret: str = field(default="", read=role("boss"))


class Bed(Entity, tenant="house", rows=where(lambda row, who: row.ward == who.attributes["ward"])):
    """A bed of a ward."""

    ward: str


def bound(folder: Path) -> Bound:
    (folder / "p.cedar").write_text('permit(principal in Role::"boss", action, resource);')
    module = Module("ward")
    module.resource(Bed, path="/beds", read=authenticated)

    @module.query("GET /told", allow=cedar(folder / "p.cedar", "told"))
    async def told() -> Told:
        return Told(number=1)

    @module.command("POST /ring", status=204, allow=anyone)
    async def ring(events: Events) -> None:
        events.emit(Happened(number=1))

    @module.on(Happened)
    async def hear(event: Happened) -> None:
        assert event

    service = Service("ward", modules=[module])

    @service.attributes
    async def staff(who: Principal) -> dict[str, object]:
        return {"name": who.subject}

    made = inspect(service)
    assert made.faults == []
    return made


def test_attributes_are_those_that_are_given(tmp_path: Path) -> None:
    ann = as_principal("ann", tenant="acme")
    refused = explain(bound(tmp_path), ann, "list_beds")
    assert (refused.verdict, refused.note) == ("no", UNLOADED)
    known = as_principal("ann", tenant="acme", attributes={"ward": "north"})
    told = explain(bound(tmp_path), known, "list_beds")
    assert (told.verdict, told.note) == ("rows", None)
    assert told.rows[0].why.where == """house = the caller's tenant and ward = "north\""""
    assert explain(bound(tmp_path), known, "list_beds", {"ward": "north", "house": "acme"}).verdict == "yes"
    assert explain(bound(tmp_path), known, "list_beds", {"ward": "north", "house": "globex"}).verdict == "no"


def test_a_cedar_file_is_told_part_by_part(tmp_path: Path) -> None:
    told = explain(bound(tmp_path), as_principal("ann", roles="boss"), "told")
    assert [(depth, line.part, line.verdict) for depth, line in told.allow.lines()] == [
        (0, "cedar('p.cedar', 'told')", "yes"),
        (1, "role('boss')", "yes"),
    ]
    assert [(one.field, one.read.verdict) for one in told.fields if one.read is not None] == [("Told.secret", "yes")]


def test_a_consumer_runs_as_whoever_its_event_came_from(tmp_path: Path) -> None:
    told = explain(bound(tmp_path), as_principal("ann"), "hear")
    assert (told.route, told.verdict) == ("EVENT", "yes")
    assert "hear" not in draw_matrix(bound(tmp_path), {"ann": as_principal("ann")}).operations


@pytest.mark.parametrize("who", [Principal.anonymous, Principal.system])
def test_callers_without_a_name_are_told_by_what_they_are(tmp_path: Path, who: Principal) -> None:
    told = explain(bound(tmp_path), who, "ring")
    assert told.caller == ("the service itself" if who.is_system else "nobody known")
    assert whole(who, bound(tmp_path).service, bound(tmp_path).ports.clock).id == UUID(int=int(who.is_system))
