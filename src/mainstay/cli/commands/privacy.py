"""``mainstay privacy``: everything about a person, to be handed over or forgotten; and the key of encrypted fields."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.preparing import open_application
from mainstay.cli.project import settings_of

T = TypeVar("T")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    export = action_parser(actions, "export", "give everything about a person, as JSON")
    export.add_argument("person", metavar="PERSON", help="the id of the person: a UUID")
    export.add_argument(
        "--output",
        type=Path,
        default=None,
        metavar="FILE",
        help="a new file, .json, or .zip for the objects as well (standard output)",
    )
    erase = action_parser(actions, "erase", "forget a person: delete, empty or keep rows as their entities say")
    erase.add_argument("person", metavar="PERSON", help="the id of the person: a UUID")
    erase.add_argument("--dry-run", action="store_true", default=False, help="say what would be done, and do nothing")
    rotate = action_parser(actions, "rotate", "encrypt anew what is under another key than encryption.key")
    rotate.add_argument("--dry-run", action="store_true", default=False, help="count the values of each key only")


def execute(arguments: Any, console: Console) -> int:
    """Do what is asked for. 1 where something is left: events to be delivered, values that do not open."""
    action: Callable[[Any, Console], int] = {"export": _export, "erase": _erase, "rotate": _rotate}[arguments.action]
    return action(arguments, console)


def _export(arguments: Any, console: Console) -> int:
    from mainstay.app.privacy.archive import write_archive
    from mainstay.app.privacy.exporting import export

    person, output = _person(arguments), arguments.output
    if output is not None and output.suffix not in (".json", ".zip"):
        raise Usage(f"mainstay privacy export: --output {output}: it ends in .json or .zip")

    async def work(application: Any) -> Any:
        found = await export(application.bound, person)
        if output is not None:
            await write_archive(found, output, _blobs(application))
        return found

    found = _within(arguments, work)
    if output is None:
        Console(form="json").facts(found, str)
        return 0
    facts = {"person": str(person), "rows": found.count, "entries": len(found.audit), "file": str(output)}
    console.facts(facts, lambda: f"wrote {found.count} rows and {len(found.audit)} entries of the audit to {output}")
    return 0


def _erase(arguments: Any, console: Console) -> int:
    from mainstay.app.privacy.erasing import erase

    person = _person(arguments)
    done = _within(arguments, lambda app: erase(app.bound, person, _blobs(app), dry_run=arguments.dry_run))
    console.facts(done, lambda: _erased_text(done, dry_run=arguments.dry_run))
    return 0 if done.complete else 1


def _erased_text(done: Any, *, dry_run: bool) -> str:
    words = {"delete": "deleted", "anonymise": "emptied", "keep": "kept"}
    rows = [(each.entity, words[each.erase], str(each.rows), each.reason) for each in done.entities if each.rows]
    counted = {
        "entries of the audit deleted": done.entries_deleted,
        "entries of the audit emptied": done.entries_emptied,
        "stored replies emptied": done.replies_emptied,
        "messages emptied": done.messages_emptied,
        "objects deleted": done.objects,
    }
    lines = ["nothing was changed; this is what would be:"] if dry_run else []
    lines += [table(("ENTITY", "", "ROWS", "WHY"), rows) if rows else "no row is of this person"]
    lines += [f"{count} {what}" for what, count in counted.items() if count]
    if done.waiting:
        lines.append(f"{done.waiting} events are still to be delivered: run it again when they are")
    return "\n".join(lines)


def _rotate(arguments: Any, console: Console) -> int:
    from mainstay.app.privacy.rotating import rotate

    async def work(application: Any) -> Any:
        cipher = application.ports.cipher
        return await rotate(application.bound, change=not arguments.dry_run), cipher.present if cipher else ""

    done, present = _within(arguments, work)
    facts = {"present": present, "entities": done}
    console.facts(facts, lambda: _rotated_text(done, present))
    return 1 if any(each.failed for each in done) else 0


def _rotated_text(done: Any, present: str) -> str:
    if not done:
        return "the service has no encrypted fields"
    rows = []
    for each in done:
        others = ", ".join(f"{key or 'none'}: {count}" for key, count in each.keys.items() if key != present)
        rows.append((each.entity, str(each.rows), str(each.changed), str(each.failed), others))
    lines = [f"the present key is {present}", table(("ENTITY", "ROWS", "ANEW", "UNREADABLE", "OTHER KEYS"), rows)]
    lines += [f"does not open: {each.entity}.{place}" for each in done for place in each.unreadable]
    return "\n".join(lines)


def _person(arguments: Any) -> UUID:
    try:
        return UUID(arguments.person)
    except ValueError:
        raise Usage(f"mainstay privacy: {arguments.person!r} is no UUID: give the id of the person") from None


def _blobs(application: Any) -> Any:
    from mainstay.app.objects import make_blobs

    return make_blobs(application.settings, application.ports.clock)


def _within(arguments: Any, work: Callable[[Any], Awaitable[T]]) -> T:
    """Do some work on the open store of the project. Raises ``Refusal`` where it forgets everything anyway."""
    from mainstay.app.refusal import Refusal
    from mainstay.app.serving import run_loop

    application = open_application(settings_of(arguments))
    if not application.ports.store.capabilities.durable:
        raise Refusal("the store of these settings forgets: nothing is in it", "name one in database.url")
    found: list[T] = []

    async def run() -> int:
        await application.start(deliver=False)
        try:
            found.append(await work(application))
        finally:
            await application.stop()
        return 0

    run_loop(run())
    return found[0]
