"""Start-up checks: each fault of a declaration is found, all at once, with its file and line."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from mainstay import (
    Dto,
    Entity,
    Event,
    Find,
    Module,
    Page,
    Repository,
    Service,
    anyone,
    authenticated,
    field,
    owner,
    role,
    signed,
    where,
)
from mainstay.model.checks import check_service
from mainstay.model.faults import StartupFault

if TYPE_CHECKING:
    from mainstay import Clock as OnlyForTypes


class Thing(Entity):
    name: str
    region: str = field(default="north")
    owner_id: UUID = field(immutable=True)


class Other(Entity):
    thing_id: UUID = field(references=Thing)


class Slow(Dto):
    text: str = field(pattern=r"(a+)+b")


class Body(Dto):
    a: int


class ThingMade(Event):
    thing_id: UUID


def faults_of(*modules: Module) -> list[StartupFault]:
    return check_service(Service("sample", modules=modules)).faults


def only(faults: list[StartupFault]) -> StartupFault:
    assert len(faults) == 1, [str(f) for f in faults]
    assert faults[0].source.file == __file__
    assert faults[0].source.line > 0
    return faults[0]


def test_a_sound_service_has_no_faults() -> None:
    module = Module("things")
    module.resource(Thing, path="/things", read=anyone, create=role("manager"))

    @module.query("GET /others", allow=authenticated)
    async def others(find: Find[Other], rows: Repository[Other]) -> Page[Other]:
        return await rows.page(find)

    @module.on(ThingMade)
    async def heard(event: ThingMade) -> None: ...

    assert faults_of(module) == []


def test_an_operation_without_allow() -> None:
    module = Module("things")

    @module.command("POST /a")
    async def open_to_nobody() -> None: ...

    fault = only(faults_of(module))
    assert fault.subject == "open_to_nobody"
    assert "allow" in fault.message
    assert fault.source.line == open_to_nobody.__code__.co_firstlineno


def test_a_resource_that_serves_nothing() -> None:
    module = Module("things")
    module.resource(Thing, path="/things")
    assert "serves nothing" in only(faults_of(module)).message


def test_two_operations_on_one_route_whatever_the_braces_are_called() -> None:
    module = Module("things")

    @module.query("GET /a/{one}", allow=anyone)
    async def first(one: UUID) -> None: ...

    @module.query("GET /a/{other}", allow=anyone)
    async def second(other: UUID) -> None: ...

    assert "is the route of first too" in only(faults_of(module)).message


def test_two_operations_of_one_name() -> None:
    module = Module("things")
    module.resource(Thing, path="/things", read=anyone)

    @module.query("GET /elsewhere", allow=anyone)
    async def list_things() -> None: ...

    assert "another operation is named list_things" in only(faults_of(module)).message


def test_a_module_reaching_into_anothers_entities() -> None:
    things, others = Module("things"), Module("others")
    things.resource(Thing, path="/things", read=anyone)

    @others.query("GET /others", allow=anyone)
    async def reach(rows: Repository[Thing]) -> None: ...

    fault = only(faults_of(things, others))
    assert "Thing belongs to module things" in fault.message


def test_an_owner_policy_naming_a_field_that_is_not_there() -> None:
    class Lost(Entity, rows=owner("nobody_id")):
        name: str

    module = Module("things")
    module.entity(Lost)
    assert "no field nobody_id" in only(faults_of(module)).message


def test_an_owner_field_that_is_no_uuid() -> None:
    class Named(Entity, rows=owner("name")):
        name: str

    module = Module("things")
    module.entity(Named)
    assert "is a UUID" in only(faults_of(module)).message


@pytest.mark.parametrize(
    "predicate",
    [
        lambda row, _who: row.region == "north" and row.name == "a",
        lambda row, _who: row.region.upper() == "NORTH",
        lambda row, who: row.region == who.region,
        lambda row, _who: len(row.region) > 1,
        lambda row, _who: row.nothing == 1,
    ],
)
def test_a_row_predicate_without_an_sql_form(predicate: object) -> None:
    class Walled(Entity, rows=where(predicate)):  # type: ignore[arg-type]  # any lambda, that is the test
        region: str
        name: str

    module = Module("things")
    module.entity(Walled)
    assert "row predicate" in only(faults_of(module)).message


def test_a_pattern_outside_the_linear_subset() -> None:
    module = Module("things")

    @module.command("POST /a", allow=anyone)
    async def take(body: Slow) -> None: ...

    assert "pattern" in only(faults_of(module)).message


def test_an_annotation_that_does_not_resolve_names_the_parameter() -> None:
    module = Module("things")

    @module.query("GET /a", allow=anyone)
    async def use(clock: OnlyForTypes) -> None: ...

    assert "parameter clock" in only(faults_of(module)).message


def test_a_row_policy_on_an_operation_belongs_to_the_entity() -> None:
    module = Module("things")

    @module.query("GET /a", allow=owner("owner_id"))
    async def use() -> None: ...

    assert "policy on rows" in only(faults_of(module)).message


@pytest.mark.parametrize(("route", "kind"), [("GET /a", "command"), ("POST /a", "query")])
def test_a_method_that_does_not_fit_the_kind(route: str, kind: str) -> None:
    module = Module("things")

    @getattr(module, kind)(route, allow=anyone)
    async def use() -> None: ...

    assert f"a {kind} on" in only(faults_of(module)).message


def test_a_body_and_scalars_beside_it() -> None:
    module = Module("things")

    @module.command("POST /a", allow=anyone)
    async def use(body: Body, number: int) -> None: ...

    assert "one body" in only(faults_of(module)).message


def test_a_consumer_of_an_event_that_nobody_declares() -> None:
    module = Module("things")

    @module.on("things.Nothing")
    async def heard() -> None: ...

    assert "things.Nothing" in only(faults_of(module)).message


def test_a_signature_without_a_raw_body() -> None:
    module = Module("things")

    @module.command("POST /a", allow=signed("standard-webhooks", secret="hook"))
    async def use() -> None: ...

    assert "RawBody" in only(faults_of(module)).message


class _Bounded(Entity):
    when: str = field(ge=1)
    number: int = field(digits=3)
    price: Decimal = field(digits=30, places=2)
    flag: bool = field(max_length=3, default=False)
    parent: UUID = field(references=Thing, on_delete="explode")
    other: UUID = field(references=Thing, on_delete="null")
    name: str = field(references=Thing)
    size: int = field(pattern="a")


def test_what_is_said_of_a_field_must_fit_its_type() -> None:
    module = Module("things")
    module.entity(_Bounded)
    subjects = [f.subject for f in faults_of(module)]
    assert subjects == [f"_Bounded.{n}" for n in ("when", "number", "price", "flag", "parent", "other", "name", "size")]


def test_a_reference_that_names_no_entity() -> None:
    class Lost(Entity):
        thing_id: UUID = field(references="Nothing")

    module = Module("things")
    module.entity(Lost)
    assert "references 'Nothing'" in only(faults_of(module)).message


def test_all_faults_are_told_at_once() -> None:
    module = Module("things")

    @module.command("POST /a")
    async def first() -> None: ...

    @module.command("GET /b")
    async def second() -> None: ...

    assert [f.subject for f in faults_of(module)] == ["first", "second", "second"]


def test_a_sealed_module_takes_no_more() -> None:
    module = Module("things")
    Service("sample", modules=[module])
    with pytest.raises(RuntimeError, match="sealed by service sample"):
        module.resource(Thing, path="/things", read=anyone)
