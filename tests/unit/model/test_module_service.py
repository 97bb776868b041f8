"""Modules and services: append-only declarations that leave functions as they were, sealed once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest

from mainstay import Conflict, Entity, Event, Module, Service, anyone, limit, role
from mainstay.model.faults import StartupFailed, StartupFault
from mainstay.model.operation import OperationKind, Source, caller_module, caller_source, source_of


class Thing(Entity):
    name: str


class Happened(Event):
    number: int


async def act() -> None:
    """Do it.

    With all that is known of it.
    """


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_a_module_has_a_name_that_code_may_use() -> None:
    module = Module("blue_tea")
    assert (module.name, module.title, repr(module)) == ("blue_tea", "Blue tea", "Module('blue_tea')")
    assert (module.source.file, module.home) == (__file__, __name__)
    assert Module("tea", title="All tea").title == "All tea"
    for name in ("", "a-b", "1a", "a b", "a.b"):
        with pytest.raises(ValueError, match="is an identifier"):
            Module(name)


def test_a_decorator_returns_the_function_as_it_was() -> None:
    module = Module("tea")
    declared = [
        module.command("POST /a", status=202, raises=[Conflict], limits=[limit("1/second")], name="posted")(act),
        module.query("GET /a", allow=anyone, deadline=2.0, deprecated=True)(act),
        module.on(Happened, attempts=3, name="heard")(act),
    ]
    assert declared == [act, act, act]
    command, query, consumer = module.operations
    assert (command.name, command.kind, command.method, command.path) == (
        "posted",
        OperationKind.COMMAND,
        "POST",
        "/a",
    )
    assert (command.status, command.raises, command.idempotency, command.allow) == (202, (Conflict,), "optional", None)
    assert (query.name, query.deadline, query.deprecated, query.idempotency) == ("act", 2.0, True, "none")
    assert (consumer.event, consumer.attempts, consumer.kind) == (Happened, 3, OperationKind.CONSUMER)
    assert (command.summary, command.description) == ("Do it.", "With all that is known of it.")
    assert command.source == Source(__file__, act.__code__.co_firstlineno)


def test_a_resource_serves_the_verbs_that_have_a_policy() -> None:
    module = Module("tea")
    at = line() + 1
    module.resource(Thing, path="/old-things", read=anyone, update=role("boss"), precondition=True)
    (resource,) = module.resources
    assert (resource.source.file, resource.source.line, resource.precondition) == (__file__, at, True)
    assert resource.routes() == [
        ("list", "GET", "/old-things"),
        ("get", "GET", "/old-things/{id}"),
        ("update", "PATCH", "/old-things/{id}"),
    ]
    names = [resource.operation_name(verb) for verb in ("list", "get", "create", "update", "delete")]
    assert names == ["list_old_things", "get_thing", "create_thing", "update_thing", "delete_thing"]
    assert [resource.policy(verb) is not None for verb in ("list", "get", "create", "update", "delete")] == [
        True,
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "declare",
    [
        lambda m: m.entity(Thing),
        lambda m: m.resource(Thing, path="/a", read=anyone),
        lambda m: m.command("POST /a", allow=anyone)(act),
        lambda m: m.query("GET /a", allow=anyone)(act),
        lambda m: m.on(Happened)(act),
    ],
)
def test_a_sealed_module_takes_no_more(declare: Callable[[Module], Any]) -> None:
    module = Module("tea")
    declare(module)
    Service("shop", modules=[module])
    with pytest.raises(RuntimeError, match=r"module tea is sealed by service shop"):
        declare(module)


def test_a_service_is_put_together() -> None:
    service = Service("tea-shop", version="1.2.3", modules=[Module("tea")], limits=[limit("1/second")])
    assert (service.name, service.title, service.case) == ("tea-shop", "Tea shop", "snake")
    assert repr(service) == "Service('tea-shop', version='1.2.3')"
    assert Service("x", modules=[], title="Y").title == "Y"
    at = line() + 1
    service.provide(Thing, act, scope="call", outside=False)
    (provision,) = service.provisions
    assert (provision.type, provision.factory, provision.scope, provision.outside) == (Thing, act, "call", False)
    assert (provision.source.file, provision.source.line) == (__file__, at)
    assert service.seed(act) is act
    assert [seed.function for seed in service.seeds] == [act]


def test_seeds_are_for_profiles() -> None:
    service = Service("shop", modules=[])
    service.seed(act)

    @service.seed(profiles=["demo", "test"])
    def shown() -> None: ...

    everywhere, some = service.seeds
    assert (everywhere.function, some.function) == (act, shown)
    for active, runs in (([], False), (["production"], False), (["development", "demo"], True), (["test"], True)):
        assert everywhere.runs_in(active)
        assert some.runs_in(active) is runs
    with pytest.raises(ValueError, match=r"seed: staging is no profile: development, test, production, demo"):
        service.seed(profiles=["staging"])  # type: ignore[list-item]  # the mistake


def test_places_of_what_is_declared() -> None:
    assert source_of(Thing).file == source_of(act).file == __file__
    assert source_of(Thing).line > 0
    assert str(source_of(len)) == "builtins:0"
    assert source_of(5) == Source("?", 0)
    assert source_of(type("Made", (), {"__module__": "nowhere"})) == Source("nowhere", 0)
    assert caller_source(0).file == __file__
    assert caller_module(0) == __name__
    assert caller_source(10_000) == Source("?", 0)
    assert caller_module(10_000) == ""


def test_faults_are_told_one_a_line() -> None:
    faults = [
        StartupFault(Source("a.py", 1), "act", "it is wrong", "mend it"),
        StartupFault(Source("b.py", 2), "x", "no"),
    ]
    failed = StartupFailed(reversed(faults))  # however they were found: by file and line
    assert str(failed) == "a.py:1: act: it is wrong (mend it)\nb.py:2: x: no"
    assert failed.faults == tuple(faults)
