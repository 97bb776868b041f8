"""What ``mainstay db`` does: plan, migrate, roll back, tell the state; and what ``run`` asks before it serves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mainstay.adapters.sql.migrations.files import (
    MigrationFault,
    Phase,
    Revision,
    before_contract,
    next_name,
    read_chain,
)
from mainstay.adapters.sql.migrations.state import pending_of
from mainstay.adapters.sql.migrations.target import Target
from mainstay.ports.store import Table

if TYPE_CHECKING:
    import sqlalchemy as sa

    from mainstay.adapters.sql.migrations.stepping import Stepper

WAIT_SECONDS = 60.0
"""How long a runner waits for another one, or for a service that is writing."""


class Planned(NamedTuple):
    """A new revision: its name, its phase, its file (not there yet in a preview), its text, and what to look at."""

    name: str
    phase: Phase
    path: Path
    text: str
    warnings: tuple[str, ...]


class Plan(NamedTuple):
    """The revisions of one change, in their order: what can be done while the version before serves comes first."""

    revisions: tuple[Planned, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reviewer has to look at."""
        return tuple(dict.fromkeys(warning for each in self.revisions for warning in each.warnings))


class Status(NamedTuple):
    """Where a database stands.

    ``current`` is its revision (None: it has none), ``head`` the last one in the files, ``pending`` what it lacks;
    ``held`` is what of it waits until no older version serves: from the first contract on. ``drift`` is how the schema
    differs from the model where nothing is pending.
    """

    current: str | None
    head: str | None
    pending: tuple[str, ...]
    drift: tuple[str, ...]
    held: tuple[str, ...] = ()


def plan(
    directory: Path,
    tables: Sequence[Table],
    *,
    message: str | None = None,
    preview: bool = False,
    renames: Sequence[str] = (),
) -> Plan | None:
    """Write the revisions that bring the files to the model, and return them; None where nothing has changed.

    The model is compared with a database in memory that all files were run on. ``renames`` are columns that got another
    name, each as ``table.old=new``. Raises ``MigrationFault`` where the files are no chain, or where a change cannot be
    made by itself: all such are named.
    """
    from mainstay.adapters.sql.migrations.database import scratch
    from mainstay.adapters.sql.migrations.difference import difference
    from mainstay.adapters.sql.migrations.renaming import read_renames
    from mainstay.adapters.sql.migrations.runner import context_of, upgrade
    from mainstay.adapters.sql.migrations.writing import file_text

    chain = read_chain(directory)
    made: list[Planned] = []
    with scratch() as connection:
        upgrade(connection, directory)
        for found in difference(connection, tables, read_renames(renames)):
            words = found.words if message is None else f"contract {message}" if made else message
            words = words if chain or message else "initial schema"
            name = next_name(chain, words)
            path = directory / f"{name}.py"
            text = file_text(found, name, chain[-1].name if chain else None, words, context_of(connection))
            made.append(Planned(name, found.phase, path, text, tuple(found.warnings)))
            chain.append(Revision(name, None, path, found.phase))
    if not preview:
        for each in made:
            directory.mkdir(parents=True, exist_ok=True)
            each.path.write_text(each.text, "utf-8")
    return Plan(tuple(made)) if made else None


def migrate(
    database: Target, directory: Path, *, phase: Phase = "contract", wait_seconds: float = WAIT_SECONDS
) -> list[str]:
    """Bring a database to the last revision, and return the revisions that were run, each committed by itself.

    With ``phase="expand"`` it ends before the first revision that takes something away, except on a database that is
    new, where nobody misses it. Of two runners at once one waits for the other. Raises ``MigrationFault``.
    """
    from mainstay.adapters.sql.migrations.runner import unknown_revision

    chain = read_chain(directory)
    current = _current(database, chain, up=True)
    fresh = current is None
    done: list[str] = []
    while True:
        left = pending_of(chain, current)
        if left is None:
            raise MigrationFault(unknown_revision(current, directory))
        names = left if phase == "contract" or fresh else before_contract(chain, left)
        if not names:
            if current is not None:
                database.settle(wait_seconds, shared=phase == "expand")
            return done
        revision = _named(chain, names[0])
        if _carry_out(database, directory, revision, wait_seconds, up=True, fresh=fresh):
            done.append(revision.name)
        current = _current(database, chain, up=True)


