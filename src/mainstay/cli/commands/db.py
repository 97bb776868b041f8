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
from mainstay.cli.forecasts import plan_facts, plan_text
from mainstay.cli.preparing import check_schema, index_words, migrations_needed, open_application
from mainstay.cli.project import settings_of


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _configure_migrations(actions)
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


def _configure_migrations(actions: Any) -> None:
    plan = action_parser(actions, "plan", "write the migration that brings the schema to the model")
    plan.add_argument("message", nargs="?", default=None, help="a few words for the file's name")
    plan.add_argument(
        "--rename",
        action="append",
        default=[],
        metavar="TABLE.OLD=NEW",
        help="a column that got another name; both are kept alike while both versions serve",
    )
    plan.add_argument("--preview", action="store_true", default=False, help="show it, and write nothing")
    plan.add_argument(
        "--check", action="store_true", default=False, help="write nothing; code 1 where there is a change"
    )
    migrate = action_parser(actions, "migrate", "bring the database to the last migration")
    migrate.add_argument(
        "--phase",
        choices=("expand", "contract"),
        default=None,
        help="expand: up to before the first migration that an older version cannot live with, as production does by "
        "itself; contract: all, once no older version serves",
    )
    rollback = action_parser(actions, "rollback", "take back the last migration")
    for waiting in (migrate, rollback):
        waiting.add_argument(
            "--wait",
            type=float,
            default=60.0,
            metavar="SECONDS",
            help="how long another migration is waited for, and in each step the locks that others hold (60)",
        )
    rollback.add_argument("--steps", type=int, default=1, metavar="N", help="how many (1)")
    action_parser(actions, "check", "compare the model, the migrations and the live schema: code 1 where they differ")
    action_parser(actions, "status", "say where the database stands: code 1 where it is behind or differs")


def execute(arguments: Any, console: Console) -> int:
    """Do what the action says."""
    return _ACTIONS[arguments.action](arguments, console)


def _plan(arguments: Any, console: Console) -> int:
    preview = arguments.preview or arguments.check
    migrations = migrations_needed(settings_of(arguments, strict=False))
    planned = migrations.plan(message=arguments.message, preview=preview, renames=arguments.rename)
    outlook = migrations.forecast(planned)
    text = plan_text(planned, outlook, preview=preview, whole=arguments.preview)
    console.facts(plan_facts(planned, outlook, str(migrations.database), written=not preview), lambda: text)
    return 1 if arguments.check and planned is not None else 0


def _migrate(arguments: Any, console: Console) -> int:
    migrated = migrations_needed(settings_of(arguments)).migrate(arguments.phase, wait_seconds=arguments.wait)
    lines = [f"migrated to {revision}" for revision in migrated.done]
    if migrated.held:
        lines.append(f"held back, since an older version may serve: {', '.join(migrated.held)}")
        lines.append("once none does: mainstay db migrate --phase contract")
    elif not lines:
        lines.append("nothing to do: the database is at the last migration")
    console.facts({"migrated": migrated.done, "held_back": migrated.held}, lambda: "\n".join(lines))
    return 0


def _rollback(arguments: Any, console: Console) -> int:
    done = migrations_needed(settings_of(arguments)).rollback(arguments.steps, wait_seconds=arguments.wait)
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
        "held_back": list(found.held),
        "drift": list(found.drift),
    }
    lines = [f"{migrations.database} is at {found.current or 'no revision'}, the last is {found.head or 'none'}"]
    lines += [
        f"pending: {revision}{', held back until no older version serves' if revision in found.held else ''}"
        for revision in found.pending
    ]
    lines += [f"differs: {text}" for text in found.drift]
    console.facts(facts, lambda: "\n".join(lines))
    return 1 if found.pending != found.held or found.drift or found.head is None else 0


def _check(arguments: Any, console: Console) -> int:
    found = migrations_needed(settings_of(arguments, strict=False)).compare()
    lines = [f"{found.database} is at {found.current or 'no revision'}"]
    lines += [f"the migrations differ from the model: {text}" for text in found.model]
    lines += [f"the schema differs from the migrations: {text}" for text in found.schema]
    lines += [f"pending: {name}" for name in found.pending if name not in found.held]
    lines += [f"held back until no older version serves: {name}" for name in found.held]
    lines.append("model, migrations and schema agree" if found.agree else "model, migrations and schema do not agree")
    console.facts({**found._asdict(), "agree": found.agree}, lambda: "\n".join(lines))
    return 0 if found.agree else 1


def _index(arguments: Any, console: Console) -> int:
    settings = settings_of(arguments)
    application = open_application(settings)
    check_schema(settings, application)
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
    "check": _check,
    "status": _status,
    "explain": db_explain.execute,
    "seed": db_seed.execute,
    "index": _index,
    "backup": _backup,
    "restore": _restore,
}
