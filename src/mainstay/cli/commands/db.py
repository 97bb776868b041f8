"""``mainstay db``: plan, migrate, roll back, seed, back up and restore the database, and say where it stands."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mainstay.app.backups import back_up, restore
from mainstay.cli.arguments import action_parser
from mainstay.cli.commands import db_explain, db_seed
from mainstay.cli.console import Console
from mainstay.cli.preparing import index_words, migrations_needed, open_application
from mainstay.cli.project import settings_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    plan = action_parser(actions, "plan", "write the migration that brings the schema to the model")
    plan.add_argument("message", nargs="?", default=None, help="a few words for the file's name")
    plan.add_argument("--preview", action="store_true", default=False, help="show it, and write nothing")
    plan.add_argument(
        "--check", action="store_true", default=False, help="write nothing; code 1 where there is a change"
    )
    action_parser(actions, "migrate", "bring the database to the last migration")
    rollback = action_parser(actions, "rollback", "take back the last migration")
    rollback.add_argument("--steps", type=int, default=1, metavar="N", help="how many (1)")
    action_parser(actions, "status", "say where the database stands: code 1 where it is behind or differs")
    backup = action_parser(actions, "backup", "copy the database, as it is at this moment, into a new file")
    backup.add_argument("file", help="the file, and beside it FILE.json, which tells what is in it")
    restore = action_parser(actions, "restore", "make the database what a backup holds")
    restore.add_argument("file", help="the file of a backup")
    restore.add_argument(
        "--replace", action="store_true", default=False, help="give up what is in the database for the backup"
    )
    db_explain.configure(actions)
    db_seed.configure(actions)
    action_parser(actions, "index", "store the words of searchable fields anew, for rows from before they were")


def execute(arguments: Any, console: Console) -> int:
    """Do what the action says."""
    return _ACTIONS[arguments.action](arguments, console)


def _plan(arguments: Any, console: Console) -> int:
    preview = arguments.preview or arguments.check
    migrations = migrations_needed(settings_of(arguments, strict=False))
    planned = migrations.plan(message=arguments.message, preview=preview)
    if planned is None:
        console.facts({"planned": None}, lambda: "nothing to plan: the migrations make what the model says")
        return 0
    facts = {
        "planned": planned.name,
        "path": str(planned.path),
        "written": not preview,
        "warnings": list(planned.warnings),
        "text": planned.text,
    }
    lines = [planned.text] if arguments.preview else []
    lines += [f"look at this: {warning}" for warning in planned.warnings]
    lines.append(f"there is something to plan: {planned.name}" if preview else f"wrote {planned.path}: review it")
    console.facts(facts, lambda: "\n".join(lines))
    return 1 if arguments.check else 0


def _migrate(arguments: Any, console: Console) -> int:
    done = migrations_needed(settings_of(arguments)).migrate()
    said = (
        "\n".join(f"migrated to {revision}" for revision in done)
        or "nothing to do: the database is at the last migration"
    )
    console.facts({"migrated": done}, lambda: said)
    return 0


def _rollback(arguments: Any, console: Console) -> int:
    done = migrations_needed(settings_of(arguments)).rollback(arguments.steps)
    console.facts({"rolled_back": done}, lambda: "\n".join(f"took back {revision}" for revision in done))
    return 0


def _status(arguments: Any, console: Console) -> int:
    migrations = migrations_needed(settings_of(arguments, strict=False))
    found = migrations.status()
    facts = {
        "database": str(migrations.database),
        "current": found.current,
        "head": found.head,
        "pending": list(found.pending),
        "drift": list(found.drift),
    }
    lines = [f"{migrations.database} is at {found.current or 'no revision'}, the last is {found.head or 'none'}"]
    lines += [f"pending: {revision}" for revision in found.pending]
    lines += [f"differs: {text}" for text in found.drift]
    console.facts(facts, lambda: "\n".join(lines))
    return 1 if found.pending or found.drift or found.head is None else 0


def _index(arguments: Any, console: Console) -> int:
    settings = settings_of(arguments)
    application = open_application(settings)
    if not settings.database.create:
        migrations_needed(settings).check()
    done = index_words(application)
    lines = [f"{rows:>10} {name}" for name, rows in done.items()] or ["no words are stored here"]
    console.facts({"indexed": done}, lambda: "\n".join(lines))
    return 0


def _backup(arguments: Any, console: Console) -> int:
    made = back_up(settings_of(arguments), Path(arguments.file))
    return _tell_contents(made, console, f"wrote {arguments.file}")


def _restore(arguments: Any, console: Console) -> int:
    made = restore(settings_of(arguments), Path(arguments.file), replace=arguments.replace)
    return _tell_contents(made, console, f"restored {arguments.file}")


def _tell_contents(made: Any, console: Console, said: str) -> int:
    facts = {"revision": made.revision, "rows": made.rows}
    lines = [
        f"{said}, at {made.revision or 'no revision'}",
        *(f"{rows:>10} {name}" for name, rows in made.rows.items()),
    ]
    console.facts(facts, lambda: "\n".join(lines))
    return 0


_ACTIONS: Mapping[str, Callable[[Any, Console], int]] = {
    "plan": _plan,
    "migrate": _migrate,
    "rollback": _rollback,
    "status": _status,
    "explain": db_explain.execute,
    "seed": db_seed.execute,
    "index": _index,
    "backup": _backup,
    "restore": _restore,
}
