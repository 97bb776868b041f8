"""What ``mainstay db`` does: plan, migrate, roll back, tell the state; and what ``run`` asks before it serves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from mainstay.adapters.sql.migrations.files import MigrationFault, Revision, next_name, read_chain
from mainstay.adapters.sql.migrations.target import Target
from mainstay.ports.store import Table

WAIT_SECONDS = 60.0
"""How long a runner waits for another one, or for a service that is writing."""


class Planned(NamedTuple):
    """A new revision: its name, its file (not there yet in a preview), its text, and what a reviewer has to look at."""

    name: str
    path: Path
    text: str
    warnings: tuple[str, ...]


class Status(NamedTuple):
    """Where a database stands.

    ``current`` is its revision (None: it has none), ``head`` the last one in the files, ``pending`` what it lacks;
    ``drift`` is how the schema differs from the model where nothing is pending.
    """

    current: str | None
    head: str | None
    pending: tuple[str, ...]
    drift: tuple[str, ...]


def plan(
    directory: Path, tables: Sequence[Table], *, message: str | None = None, preview: bool = False
) -> Planned | None:
    """Write the revision that brings the files to the model, and return it; None where nothing has changed.

    The model is compared with a database in memory that all files were run on. Raises ``MigrationFault`` where the
    files are no chain, or where a change cannot be made by itself: all such are named.
    """
    from mainstay.adapters.sql.migrations.database import scratch
    from mainstay.adapters.sql.migrations.difference import difference
    from mainstay.adapters.sql.migrations.runner import context_of, upgrade
    from mainstay.adapters.sql.migrations.writing import file_text

    chain = read_chain(directory)
    with scratch() as connection:
        upgrade(connection, directory)
        found = difference(connection, tables)
        if found is None:
            return None
        words = message or (found.words if chain else "initial schema")
        name = next_name(chain, words)
        text = file_text(found, name, chain[-1].name if chain else None, words, context_of(connection))
    path = directory / f"{name}.py"
    if not preview:
        directory.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return Planned(name, path, text, tuple(found.warnings))


def migrate(database: Target, directory: Path, *, wait_seconds: float = WAIT_SECONDS) -> list[str]:
    """Bring a database to the last revision in one transaction, and return the revisions that were run.

    Of two runners at once one waits, and then finds nothing to do. Raises ``MigrationFault``.
    """
    from mainstay.adapters.sql.migrations.runner import upgrade

    read_chain(directory)
    return database.held(lambda connection: upgrade(connection, directory), wait_seconds)


def rollback(database: Target, directory: Path, steps: int = 1, *, wait_seconds: float = WAIT_SECONDS) -> list[str]:
    """Take back the last revisions in one transaction, and return them, the newest first. Raises ``MigrationFault``."""
    from mainstay.adapters.sql.migrations.runner import downgrade

    if steps < 1:
        raise MigrationFault(f"steps: expected at least 1, got {steps}")
    if not database.exists():
        raise MigrationFault(f"{database}: there is nothing to take back")
    return database.held(lambda connection: downgrade(connection, directory, steps), wait_seconds)


def status(database: Target, directory: Path, tables: Sequence[Table]) -> Status:
    """Return where a database stands. Nothing is changed. Raises ``MigrationFault`` where the files are no chain."""
    from mainstay.adapters.sql.migrations.drift import drift
    from mainstay.adapters.sql.migrations.state import pending_of

    chain = read_chain(directory)
    head = chain[-1].name if chain else None
    current = database.revision()
    pending = pending_of(chain, current)
    differences: tuple[str, ...] = ()
    if current is not None and not pending:
        differences = tuple(each.text for each in database.reading(lambda connection: drift(connection, tables)))
    return Status(current, head, tuple(pending or ()), differences)


def check_compatible(database: Target, directory: Path, tables: Sequence[Table]) -> None:
    """Return where a service of this model may run on this database; else raise ``MigrationFault`` with what to do.

    One that is at the last revision of the files may; one that is behind may not; one that is ahead, which a newer
    version has migrated, may where that has only added what this model does not know and need not know.
    """
    from mainstay.adapters.sql.migrations.state import pending_of

    chain = read_chain(directory)
    current = database.revision()
    pending = pending_of(chain, current)
    if pending is None:
        _check_ahead(database, chain, current, tables)
    elif pending:
        number = "1 migration" if len(pending) == 1 else f"{len(pending)} migrations"
        raise MigrationFault(f"{database} is {number} behind ({', '.join(pending)}): run mainstay db migrate")
    elif not chain:
        raise MigrationFault(f"there is no migration in {directory}: run mainstay db plan, then mainstay db migrate")


def _check_ahead(database: Target, chain: list[Revision], current: str | None, tables: Sequence[Table]) -> None:
    from mainstay.adapters.sql.migrations.drift import drift

    found = database.reading(lambda connection: drift(connection, tables))
    breaking = [each.text for each in found if not each.harmless]
    if breaking:
        head = chain[-1].name if chain else "none"
        raise MigrationFault(
            f"{database} is at revision {current}, which this version does not know (its last is {head}), "
            f"and differs from what it needs: {'; '.join(breaking)}: run the version that the database was migrated for"
        )
