"""``mainstay db seed``: the service's own seeds, and made-up rows in any number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mainstay.cli.arguments import Usage, action_parser
from mainstay.cli.console import Console, table
from mainstay.cli.project import settings_of


def configure(actions: Any) -> None:
    """Declare the action and its arguments."""
    parser = action_parser(actions, "seed", "run the service's seeds, which leave alone what is there")
    parser.add_argument("--demo", action="store_true", default=False, help="those for demonstrations too")
    parser.add_argument(
        "--rows", type=int, default=0, metavar="N", help="then make rows up until each entity has N of them"
    )
    parser.add_argument(
        "--entity", action="append", default=[], metavar="NAME", help="make up rows of this one; may be given again"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="which rows: the same seed, the same rows (0)")
    parser.add_argument("--tenant", default=None, metavar="NAME", help="whose rows, where they belong to tenants")
    parser.add_argument("--yes", action="store_true", default=False, help="make rows up in production too")


def execute(arguments: Any, console: Console) -> int:
    """Run the seeds, and fill the tables as wanted."""
    from mainstay.app.refusal import Refusal
    from mainstay.cli.preparing import check_schema, open_application, seed_database

    if arguments.rows < 0 or (arguments.entity and not arguments.rows):
        raise Usage("mainstay db seed: give --rows a number from 1, with --entity as well")
    settings = settings_of(arguments)
    if arguments.rows and settings.profile == "production" and not arguments.yes:
        raise Refusal("rows that are made up do not belong in production", "--yes puts them there all the same")
    application = open_application(settings)
    if not application.ports.store.capabilities.durable:
        raise Refusal("the store of these settings forgets: there is nothing to seed", "mainstay run --demo seeds it")
    check_schema(settings, application)
    names = seed_database(application, demo=arguments.demo)
    facts: dict[str, Any] = {"seeded": names}
    lines = [f"ran {name}" for name in names]
    if arguments.rows:
        filled = _fill(application, arguments)
        facts["filled"] = [_facts(one) for one in filled]
        lines.append(_table(filled))
    console.facts(facts, lambda: "\n".join(lines) or "the service has no seeds")
    return 0


def _fill(application: Any, arguments: Any) -> Sequence[Any]:
    from mainstay.app.serving import run_loop
    from mainstay.app.volume import Filled, Wanted, fill

    filled: list[Filled] = []

    async def run() -> int:
        wanted = Wanted(
            rows=arguments.rows, seed=arguments.seed, entities=tuple(arguments.entity), tenant=arguments.tenant
        )
        await application.start(deliver=False)
        try:
            filled.extend(await fill(application.bound, wanted))
        finally:
            await application.stop()
        return 0

    run_loop(run())
    return filled


def _rate(one: Any) -> int:
    return round(one.added / one.seconds) if one.added and one.seconds else 0


def _facts(one: Any) -> dict[str, Any]:
    return {
        "entity": one.entity,
        "there": one.there,
        "added": one.added,
        "seconds": round(one.seconds, 3),
        "rows_per_second": _rate(one),
        "short": one.short,
    }


def _table(filled: Sequence[Any]) -> str:
    rows = [
        (one.entity, f"{one.there:,}", f"{one.added:,}", f"{_rate(one):,}" if one.added else "", one.short or "")
        for one in filled
    ]
    added, seconds = sum(one.added for one in filled), sum(one.seconds for one in filled)
    total = f"{added:,} rows in {seconds:.1f} s" + (f", {added / seconds:,.0f} rows/s" if added else "")
    return f"{table(('ENTITY', 'THERE', 'ADDED', 'ROWS/S', ''), rows)}\n{total}"
