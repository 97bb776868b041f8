"""``mainstay deliver``: what is made of a service for others, always from the service as it is declared now."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.cli.arguments import action_parser
from mainstay.cli.console import Console
from mainstay.cli.project import settings_of

if TYPE_CHECKING:
    from mainstay.app.contracts import Comparison
    from mainstay.deliver.contracts import Difference, EventDifference


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    events = action_parser(actions, "events", "keep the schemas of events in contracts/events, and say what changed")
    modes = events.add_mutually_exclusive_group()
    modes.add_argument("--diff", action="store_true", default=False, help="say what changed, and write nothing")
    modes.add_argument(
        "--check", action="store_true", default=False, help="the same, with code 1 where a file is not as it would be"
    )
    asyncapi = action_parser(actions, "asyncapi", "write the AsyncAPI 3.0 document of the service's events")
    asyncapi.add_argument("--output", type=Path, default=None, metavar="FILE", help="a file (standard output)")


def execute(arguments: Any, console: Console) -> int:
    """Do what the action says."""
    action: Callable[[Any, Console], int] = {"events": _events, "asyncapi": _asyncapi}[arguments.action]
    return action(arguments, console)


def _events(arguments: Any, console: Console) -> int:
    """Write the schemas that fit. 1 where an event was changed in a way that breaks its readers: nothing is written."""
    from mainstay.app.contracts import comparison_of

    bound, settings = _bound(arguments)
    compared = comparison_of(bound, settings)
    broken = bool(compared.verdict.faults)
    written = [] if broken or arguments.diff or arguments.check else compared.write()
    files = [str(file.relative_to(settings.root)) for file in written]
    facts = {
        "events": [_facts(one) for one in compared.differences],
        "faults": [str(fault) for fault in compared.verdict.faults],
        "written": files,
    }
    console.facts(facts, lambda: "\n".join(_told(compared, files)))
    if arguments.diff:
        return 0
    return 1 if broken or (arguments.check and compared.verdict.behind) else 0


def _bound(arguments: Any) -> tuple[Any, Any]:
    """Return a service bound to memory, and its settings. Raises ``StartupFailed``."""
    from mainstay.app.checking import inspect
    from mainstay.app.importing import import_service
    from mainstay.model.faults import StartupFailed

    settings = settings_of(arguments, strict=False, secrets=False)
    bound = inspect(import_service(settings))
    if bound.faults:
        raise StartupFailed(bound.faults)
    return bound, settings


def _facts(one: EventDifference) -> dict[str, Any]:
    places = [
        {"where": p.where, "before": p.before, "now": p.now, "breaking": [str(change) for change in p.breaking]}
        for p in one.places
    ]
    return {"event": one.name, "version": one.version, "new": not one.kept, "places": places}


def _told(compared: Comparison, written: list[str]) -> Iterator[str]:
    for one in compared.differences:
        yield f"{one.name} version {one.version}{'' if one.kept else ': new'}"
        for place in one.places:
            yield from _of_place(place)
    yield from (f"to be mended: {fault}" for fault in compared.verdict.faults)
    yield from (f"wrote {file}" for file in written)
    if not (compared.differences or compared.verdict.faults or written):
        yield "the schemas of all events are as they are kept"


def _of_place(place: Difference) -> Iterator[str]:
    words = " -> ".join(filter(None, (place.before, place.now)))
    yield f"  {place.sign} {place.where or '/'}  {words if place.before != place.now else place.now}"
    yield from (f"      breaking: {change}; {change.remedy}" for change in place.breaking)


def _asyncapi(arguments: Any, console: Console) -> int:
    from mainstay.deliver.asyncapi import asyncapi

    bound, settings = _bound(arguments)
    document = asyncapi(bound.blueprint, broker=settings.events.reveal())
    if arguments.output is None:
        console.say(document.decode())
    else:
        arguments.output.write_bytes(document + b"\n")
    return 0
