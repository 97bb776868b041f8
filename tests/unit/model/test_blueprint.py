"""Blueprints: who owns an entity, what an event is called, what a reference names."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from mainstay import Entity, Event, Many, Module, Repository, Service, anyone, field, related
from mainstay.model.blueprint import Blueprint, draw


def write(name: str, source: str, **names: Any) -> ModuleType:
    """Load a Python module from text, as one of a team's package."""
    module = ModuleType(name)
    sys.modules[name] = module
    vars(module).update(names)
    exec("from __future__ import annotations\nfrom uuid import UUID\nfrom mainstay import *\n" + source, vars(module))
    return module


@pytest.fixture
def package() -> Iterator[Any]:
    before = set(sys.modules)
    yield write
    for name in set(sys.modules) - before:
        if name.startswith("team"):
            del sys.modules[name]


def drawn(*modules: Module) -> Blueprint:
    return draw(Service("s", modules=modules))


def owners(blueprint: Blueprint) -> dict[str, str]:
    return {entity.__name__: owner for entity, owner in blueprint.owners.items()}


class Parent(Entity):
    children: Many[Child] = related("parent_id")


class Child(Entity):
    parent_id: UUID = field(references="Parent")
    friend_id: UUID | None = field(references="Friend", default=None)


class Friend(Entity):
    name: str


class Stray(Entity):
    nobody_id: UUID = field(references="Nobody")
    self_id: UUID | None = field(references="Stray", default=None)
    wrong_id: UUID | None = field(references=int, default=None)


def test_what_an_entity_names_belongs_with_it() -> None:
    module = Module("family")
    module.entity(Child)
    blueprint = drawn(module)
    assert owners(blueprint) == {"Parent": "family", "Child": "family", "Friend": "family"}
    assert blueprint.references == {(Child, "parent_id"): Parent, (Child, "friend_id"): Friend}
    assert [e.__name__ for e in blueprint.entities()] == ["Child", "Friend", "Parent"]
    assert blueprint.faults == []


def test_a_reference_that_names_nothing_is_noted() -> None:
    module = Module("family")
    module.entity(Stray)
    blueprint = drawn(module)
    assert [f.subject for f in blueprint.faults] == ["Stray.nobody_id", "Stray.wrong_id"]
    assert blueprint.references == {(Stray, "self_id"): Stray}


def test_an_entity_belongs_to_the_module_of_its_package(package: Any) -> None:
    entities = package("team.store.entities", "class Tea(Entity):\n    name: str")
    store = package("team.store", "module = Module('store')").module
    other = package("team.other.app", "module = Module('other')").module

    async def reach(rows: Repository[Any]) -> None: ...

    reach.__annotations__["rows"] = Repository[entities.Tea]
    other.query("GET /tea", allow=anyone)(reach)
    assert owners(drawn(other, store)) == {"Tea": "store"}
    assert owners(drawn(other)) == {"Tea": "other"}


def test_a_declaration_goes_before_the_place(package: Any) -> None:
    entities = package("team.store.entities", "class Tea(Entity):\n    name: str")
    store = package("team.store", "module = Module('store')").module
    other = package("team.other.app", "module = Module('other')").module
    other.entity(entities.Tea)
    assert owners(drawn(store, other)) == {"Tea": "other"}


def test_an_event_is_called_by_the_module_it_is_declared_in(package: Any) -> None:
    app = package(
        "team.store.app",
        "class Sold(Event):\n    number: int\n"
        "module = Module('store')\n"
        "@module.command('POST /sell', allow=anyone)\n"
        "async def sell(events: Events) -> None: ...",
    )
    other = package("team.other.app", "module = Module('other')").module

    async def heard(event: Any) -> None: ...

    heard.__annotations__["event"] = app.Sold
    other.on("store.Sold")(heard)
    for modules in ((app.module, other), (other, app.module)):
        blueprint = drawn(*modules)
        assert blueprint.events == {"store.Sold": app.Sold}
        assert blueprint.event_names == {app.Sold: "store.Sold"}


def test_an_event_of_a_package_of_no_module_is_called_by_who_hears_it() -> None:
    event = type(Event)("Said", (Event,), {"__module__": "elsewhere.events"})
    module = Module("ears")

    async def heard() -> None: ...

    module.on(event)(heard)
    assert drawn(module).events == {"ears.Said": event}


def test_two_modules_side_by_side_do_not_share_what_stands_between(package: Any) -> None:
    shared = package("team.shared", "class Tea(Entity):\n    name: str")
    one = package("team.one", "module = Module('one')").module
    two = package("team.two", "module = Module('two')").module
    two.entity(shared.Tea)
    assert owners(drawn(one, two)) == {"Tea": "two"}
    alone = package("team.three", "module = Module('three')").module

    async def use() -> Any: ...

    use.__annotations__["return"] = shared.Tea
    alone.query("GET /tea", allow=anyone)(use)
    assert owners(drawn(alone)) == {"Tea": "three"}


def test_an_operation_that_does_not_resolve_is_noted_and_left_out() -> None:
    module = Module("family")

    @module.query("GET /a", allow=anyone)
    async def lost(one: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is the fault

    blueprint = drawn(module)
    assert blueprint.planned == []
    assert "parameter one" in blueprint.faults[0].message