def pending(database: Target, directory: Path) -> list[str]:
    """Return the revisions that a database lacks. Raises ``MigrationFault``."""
    chain = read_chain(directory)
    return pending_of(chain, _current(database, chain)) or []


def rollback(database: Target, directory: Path, steps: int = 1, *, wait_seconds: float = WAIT_SECONDS) -> list[str]:
    """Take back the last revisions, each by itself, and return them, the newest first. Raises ``MigrationFault``."""
    from mainstay.adapters.sql.migrations.runner import unknown_revision

    if steps < 1:
        raise MigrationFault(f"steps: expected at least 1, got {steps}")
    if not database.exists():
        raise MigrationFault(f"{database}: there is nothing to take back")
    chain = read_chain(directory)
    current = _current(database, chain, up=False)
    if current is None:
        raise MigrationFault("there is no migration to take back: the database is empty")
    left = pending_of(chain, current)
    if left is None:
        raise MigrationFault(unknown_revision(current, directory))
    run = chain[: len(chain) - len(left)]
    if steps > len(run):
        raise MigrationFault(f"there are {len(run)} migrations to take back, not {steps}")
    going = list(reversed(run[-steps:]))
    done = [each.name for each in going if _carry_out(database, directory, each, wait_seconds, up=False, fresh=False)]
    database.settle(wait_seconds, shared=False)
    return done


def _carry_out(
    database: Target, directory: Path, revision: Revision, wait_seconds: float, *, up: bool, fresh: bool
) -> bool:
    """Run one revision: in steps where others may be at work, in one transaction where it wants one or is alone.

    Before, it is looked whether rows are in its way: steps that are done stay done when a later one fails. Of one that
    lies half done that is known, and some of its rows may be what they are to become.
    """
    from sqlalchemy.exc import IntegrityError

    from mainstay.adapters.sql.migrations.forecast import notes_alone, obstacles
    from mainstay.adapters.sql.migrations.runner import begun, is_next, read_script, run_down, run_up

    # All that can be done before the database is held is done before: others wait for it, on SQLite every writer.
    script = read_script(directory)
    notes = [] if fresh or revision.phase is None else notes_alone(script, revision.name, up=up)

    def work(connection: sa.Connection, stepper: Stepper | None) -> bool:
        if not is_next(connection, directory, revision.name, up=up):
            return False  # another runner was quicker
        taken_up = begun(connection) is not None  # rows are half changed then
        found = [] if taken_up else obstacles(connection, notes)
        if found:
            lines = [f"{database}: rows are in the way of {revision.name}, of which nothing was done:", *found]
            raise MigrationFault("\n  ".join(lines))
        (run_up if up else run_down)(connection, directory, revision.name, stepper, script)
        return True

    try:
        if fresh or revision.phase is None:
            return database.held(lambda connection: work(connection, None), wait_seconds)
        return database.stepping(work, wait_seconds)
    except IntegrityError as error:
        raise MigrationFault(
            f"{database}: rows break what {revision.name} asks of them ({type(error.orig).__name__}): "
            "mainstay db plan counts those that are there; mend them, and run this again"
        ) from error


def _current(database: Target, chain: Sequence[Revision], *, up: bool | None = None) -> str | None:
    """Return the revision of a database, read by the driver that carries migrations out (decision 43).

    Raises ``MigrationFault`` where a revision lies half done the other way than it is to go now, or is in no file.
    """
    from mainstay.adapters.sql.migrations.runner import begun, current_revision, half_done

    def look(connection: sa.Connection) -> str | None:
        half = None if up is None else begun(connection)
        if half is not None and half.name not in [revision.name for revision in chain]:
            raise MigrationFault(f"{database}: {half_done(half)}, with the files that it had: it is in none of these")
        if half is not None and half.up is not up:
            raise MigrationFault(f"{database}: {half_done(half)}")
        return current_revision(connection)

    return database.reading(look) if database.exists() else None


def _named(chain: Sequence[Revision], name: str) -> Revision:
    return next(revision for revision in chain if revision.name == name)


