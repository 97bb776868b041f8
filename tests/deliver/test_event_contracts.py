"""Kept schemas and what is declared: what must be mended is told with its place, and what may be written is known."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from event_shapes import Fields, event

from mainstay import Events, Module, Service, anyone
from mainstay.deliver.contracts import (
    Compatibility,
    EventSchema,
    LockUnreadable,
    Verdict,
    differences,
    flows_of,
    judge,
    path_of,
    read_lock,
    schema_of,
    schemas_of,
    text_of,
)
from mainstay.model.blueprint import Blueprint
from mainstay.model.checks import check_service
from mainstay.model.schema import Shapes

BASE: Fields = {"id": UUID, "total": Decimal}
NAME = "desk.Changed"


def sending(kind: Any) -> Module:
    desk = Module("desk")

    @desk.command("POST /change", allow=anyone)
    async def change(events: Events) -> None:
        events.emit(kind)

    desk.on(kind, name="note")(reading(kind))
    return desk


def reading(kind: Any) -> Callable[..., Any]:
    async def note(event: Any) -> None: ...

    note.__annotations__["event"] = kind
    return note


def drawn(*modules: Module) -> Blueprint:
    blueprint = check_service(Service("s", modules=modules))
    assert [str(fault) for fault in blueprint.faults] == []
    return blueprint


def keep(folder: Path, kind: Any, name: str = NAME) -> EventSchema:
    folder.mkdir(exist_ok=True)
    made = schema_of(name, kind, Shapes())
    (folder / path_of(name, made.version)).write_bytes(text_of(made))
    return made


def verdict(folder: Path, *modules: Module, compatibility: Compatibility = "full") -> Verdict:
    blueprint = drawn(*modules)
    return judge(blueprint, flows_of(blueprint), read_lock(folder), compatibility, folder="contracts/events")


def told(found: Verdict) -> list[tuple[str, str, str | None]]:
    return [(fault.subject, fault.message, fault.hint) for fault in found.faults]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "events"


def test_without_a_folder_nothing_is_compared(folder: Path) -> None:
    assert verdict(folder, sending(event(BASE))) == Verdict(faults=(), warnings=(), behind=())


def test_what_is_kept_as_it_is_declared_is_fine(folder: Path) -> None:
    keep(folder, event(BASE))
    assert verdict(folder, sending(event(BASE))) == Verdict(faults=(), warnings=(), behind=())


def test_a_new_event_is_to_be_written(folder: Path) -> None:
    folder.mkdir()
    found = verdict(folder, sending(event(BASE)))
    assert [schema.name for schema, _ in found.behind] == [NAME]
    assert found.faults == ()


def test_an_addition_passes_and_is_to_be_written(folder: Path) -> None:
    keep(folder, event(BASE))
    found = verdict(folder, sending(event({**BASE, "note": (str, "")})))
    assert (found.faults, [schema.version for schema, _ in found.behind]) == ((), [1])


def test_a_breaking_change_says_what_where_and_what_to_do(folder: Path) -> None:
    keep(folder, event(BASE))
    assert told(verdict(folder, sending(event({"id": UUID})))) == [
        (
            NAME,
            "version 1 was changed: /total: was removed: whoever reads by the schema of before requires it",
            "put it back; or give it version=2, and @desk.upcast(Changed, 1) for messages of before",
        )
    ]


def test_a_mode_lets_what_it_does_not_ask_for(folder: Path) -> None:
    keep(folder, event(BASE))
    module = sending(event({"id": UUID}))
    assert verdict(folder, module, compatibility="backward").faults == ()


def test_a_new_version_may_break_what_it_likes(folder: Path) -> None:
    keep(folder, event(BASE))
    kind = event({"id": UUID}, version=2)
    module = sending(kind)
    module.upcast(kind, 1)(lambda members: {"id": members["id"]})
    found = verdict(folder, module)
    assert (found.faults, [schema.version for schema, _ in found.behind]) == ((), [2])


def test_a_kept_version_without_a_step_is_a_fault_where_somebody_reads(folder: Path) -> None:
    keep(folder, event(BASE))
    kind = event({"id": UUID}, version=2)
    assert told(verdict(folder, sending(kind))) == [
        (
            NAME,
            "version 1 is in contracts/events, and note cannot take it: no step begins there",
            "declare upcast(Changed, 1), or delete contracts/events/desk.Changed.1.json once no message of it is left",
        )
    ]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda members: members, "what it makes of an example of version 1 is no Changed: /count"),
        (lambda members: members["nothing"], "it fails on an example of version 1: KeyError: 'nothing'"),
    ],
)
def test_a_step_is_proven_on_an_example(folder: Path, step: Any, message: str) -> None:
    keep(folder, event(BASE))
    kind = event({"id": UUID, "count": int}, version=2)
    module = sending(kind)
    module.upcast(kind, 1)(step)
    ((subject, found, _),) = told(verdict(folder, module))
    assert subject == "upcast(Changed, 1)"
    assert found.startswith(message)


def test_a_version_may_not_go_back(folder: Path) -> None:
    keep(folder, event(BASE, version=3))
    ((_, message, hint),) = told(verdict(folder, sending(event(BASE, version=2))))
    assert message == "it has version 2, and version 3 is in contracts/events"
    assert hint is not None
    assert hint.startswith("give it version=3")


def test_an_event_that_is_gone_is_told(folder: Path) -> None:
    keep(folder, event(BASE))
    keep(folder, event(BASE), "desk.Gone")
    ((subject, message, hint),) = told(verdict(folder, sending(event(BASE))))
    assert (subject, message) == ("s", "desk.Gone is in contracts/events, and no module of this service declares it")
    assert hint == "declare it again, or delete contracts/events/desk.Gone.*.json once nobody waits for it"


def hearing(view: Any) -> Module:
    mail = Module("mail")
    mail.on(NAME, name="hear")(reading(view))
    return mail


@pytest.mark.parametrize(
    ("view", "faults", "warnings"),
    [
        ({"id": UUID}, [], []),
        ({"id": UUID, "more": (str, "")}, [], []),
        ({"id": UUID, "more": str}, ["View.more does not fit desk.Changed as it is emitted: it has no such field"], []),
        ({"id": int}, ["View.id does not fit desk.Changed as it is emitted: it is string there, and integer here"], []),
        ({"note": str}, [], ["View.note does not fit desk.Changed as it is emitted: it may be null there"]),
    ],
)
def test_a_reader_with_a_class_of_its_own_fits(
    folder: Path, view: Fields, faults: list[str], warnings: list[str]
) -> None:
    kind = event(view)
    kind.__name__ = "View"
    found = verdict(folder, sending(event({**BASE, "note": str | None})), hearing(kind))
    assert [fault.message for fault in found.faults] == faults
    assert [fault.message for fault in found.warnings] == warnings


def test_a_kept_schema_of_another_service_is_held_against_who_reads_it(folder: Path) -> None:
    keep(folder, event({"amount": str}), "bank.Paid")
    mail = Module("mail")
    kind = event({"amount": Decimal})
    mail.on("bank.Paid", name="book")(reading(kind))
    (fault,) = verdict(folder, mail).faults
    assert fault.subject == "book"
    assert (
        fault.message == "Changed.amount does not fit bank.Paid as it is emitted: it is string there, and decimal here"
    )
    assert verdict(folder, mail).behind == ()


def test_a_kept_version_of_another_service_needs_a_step_too(folder: Path) -> None:
    keep(folder, event({"cents": int}), "bank.Paid")
    mail = Module("mail")
    kind = event({"amount": Decimal}, version=2)
    mail.on("bank.Paid", name="book")(reading(kind))
    assert [f.message for f in verdict(folder, mail).faults] == [
        "version 1 is in contracts/events, and book cannot take it: no step begins there"
    ]


def test_changes_are_told_place_by_place(folder: Path) -> None:
    keep(folder, event({**BASE, "gone": (str, ""), "same": list[int]}))
    blueprint = drawn(sending(event({"id": str, "total": Decimal, "new": (int, 1), "same": list[int]})))
    schemas = schemas_of(flows_of(blueprint), blueprint.shapes)
    (one,) = differences(schemas, read_lock(folder) or {}, "full")
    assert [(p.sign, p.where, p.before, p.now, len(p.breaking)) for p in one.places] == [
        ("~", "/id", "string, format uuid, required", "string, required", 1),
        ("+", "/new", None, "integer, optional", 0),
        ("-", "/gone", "string, optional", None, 0),
    ]


def test_what_does_not_differ_is_not_told(folder: Path) -> None:
    keep(folder, event(BASE))
    blueprint = drawn(sending(event(BASE)))
    assert differences(schemas_of(flows_of(blueprint), blueprint.shapes), read_lock(folder) or {}, "full") == []


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Changed.json", b"{}", "is in a file module.Event.VERSION.json"),
        ("desk.Changed.0.json", b"{}", "is in a file module.Event.VERSION.json"),
        ("desk.Changed.1.json", b"[]", "it is no JSON object"),
        ("desk.Changed.1.json", b"{", "it is no JSON object"),
    ],
)
def test_a_file_that_is_no_schema_is_told(folder: Path, name: str, content: bytes, message: str) -> None:
    folder.mkdir()
    (folder / name).write_bytes(content)
    with pytest.raises(LockUnreadable) as refused:
        read_lock(folder)
    assert message in str(refused.value)
    assert name in str(refused.value)


def test_a_kept_file_is_for_people_and_tools(folder: Path) -> None:
    keep(folder, event(BASE))
    text = (folder / "desk.Changed.1.json").read_text()
    assert text.startswith('{\n  "$schema": ')
    assert text.endswith("}\n")
    assert msgspec.json.decode(text)["required"] == ["id", "total"]
