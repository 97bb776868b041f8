"""Who sends an event and who receives it: found in the code of the use cases, and in what they are given."""

from __future__ import annotations

from typing import Any

from mainstay import Event, Events, Module, Service, anyone
from mainstay.deliver.contracts import Flow, flows_of
from mainstay.model.checks import check_service


class Sent(Event):
    text: str


class Viewed(Event):
    text: str


def emit(events: Events) -> None:
    """Emit by a function of its own, which may call itself."""
    events.emit(Sent(text="x"))
    if not events:
        emit(events)


def emit_each(events: Events) -> None:
    [events.emit(Sent(text=text)) for text in ("a", "b")]


def flows(*modules: Module) -> dict[str, Flow]:
    blueprint = check_service(Service("s", modules=modules))
    assert [str(fault) for fault in blueprint.faults] == []
    return {flow.name: flow for flow in flows_of(blueprint)}


def sending(helper: Any) -> Module:
    talk = Module("talk")

    @talk.command("POST /say", allow=anyone)
    async def say(events: Events) -> None:
        helper(events)

    @talk.command("POST /look", allow=anyone)
    async def look() -> None:
        emit_each.__name__  # noqa: B018 - it names a function that emits, and is given no Events

    return talk


def test_who_sends_by_a_function_is_found() -> None:
    for helper in (emit, emit_each):
        flow = flows(sending(helper))["talk.Sent"]
        assert [sender.name for sender in flow.senders] == ["say"]


def test_a_name_that_holds_nothing_yet_is_passed_over() -> None:
    def late() -> Any:
        def helper(events: Events) -> None:
            events.emit(later)

        module = sending(helper)
        found = flows(module)
        later = Sent(text="x")
        return found, later

    found, _ = late()
    assert found["talk.Sent"].senders == ()


def test_a_class_that_only_a_consumer_reads_by_is_no_event_of_its_own() -> None:
    mail = Module("mail")

    @mail.on("talk.Sent")
    async def hear(event: Viewed) -> None: ...

    found = flows(sending(emit), mail)
    assert "talk.Viewed" not in found
    (receiver,) = found["talk.Sent"].receivers
    assert (receiver.operation.name, receiver.event, receiver.versions) == ("hear", Viewed, (1,))