def status(database: Target, directory: Path, tables: Sequence[Table]) -> Status:
    """Return where a database stands. Nothing is changed. Raises ``MigrationFault`` where the files are no chain."""
    from mainstay.adapters.sql.migrations.drift import drift

    chain = read_chain(directory)
    head = chain[-1].name if chain else None
    current = database.revision()
    left = pending_of(chain, current)
    differences: tuple[str, ...] = ()
    if current is not None and not left:
        differences = tuple(each.text for each in database.reading(lambda connection: drift(connection, tables)))
    names = tuple(left or ())
    held = names[len(before_contract(chain, names)) :] if current is not None else ()
    return Status(current, head, names, differences, held)


class Checked(NamedTuple):
    """Where model, files and live schema do not agree, each in words; and the revisions that are pending.

    ``model`` is what the model has that the files do not make, or the other way round; ``schema`` is how the live
    schema differs from what the files up to its revision make; ``pending`` and ``held`` are as in ``Status``.
    """

    database: str
    current: str | None
    model: tuple[str, ...]
    schema: tuple[str, ...]
    pending: tuple[str, ...]
    held: tuple[str, ...]

    @property
    def agree(self) -> bool:
        """Whether there is nothing to be done: what is held back for an older version is no fault."""
        return not self.model and not self.schema and self.pending == self.held


def check(database: Target, directory: Path, tables: Sequence[Table]) -> Checked:
    """Compare the model with the files, and the files with the live schema. Nothing is changed.

    Raises ``MigrationFault`` where the files are no chain, or the database is at a revision that is in none of them.
    """
    from mainstay.adapters.sql.migrations.comparing import differences, outlines
    from mainstay.adapters.sql.migrations.database import scratch
    from mainstay.adapters.sql.migrations.drift import drift
    from mainstay.adapters.sql.migrations.runner import run_up, unknown_revision

    chain = read_chain(directory)
    names = [revision.name for revision in chain]
    current = _current(database, chain)
    left = pending_of(chain, current)
    if left is None:
        raise MigrationFault(unknown_revision(current, directory))
    schema: list[str] = []
    with scratch() as connection:
        for name in names[: len(names) - len(left)]:
            run_up(connection, directory, name)
        made = outlines(connection)
        if current is not None:
            schema = database.reading(lambda live: sorted(differences(made, outlines(live), live.dialect)))
        for name in left:
            run_up(connection, directory, name)
        model = tuple(each.text for each in drift(connection, tables))
    held = tuple(left[len(before_contract(chain, left)) :]) if current is not None else ()
    return Checked(str(database), current, model, tuple(schema), tuple(left), held)


def check_compatible(database: Target, directory: Path, tables: Sequence[Table]) -> None:
    """Return where a service of this model may run on this database; else raise ``MigrationFault`` with what to do.

    One that is at the last revision of the files may. One that is ahead, which a newer version has migrated, may where
    that has done nothing that this model minds; one that lacks contracts only, since an older version still serves, may
    where this model does not mind what is still there. Any other that is behind may not.
    """
    chain = read_chain(directory)
    current = database.revision()
    lacking = pending_of(chain, current)
    if lacking is None:
        last = chain[-1].name if chain else "none"
        _check_model(
            database,
            tables,
            f"is at revision {current}, which this version does not know (its last is {last}), and differs from what "
            "it needs",
            "run the version that the database was migrated for",
        )
    elif lacking and (current is None or any(_named(chain, name).phase != "contract" for name in lacking)):
        number = "1 migration" if len(lacking) == 1 else f"{len(lacking)} migrations"
        raise MigrationFault(f"{database} is {number} behind ({', '.join(lacking)}): run mainstay db migrate")
    elif lacking:
        _check_model(
            database,
            tables,
            f"lacks {', '.join(lacking)}, without which this version cannot serve",
            "stop all older versions, then run mainstay db migrate --phase contract",
        )
    elif not chain:
        raise MigrationFault(f"there is no migration in {directory}: run mainstay db plan, then mainstay db migrate")


def _check_model(database: Target, tables: Sequence[Table], state: str, remedy: str) -> None:
    from mainstay.adapters.sql.migrations.drift import drift

    found = database.reading(lambda connection: drift(connection, tables))
    breaking = [each.text for each in found if not each.harmless]
    if breaking:
        raise MigrationFault(f"{database} {state}: {'; '.join(breaking)}: {remedy}")
