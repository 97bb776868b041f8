"""Options of entities: the fields that they bring, and what is refused of them at start-up."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from mainstay import (
    UNASSIGNED,
    AuditTrail,
    Deleted,
    Entity,
    Many,
    Module,
    Service,
    cache,
    field,
    owner,
    related,
    role,
    tenancy,
)
from mainstay.model.checks import check_service
from mainstay.model.faults import StartupFailed
from mainstay.model.policy import anyone
from mainstay.model.principal import Principal
from mainstay.model.schema import shape_of
from mainstay.model.soft_deletion import Gone, Kept
from mainstay.model.structs import EPOCH
from mainstay.model.tenancy import TENANT_LENGTH, Tenancy
from mainstay.testing import Client


class Base(Entity, tenant="org"):
    org: UUID


class Derived(Base):
    name: str


class Late(Entity):
    tenant_id: str = ""


class Own(Entity, tenant="tenant_id"):
    tenant_id: str = field(max_length=20, description="Whose it is.")


class Child(Entity, tenant="tenant_id"):
    parent_id: UUID = field(references="Parent")


class Parent(Entity, tenant="children"):
    children: Many[Child] = related("parent_id")


def faults_of(*entities: type[Entity]) -> list[str]:
    module = Module("m")
    module.entity(*entities)
    return [f"{f.subject}: {f.message}" for f in check_service(Service("s", modules=[module])).faults]


def test_the_field_of_a_tenant_is_brought_or_completed() -> None:
    class Plain(Entity, tenant="tenant_id"):
        name: str

    spec = shape_of(Plain).by_name["tenant_id"].spec
    assert (spec.read_only, spec.immutable, spec.index, spec.default, spec.max_length) == (
        True,
        True,
        True,
        "",
        TENANT_LENGTH,
    )
    assert Plain(name="a").tenant_id == ""  # type: ignore[attr-defined]  # the option brings it
    own = shape_of(Own).by_name["tenant_id"].spec
    assert (own.read_only, own.max_length, own.description) == (True, 20, "Whose it is.")
    assert Own().tenant_id == ""  # type: ignore[call-arg]  # its default comes with the option
    assert faults_of(Plain, Own) == []


def test_a_class_has_the_options_of_its_base() -> None:
    assert Derived.__mainstay_options__.tenancy == Tenancy("org")
    made = Derived(name="a")  # type: ignore[call-arg]  # its default comes with the option
    assert made.org == UNASSIGNED
    assert faults_of(Derived) == []
    assert Entity.__mainstay_options__.tenancy is None


def test_what_is_no_tenant_is_refused_where_it_stands() -> None:
    wrong: Any = 3
    with pytest.raises(TypeError, match="it names a field"):

        class Numbered(Entity, tenant=wrong):
            name: str


def _made(annotation: Any, default: Any = "", tenant: Any = "t") -> type[Entity]:
    body = {"__module__": __name__, "__annotations__": {"t": annotation}, "t": default}
    meta: Any = type(Entity)
    return meta("Made", (Entity,), body, tenant=tenant)  # type: ignore[no-any-return]


def test_misdeclared_tenants_are_told_at_start_up() -> None:
    class Subclass(Late, tenant="tenant_id"):
        pass

    class Standard(Entity, tenant="id"):
        pass

    nonsense: Any = 3
    for entity, told in (
        (_made(str | None), "not of type str or UUID"),
        (_made(int, 3), "not of type str or UUID"),
        (_made(str, field(unique=True)), "it is unique"),
        (_made(str, field(), tenancy("t", across=owner("id"))), "looks at rows"),
        (_made(str, field(), tenancy("t", across=nonsense)), "is no policy"),
        (Subclass, "a field of its base"),
        (Standard, "no field for a tenant"),
        (Parent, "no field for a tenant"),
    ):
        found = faults_of(entity, Child) if entity is Parent else faults_of(entity)
        assert any("tenant=" in each and told.removeprefix("it ") in each for each in found), (entity, found)


def test_a_tenancy_says_what_it_is() -> None:
    assert repr(tenancy("t")) == "tenancy('t')"
    assert repr(tenancy("t", across=role("a"))) == "tenancy('t', across=role('a'))"
    assert tenancy("t").looks_at_row
    assert Tenancy("t", kind=UUID).of(Principal(id=UNASSIGNED, tenant="no uuid")) is None


class Dossier(Entity, soft_delete=True):
    deleted_at: datetime | None = None


class Sheet(Entity):
    dossier_id: UUID = field(references=Dossier, on_delete="cascade")


class Dated(Entity):
    deleted_at: datetime | None = None


def _deletable(annotation: Any, default: Any) -> type[Entity]:
    body = {"__module__": __name__, "__annotations__": {"deleted_at": annotation}, "deleted_at": default}
    meta: Any = type(Entity)
    return meta("Made", (Entity,), body, soft_delete=True)  # type: ignore[no-any-return]


def test_what_cannot_be_kept_is_told_at_start_up() -> None:
    class Subclass(Dated, soft_delete=True):
        pass

    class Anew(Dossier, soft_delete=False):
        pass

    assert faults_of(Dossier) == []
    assert Anew.__mainstay_options__.soft_delete is False
    for entity, told in (
        (_deletable(str, ""), "says when a row was deleted"),
        (_deletable(datetime, EPOCH), "is null in a row that is not deleted"),
        (_deletable(datetime | None, EPOCH), "is null in a row that is not deleted"),
        (_deletable(Many[Sheet], related("dossier_id")), "says when a row was deleted"),
        (Subclass, "a field of its base"),
    ):
        found = faults_of(entity, Dossier, Sheet)
        assert any("soft_delete=" in each and told in each for each in found), (entity, found)
    (cascade,) = faults_of(Dossier, Sheet)
    assert cascade == 'Sheet.dossier_id: on_delete="cascade", and deleted rows of Dossier are kept'


def test_who_asks_for_deleted_rows_of_what_is_deleted_for_good_is_told() -> None:
    module = Module("m")

    @module.query("GET /deleted", allow=anyone)
    async def deleted(rows: Deleted[Own]) -> int:
        return await rows.count()

    with pytest.raises(StartupFailed, match="Own keeps no deleted rows"):
        Client(Service("s", modules=[module]))


class Watched(Entity, audit=True):
    dossier_id: UUID = field(references=Dossier, on_delete="null", default=None)
    own_id: UUID | None = field(references=Own, on_delete="cascade", default=None)
    late_id: UUID | None = field(references=Late, on_delete="null", default=None)
    base_id: UUID | None = field(references=Derived, default=None)


def test_what_a_database_would_change_past_the_audit_is_told() -> None:
    found = [each for each in faults_of(Watched, Dossier, Own, Late, Derived) if "audit" in each]
    assert found == [
        'Watched.own_id: on_delete="cascade", and a delete of a Own would change it past its audit',
        'Watched.late_id: on_delete="null", and a delete of a Late would change it past its audit',
    ]


def test_who_asks_for_a_trail_that_is_not_written_is_told() -> None:
    module = Module("m")

    @module.query("GET /trail", allow=anyone)
    async def trail(rows: AuditTrail[Own]) -> int:
        return len((await rows.of(UNASSIGNED)).items)

    with pytest.raises(StartupFailed, match="Own has no audit trail"):
        Client(Service("s", modules=[module]))


def test_both_options_say_what_they_are() -> None:
    assert (repr(Kept()), repr(Gone())) == ("kept", "deleted")


def test_shared_caches_keep_nothing_of_tenants() -> None:
    module = Module("m")
    module.resource(Own, path="/own", read=anyone, cache=cache(60, shared=60))
    found = [fault.message for fault in check_service(Service("s", modules=[module])).faults]
    assert any("Own belongs to tenants" in message for message in found)


class Entry(Entity, append_only=True):
    text: str = ""
    own_id: UUID | None = field(references=Own, on_delete="cascade", default=None)
    base_id: UUID | None = field(references=Derived, default=None)


class Erased(Entity, append_only=True, soft_delete=True):
    text: str = ""


class Corrected(Entry, append_only=False):
    note: str = ""


def test_what_would_change_rows_that_are_only_added_is_told() -> None:
    module = Module("m")
    module.resource(Entry, path="/entries", read=anyone, create=anyone, delete=role("clerk"))
    module.resource(Corrected, path="/corrected", read=anyone, update=anyone)
    module.entity(Erased)
    found = [
        f"{fault.subject}: {fault.message}"
        for fault in check_service(Service("s", modules=[module])).faults
        if "append_only" in fault.subject
    ]
    assert sorted(found) == [
        'Entry append_only=: own_id: on_delete="cascade" would change or delete its rows',
        "Entry append_only=: the resource /entries has update= or delete=",
        "Erased append_only=: soft_delete= marks rows as deleted, and no row is changed",
    ]
