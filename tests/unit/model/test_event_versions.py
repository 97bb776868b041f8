"""Versions of events as they are declared, and what is wrong with them: told at start-up, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from mainstay import Dto, Entity, Event, Events, Module, Service, anyone
from mainstay.model.checks import check_service
from mainstay.model.event_versions import steps_to, taken, upcasters_of, version_of


class First(Event):
    text: str


class Third(Event, version=3):
    text: str


class View(Event):
    text: str


class OlderView(Event, version=2):
    text: str


def as_it_is(members: dict[str, Any]) -> dict[str, Any]:
    return members


def speaking(module: Module) -> Module:
    @module.command("POST /say", allow=anyone)
    async def say(events: Events) -> None:
        events.emit(Third(text="x"))

    return module


def faults_of(*modules: Module) -> list[str]:
    return [f"{f.subject}: {f.message}" for f in check_service(Service("s", modules=modules)).faults]


def test_an_event_has_a_version() -> None:
    assert (version_of(First), version_of(Third)) == (1, 3)


def test_a_class_made_of_an_event_is_an_event_of_its_own() -> None:
    class More(Third):
        more: int = 1

    assert version_of(More) == 1


@pytest.mark.parametrize("base", [Dto, Entity])
def test_only_events_have_versions(base: Any) -> None:
    with pytest.raises(TypeError, match=r"Thing: version=2 is for events"):
        type(base)("Thing", (base,), {"__module__": __name__}, version=2)


@pytest.mark.parametrize("version", [0, -1, "2", True, 1.5])
def test_versions_are_whole_and_from_1_on(version: Any) -> None:
    with pytest.raises(ValueError, match=r"versions of an event are 1, 2, 3 and so on"):
        type(Event)("Thing", (Event,), {"__module__": __name__}, version=version)


def test_steps_lead_to_the_version_of_the_class() -> None:
    module = Module("talk")
    one, two = (lambda members: members), (lambda members: members)
    module.upcast(Third, 1)(one)
    module.upcast(Third, 2)(two)
    upcasters = upcasters_of([module])
    assert steps_to(Third, upcasters) == {3: (), 2: (two,), 1: (one, two)}
    assert taken(Third, [5], upcasters).keys() == {1, 2, 3, 5}
    assert steps_to(First, upcasters) == {1: ()}


def test_a_step_is_of_an_event() -> None:
    for wrong in (Event, Dto, "talk.Third"):
        with pytest.raises(TypeError, match=r"give the class of an event"):
            Module("talk").upcast(wrong, 1)  # type: ignore[arg-type]


def test_a_sealed_module_takes_no_step() -> None:
    module = Module("talk")
    Service("s", modules=[module])
    with pytest.raises(RuntimeError, match=r"module talk is sealed"):
        module.upcast(Third, 1)(as_it_is)


def test_full_steps_have_no_fault() -> None:
    module = speaking(Module("talk"))
    module.upcast(Third, 1)(as_it_is)
    module.upcast(Third, 2)(as_it_is)
    assert faults_of(module) == []


@pytest.mark.parametrize("version", [0, 3, 4])
def test_a_step_beyond_the_class_is_a_fault(version: int) -> None:
    module = speaking(Module("talk"))
    module.upcast(Third, version)(as_it_is)
    (fault,) = faults_of(module)
    assert fault == f"upcast(Third, {version}): it leads to version {version + 1}, and Third has version 3"


def test_a_gap_is_a_fault() -> None:
    module = speaking(Module("talk"))
    module.upcast(Third, 1)(as_it_is)
    assert faults_of(module) == ["upcast(Third, 1): it leads nowhere: there is no step from version 2 to 3"]


def test_two_steps_from_one_version_are_a_fault() -> None:
    module = speaking(Module("talk"))
    module.upcast(Third, 2)(as_it_is)
    module.upcast(Third, 2)(as_it_is)
    (fault,) = faults_of(module)
    assert fault.startswith("upcast(Third, 2): another step begins there too, at ")


def test_a_step_is_a_plain_function_of_the_members() -> None:
    module = speaking(Module("talk"))

    @module.upcast(Third, 2)  # type: ignore[type-var]
    async def later(members: dict[str, Any]) -> dict[str, Any]:
        return members

    assert ["a step is a plain function" in fault for fault in faults_of(module)] == [True]


def hearing(event: Any, reads: tuple[int, ...] = (), seen: Any = View) -> Module:
    module = Module("mail")

    async def hear(event: Any) -> None: ...

    hear.__annotations__["event"] = seen
    module.on(event, reads=reads)(hear)
    return module


def test_a_consumer_takes_what_is_emitted_here() -> None:
    assert faults_of(speaking(Module("talk")), hearing("talk.Third", (3,))) == []
    assert faults_of(speaking(Module("talk")), hearing(Third, seen=Third)) == []


@pytest.mark.parametrize(
    ("seen", "reads", "message"),
    [
        (View, (), "Third is emitted in version 3, and it takes version 1"),
        (OlderView, (1,), "Third is emitted in version 3, and it takes version 2"),
        (View, (3, 0), "reads=[3, 0]: 0: it is at least 1"),
        (View, (3, 1), "reads=[3, 1]: 1: that version is taken without it"),
    ],
)
def test_a_consumer_that_cannot_is_a_fault(seen: Any, reads: tuple[int, ...], message: str) -> None:
    assert faults_of(speaking(Module("talk")), hearing("talk.Third", reads, seen)) == [f"hear: {message}"]


def test_a_consumer_may_be_ahead_of_what_is_emitted() -> None:
    talk = Module("talk")

    @talk.command("POST /say", allow=anyone)
    async def say(events: Events) -> None:
        events.emit(First(text="x"))

    mail = hearing("talk.First", seen=OlderView)
    assert faults_of(talk, mail) == ["hear: First is emitted in version 1, and it takes version 2"]
    talk2, mail2 = Module("talk"), hearing("talk.First", seen=OlderView)
    talk2.command("POST /say", allow=anyone)(say)
    mail2.upcast(OlderView, 1)(as_it_is)
    assert faults_of(talk2, mail2) == []


def test_an_event_of_another_service_is_read_as_a_class_of_ones_own() -> None:
    assert faults_of(hearing("bank.Paid")) == []
    assert faults_of(hearing("bank.Paid", seen=Dto)) == [
        "hear: parameter event: a consumer of Event is given that, and nothing else"
    ]


@pytest.mark.parametrize("name", ["mail.Paid", "Paid", "bank.", "bank.paid.twice", ".Paid"])
def test_a_name_that_no_event_has_is_a_fault(name: str) -> None:
    assert faults_of(hearing(name)) == [f'hear: no event is named "{name}"']
