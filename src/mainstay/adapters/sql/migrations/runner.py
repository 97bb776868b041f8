"""Running revision files on a connection."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from mainstay.adapters.sql.migrations.files import MigrationFault, read_chain
from mainstay.adapters.sql.migrations.state import VERSION_TABLE, pending_of
from mainstay.adapters.sql.tables import NAMING
from mainstay.adapters.sql.types import ColumnType, same_storage


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
    if isinstance(there, ColumnType):
        return not same_storage(there, wanted)
    dialect = context.dialect  # of a database that tells the types of its columns itself
    return str(there.compile(dialect=dialect)) not in (
        text := str(wanted.compile(dialect=dialect)),
        f"{text} WITHOUT TIME ZONE",
    )


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
        _run(connection, directory, lambda script, at: script._upgrade_revs("head", at))
    return pending


def downgrade(connection: sa.Connection, directory: Path, steps: int) -> list[str]:
    """Take back the last revisions, and return their names, the newest first."""
    chain = read_chain(directory)
    before = current_revision(connection)
    names = [revision.name for revision in chain]
    if before is None:
        raise MigrationFault("there is no migration to take back: the database is empty")
    if before not in names:
        raise MigrationFault(unknown_revision(before, directory))
    done = names[: names.index(before) + 1]
    if steps > len(done):
        raise MigrationFault(f"there are {len(done)} migrations to take back, not {steps}")
    _run(connection, directory, lambda script, at: script._downgrade_revs(_target(done, steps), at))
    return list(reversed(done[-steps:]))


def _target(done: list[str], steps: int) -> str:
    return done[-steps - 1] if steps < len(done) else "base"


def unknown_revision(name: str | None, directory: Path) -> str:
    """Return what to say of a database at a revision that is in no file."""
    return (
        f"the database is at revision {name}, which is in no file of {directory}: "
        "take the files of the version that migrated it"
    )


def _run(connection: sa.Connection, directory: Path, steps: Callable[[Any, Any], Any]) -> None:
    script = ScriptDirectory(str(directory), version_locations=[str(directory)])
    context = context_of(connection, script=script, fn=lambda at, _: steps(script, at))
    try:
        with Operations.context(context):
            context.run_migrations()
    except CommandError as error:
        raise MigrationFault(str(error)) from error
