"""``mainstay events``: look at the messages of consumers, and mend them. Running replicas heed it within a second."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from uuid import UUID

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of

if TYPE_CHECKING:
    from mainstay.kernel.flow.desk import ConsumerFigures, EventDesk, Message, Moved

STATES = ("pending", "done", "dead", "dropped")
Told = tuple[Any, str]


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their arguments."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    action_parser(actions, "status", "count what waits and what was done, for each consumer")
    listed = action_parser(actions, "list", "list messages in the order in which they came")
    listed.add_argument("--state", choices=STATES, default=None, help="those that are so (all)")
    listed.add_argument("--key", default=None, help="those of a key")
    listed.add_argument("--after", default=None, metavar="ID", help="those behind the last one of a list before")
    listed.add_argument("--limit", type=int, default=100, metavar="N", help="at most so many (100)")
    _choosing(listed)
    shown = action_parser(actions, "show", "show a message whole, payload and principal included")
    shown.add_argument("id", metavar="ID", help="of the message, or of the event: one for each consumer")
    for name, summary in (
        ("pause", "have a consumer begin nothing any more; what comes waits"),
        ("resume", "have a paused consumer go on"),
    ):
        action_parser(actions, name, summary).add_argument("consumer", metavar="CONSUMER")
    redrive = action_parser(actions, "redrive", "try dead letters again, and what waits behind them")
    redrive.add_argument("ids", nargs="*", default=(), metavar="ID", help="of a message")
    redrive.add_argument("--all", action="store_true", default=False, help="all that there are")
    _choosing(redrive)
    discard = action_parser(actions, "discard", "pass dead letters over: what waits behind them goes on")
    discard.add_argument("ids", nargs="+", metavar="ID", help="of a message")
    replay = action_parser(actions, "replay", "have a consumer do again what it has done: a second effect of each")
    replay.add_argument("consumer", metavar="CONSUMER")
    replay.add_argument(
        "--since", required=True, metavar="TIME", help="emitted from then on: 2026-11-29T10:00:00Z, by RFC 3339"
    )
    replay.add_argument("--event", default=None, metavar="NAME", help="of one event only")


def _choosing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--consumer", default=None, metavar="CONSUMER", help="those of a consumer")
    parser.add_argument("--event", default=None, metavar="NAME", help="those of an event: orders.OrderPlaced")


def execute(arguments: Any, console: Console) -> int:
    """Do it on the database of the settings."""
    from mainstay.adapters.local.clock import SystemClock
    from mainstay.app.delivering import make_desk
    from mainstay.app.logs import make_operator_log
    from mainstay.app.refusal import Refusal
    from mainstay.app.serving import run_loop
    from mainstay.cli.preparing import migrations_needed, open_application

    _check(arguments)
    settings = settings_of(arguments)
    application = open_application(settings, make_operator_log(settings, SystemClock()))
    if not application.ports.store.capabilities.durable:
        raise Refusal("the store of these settings forgets: there are no messages in it", "give database.url")
    if not settings.database.create:
        migrations_needed(settings).check()
    desk = make_desk(application)
    told: list[Told] = []

    async def run() -> int:
        await application.start(deliver=False)
        try:
            told.append(await _ACTIONS[arguments.action](desk, arguments))
        finally:
            await application.stop()
        return 0

    run_loop(run())
    facts, text = told[0]
    console.facts(facts, lambda: text)
    return 0


def _check(arguments: Any) -> None:
    """Raise ``Usage`` for what needs no database to be seen as wrong."""
    action = arguments.action
    if action == "list" and not 1 <= arguments.limit <= 10_000:
        raise Usage(f"mainstay events list: --limit is {arguments.limit}, expected 1 to 10000")
    if (
        action == "redrive"
        and sum((bool(arguments.ids), arguments.all, bool(arguments.consumer or arguments.event))) != 1
    ):
        raise Usage("mainstay events redrive: give ids, or --consumer or --event, or --all")
    for id in (
        *getattr(arguments, "ids", ()),
        *filter(None, (getattr(arguments, "id", None), getattr(arguments, "after", None))),
    ):
        _uuid(action, id)
    if action == "replay":
        _moment(arguments.since)


def _uuid(action: str, text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Usage(f"mainstay events {action}: {text} is no id; mainstay events list shows them") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Usage(f"mainstay events replay: --since is {text}, expected a time with its zone: 2026-11-29T10:00:00Z")
    return moment


async def _status(desk: EventDesk, _: Any) -> Told:
    from msgspec import to_builtins

    figures = await desk.figures()
    oldest = f", the oldest of {_when(figures.outbox_oldest)}" if figures.outbox_oldest else ""
    aside = f"; {figures.set_aside} that the broker does not take" if figures.set_aside else ""
    rows = [
        (
            one.name,
            _condition(one),
            *map(str, (one.pending, one.parked, one.done, one.dead, one.dropped)),
            _when(one.oldest),
        )
        for one in figures.consumers
    ]
    names = ("CONSUMER", "STATE", "PENDING", "PARKED", "DONE", "DEAD", "DROPPED", "OLDEST PENDING")
    return to_builtins(figures), f"outbox: {figures.outbox}{oldest}{aside}\n\n{table(names, rows)}"


def _condition(one: ConsumerFigures) -> str:
    return "paused" if one.paused else "runs" if one.known else "unknown"


async def _list(desk: EventDesk, arguments: Any) -> Told:
    from msgspec import to_builtins

    from mainstay.kernel.flow.records import State

    found = await desk.messages(
        state=None if arguments.state is None else State(arguments.state),
        consumer=arguments.consumer,
        event=arguments.event,
        key=arguments.key,
        after=None if arguments.after is None else UUID(arguments.after),
        limit=arguments.limit,
    )
    rows = [
        (
            str(one.id),
            _when(one.emitted_at),
            one.consumer,
            one.event,
            one.key or "",
            _state(one),
            str(one.attempts),
            one.cause or "",
        )
        for one in found
    ]
    names = ("ID", "EMITTED", "CONSUMER", "EVENT", "KEY", "STATE", "ATTEMPTS", "CAUSE")
    return to_builtins(found), table(names, rows)


async def _show(desk: EventDesk, arguments: Any) -> Told:
    from msgspec import to_builtins

    from mainstay.app.refusal import Refusal

    found = await desk.message(UUID(arguments.id))
    if not found:
        raise Refusal(f"there is no message {arguments.id}", "mainstay events list shows those that are kept")
    return to_builtins(found), "\n\n".join(_whole(one) for one in found)


def _whole(one: Message) -> str:
    from msgspec import to_builtins

    facts = {**to_builtins(one), "state": _state(one)}
    return "\n".join(
        f"{name:<12}{value}" for name, value in facts.items() if value not in (None, "") and name != "parked"
    )


async def _pause(desk: EventDesk, arguments: Any) -> Told:
    return await _set(desk.pause, arguments.consumer, "paused")


async def _resume(desk: EventDesk, arguments: Any) -> Told:
    return await _set(desk.resume, arguments.consumer, "resumed")


async def _set(work: Callable[[str], Awaitable[None]], consumer: str, done: str) -> Told:
    await _known(work(consumer), consumer)
    return {"consumer": consumer, "state": done}, f"{done} {consumer}"


async def _known(working: Awaitable[Any], consumer: str) -> Any:
    """Return what is awaited. Raises ``Refusal`` for a consumer that there is not."""
    from mainstay.app.refusal import Refusal
    from mainstay.model.problem import NotFound

    try:
        return await working
    except NotFound:
        raise Refusal(f"there is no consumer {consumer}", "mainstay events status shows those that there are") from None


async def _redrive(desk: EventDesk, arguments: Any) -> Told:
    ids = [UUID(id) for id in arguments.ids] or None
    return _moved("set going again", await desk.redrive(ids=ids, consumer=arguments.consumer, event=arguments.event))


async def _discard(desk: EventDesk, arguments: Any) -> Told:
    return _moved("passed over", await desk.discard([UUID(id) for id in arguments.ids]))


async def _replay(desk: EventDesk, arguments: Any) -> Told:
    figures = await desk.figures()
    if arguments.consumer not in {one.name for one in figures.consumers}:
        from mainstay.app.refusal import Refusal

        raise Refusal(f"there is no consumer {arguments.consumer}", "mainstay events status shows those that there are")
    moved = await desk.replay(arguments.consumer, _moment(arguments.since), event=arguments.event)
    return _moved("to be done again", moved)


def _moved(done: str, moved: Moved) -> Told:
    from msgspec import to_builtins

    behind = f", and {moved.unparked} that waited behind them go on" if moved.unparked else ""
    return to_builtins(moved), f"{moved.messages} {done}{behind}"


def _state(one: Message) -> str:
    return "parked" if one.parked else one.state


def _when(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


_ACTIONS: Mapping[str, Callable[[EventDesk, Any], Awaitable[Told]]] = MappingProxyType(
    {
        "status": _status,
        "list": _list,
        "show": _show,
        "pause": _pause,
        "resume": _resume,
        "redrive": _redrive,
        "discard": _discard,
        "replay": _replay,
    }
)
