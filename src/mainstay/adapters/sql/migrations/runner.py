"""Running revision files on a connection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from mainstay.adapters.sql.migrations.conversions import has_type
from mainstay.adapters.sql.migrations.files import MigrationFault, read_chain
from mainstay.adapters.sql.migrations.mysql_journal import Journal, revision_in_journal
from mainstay.adapters.sql.migrations.operating import operating
from mainstay.adapters.sql.migrations.recording import Note, Recorder, recording, recording_options
from mainstay.adapters.sql.migrations.state import VERSION_TABLE, pending_of
from mainstay.adapters.sql.migrations.stepping import Stepper, stepping_options
from mainstay.adapters.sql.tables import NAMING
from mainstay.adapters.sql.types import ColumnType


def context_of(connection: sa.Connection, **options: Any) -> MigrationContext:
    """Return Alembic's context on a connection that is in a transaction already."""
    return MigrationContext.configure(
        connection,
        opts={"version_table": VERSION_TABLE, "compare_type": _differ, "target_metadata": _NO_TABLES, **options},
    )


_NO_TABLES = sa.MetaData(naming_convention=NAMING)


def _differ(context: Any, _column: Any, _wanted: Any, there: Any, wanted: Any) -> bool | None:
    if not isinstance(wanted, ColumnType):
        return True
    if context.dialect.name == "mysql":
        return None  # its operations know: texts have bounds there
    return not has_type(context.dialect, there, wanted)


def current_revision(connection: sa.Connection) -> str | None:
    """Return the revision that a database is at."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()  # noqa: S608
    return found


def upgrade(connection: sa.Connection, directory: Path) -> list[str]:
    """Bring a database to the last revision, and return the names of those that were run."""
    chain = read_chain(directory)
    before = current_revision(connection)
    pending = pending_of(chain, before)
    if pending is None:
        raise MigrationFault(unknown_revision(before, directory))
    if pending:
        _run(connection, read_script(directory), lambda script, at: script._upgrade_revs("head", at))
    return pending


class Begun(NamedTuple):
    """A revision that was begun in steps and not ended, and which way."""

    name: str
    up: bool


def begun(connection: sa.Connection) -> Begun | None:
    """Return the revision that lies half done.

    It stands in the comment on the table of the revision; on MariaDB and MySQL in the journal.
    """
    if connection.dialect.name == "mysql":
        text = revision_in_journal(connection)
    else:
        inspector = sa.inspect(connection)
        told = connection.dialect.supports_comments and inspector.has_table(VERSION_TABLE)
        text = (inspector.get_table_comment(VERSION_TABLE)["text"] or "") if told else ""
    way, _, name = text.partition(" ")
    return Begun(name, way == "up") if name else None


def _mark(connection: sa.Connection, text: str | None) -> None:
    table = sa.Table(VERSION_TABLE, sa.MetaData(), comment=text)
    if sa.inspect(connection).has_table(VERSION_TABLE):
        connection.execute(sa.schema.DropTableComment(table) if text is None else sa.schema.SetTableComment(table))


def is_next(connection: sa.Connection, directory: Path, name: str, *, up: bool) -> bool:
    """Whether a revision is the next to be run, or the last that was run and so the next to be taken back.

    Raises ``MigrationFault`` where another one lies half done, or this one the other way.
    """
    half = begun(connection)
    if half is not None and half != (name, up):
        raise MigrationFault(half_done(half))
    return current_revision(connection) == (_before(directory, name) if up else name)


def half_done(half: Begun) -> str:
    """Return what to say of a database on which a revision lies half done, to who wants something else of it."""
    way, command = ("", "migrate") if half.up else ("taking back ", "rollback")
    return f"{way}{half.name} was begun and has not come to its end: run mainstay db {command} first"


def read_script(directory: Path) -> ScriptDirectory:
    """Read and run all files for what they define: done before a database is held, which others wait for."""
    script = ScriptDirectory(str(directory), version_locations=[str(directory)])
    script.get_heads()
    return script


def run_up(
    connection: sa.Connection,
    directory: Path,
    name: str,
    stepper: Stepper | None = None,
    script: ScriptDirectory | None = None,
) -> None:
    """Carry out the next revision; of files that were read already, where ``script`` holds them."""
    with _marked(connection, f"up {name}", stepper):
        _run(connection, script or read_script(directory), lambda files, at: files._upgrade_revs(name, at), stepper)


def run_down(
    connection: sa.Connection,
    directory: Path,
    name: str,
    stepper: Stepper | None = None,
    script: ScriptDirectory | None = None,
) -> None:
    """Take the last revision back; of files that were read already, where ``script`` holds them."""
    target = _before(directory, name) or "base"
    with _marked(connection, f"down {name}", stepper):
        _run(connection, script or read_script(directory), lambda files, at: files._downgrade_revs(target, at), stepper)


@contextmanager
def _marked(connection: sa.Connection, text: str, stepper: Stepper | None) -> Iterator[None]:
    """Have it known that a revision was begun, until the step that says that the database is at it."""
    journal: Journal | None = connection.info.get(Journal)
    if stepper is not None:
        stepper.step(lambda: _mark(connection, text))
    elif journal is not None:
        journal.revision = text
    yield
    if stepper is not None:
        _mark(connection, None)


def _before(directory: Path, name: str) -> str | None:
    return next(revision.follows for revision in read_chain(directory) if revision.name == name)


def noted(connection: sa.Connection, script: ScriptDirectory, name: str) -> tuple[list[Note], list[Note]]:
    """Return what a revision would do, up and down; it is not done."""
    module = script.get_revision(name).module
    found: list[list[Note]] = []
    for work in (module.upgrade, getattr(module, "downgrade", lambda: None)):
        recorder = Recorder()
        context = context_of(connection, script=script, **recording_options(recorder))
        with connection.begin_nested() as nested, recording(context, recorder):
            work()
            nested.rollback()
        found.append(recorder.notes)
    return found[0], found[1]


def unknown_revision(name: str | None, directory: Path) -> str:
    """Return what to say of a database at a revision that is in no file."""
    return (
        f"the database is at revision {name}, which is in no file of {directory}: "
        "take the files of the version that migrated it"
    )


def _run(
    connection: sa.Connection, script: ScriptDirectory, steps: Callable[[Any, Any], Any], stepper: Stepper | None = None
) -> None:
    options = stepping_options(stepper)
    context = context_of(connection, script=script, fn=lambda at, _: steps(script, at), **options)
    try:
        with operating(Operations(context)):
            context.run_migrations()
    except CommandError as error:
        raise MigrationFault(str(error)) from error
