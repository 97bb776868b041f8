"""The database and its migrations, as starting and looking after a service need them.

Everything here waits for the disk and wants the file for itself: it is called before a store is opened, or in a process
that opens none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings import Settings
from mainstay.app.stores import scheme_of, sqlite_path
from mainstay.model.service import Service
from mainstay.ports.store import Table

if TYPE_CHECKING:
    from mainstay.adapters.sql.migrations import Checked, Phase, Plan, Status, Target
    from mainstay.adapters.sql.migrations.forecast import Outlook

T = TypeVar("T")

WAIT_SECONDS = 60.0
"""How long a runner waits for another one, and for each lock that a service holds."""

_MIGRATED = frozenset({"sqlite", "postgresql"})
"""The stores whose schemas migrations make."""


class Migrated(NamedTuple):
    """What was run, and what is held back until no older version serves."""

    done: list[str]
    held: list[str]


class Migrations:
    """The migrations of one service. Every method raises ``Refusal`` with what is in the way and what to do."""

    def __init__(self, settings: Settings, tables: Sequence[Table]) -> None:
        self.database: Target = _target(settings)
        self.directory: Path = settings.root / settings.database.migrations
        self._tables = tuple(tables)
        self._phase: Phase = "expand" if settings.is_production else "contract"

    def plan(self, *, message: str | None = None, preview: bool = False, renames: Sequence[str] = ()) -> Plan | None:
        """Write the files that bring the schema to the model; None where nothing has changed.

        ``renames`` are columns that got another name, each as ``table.old=new``.
        """
        from mainstay.adapters.sql.migrations import plan

        return _told(lambda: plan(self.directory, self._tables, message=message, preview=preview, renames=renames))

    def forecast(self, planned: Plan | None) -> Outlook:
        """Say what the revisions that the database lacks would do to it, and those that are planned."""
        from mainstay.adapters.sql.migrations.forecast import forecast

        texts = [(each.name, each.text) for each in planned.revisions] if planned is not None else []
        return _told(lambda: forecast(self.database, self.directory, texts, self._tables))

    def compare(self) -> Checked:
        """Compare the model, the files and the live schema."""
        from mainstay.adapters.sql.migrations import check

        return _told(lambda: check(self.database, self.directory, self._tables))

    def migrate(self, phase: Phase | None = None, *, wait_seconds: float = WAIT_SECONDS) -> Migrated:
        """Bring the database forward: up to the last revision, or with ``expand`` up to before the first contract.

        Without a phase production stops there too: an older version may still serve. Other runners, and locks that
        others hold, are waited for so many seconds.
        """
        from mainstay.adapters.sql.migrations import migrate, pending

        wanted = phase or self._phase
        done = _told(lambda: migrate(self.database, self.directory, phase=wanted, wait_seconds=wait_seconds))
        return Migrated(done, _told(lambda: pending(self.database, self.directory)))

    def rollback(self, steps: int, *, wait_seconds: float = WAIT_SECONDS) -> list[str]:
        """Take back the last revisions, and return them."""
        from mainstay.adapters.sql.migrations import rollback

        return _told(lambda: rollback(self.database, self.directory, steps, wait_seconds=wait_seconds))

    def status(self) -> Status:
        """Return where the database stands."""
        from mainstay.adapters.sql.migrations import status

        return _told(lambda: status(self.database, self.directory, self._tables))

    def is_fresh(self) -> bool:
        """Whether there is nothing in the database yet, so that migrating it can hurt nobody."""
        return not _told(self.database.exists) or not self._schema()

    def has_files(self) -> bool:
        """Whether there is any migration."""
        return self.directory.is_dir() and any(self.directory.glob("*.py"))

    def check(self) -> None:
        """Return where a service of this model may run on this database."""
        from mainstay.adapters.sql.migrations import check_compatible

        _told(lambda: check_compatible(self.database, self.directory, self._tables))
        missing = self.missing()
        if missing:
            raise Refusal(
                f"{self.database} lacks what the model has: {', '.join(missing[:5])}{' ...' if missing[5:] else ''}",
                "the model was changed since the last migration: mainstay db plan, then mainstay db migrate",
            )

    def missing(self) -> list[str]:
        """Return the tables and columns of the model that the database has not: a call to them would fail.

        It is quicker by far than the whole comparison, which ``status`` makes.
        """
        schema = self._schema()
        found = []
        for table in self._tables:
            there = schema.get(table.name)
            if there is None:
                found.append(f"table {table.name}")
            else:
                columns = (attribute.name for attribute in table.shape.attributes)
                found += [f"column {table.name}.{name}" for name in columns if name not in there]
        return found

    def _schema(self) -> dict[str, set[str]]:
        """Return the columns of each table that is there."""
        return _told(self.database.schema)


def _told(work: Callable[[], T]) -> T:
    """Do it, and turn what the migrations complain of into a refusal."""
    from mainstay.adapters.sql.migrations import MigrationFault

    try:
        return work()
    except MigrationFault as fault:
        raise Refusal(str(fault)) from fault


def _target(settings: Settings) -> Target:
    """Return the database that the settings name."""
    if scheme_of(settings) == "sqlite":
        from mainstay.adapters.sql.migrations.sqlite_target import SqliteTarget

        return SqliteTarget(sqlite_path(settings))
    made: Target = find("migrations", scheme_of(settings))(settings)
    return made


def migrations_of(settings: Settings, tables: Sequence[Table]) -> Migrations | None:
    """Return the migrations of a database that has any: memory and throw-away files have none."""
    if scheme_of(settings) not in _MIGRATED or settings.database.create:
        return None
    return Migrations(settings, tables)


def describe(settings: Settings, service: Service) -> tuple[Literal["fine", "warning", "wrong"], str, str]:
    """Say how the database is, for the doctor: state, message, remedy."""
    from mainstay.app.checking import inspect

    if not settings.database.url.reveal():
        return "warning", "not looked at: database.url is not set", ""
    migrations = migrations_of(settings, inspect(service).tables)
    if migrations is None:
        return "fine", f"{scheme_of(settings)}, without migrations", ""
    missing = _missing_file(settings, migrations)
    if missing is not None:
        return missing
    found = migrations.status()
    if found.pending and found.pending != found.held:
        return "wrong", f"{migrations.database} is behind: {', '.join(found.pending)}", "mainstay db migrate"
    migrations.check()
    if found.drift:
        return (
            "warning",
            f"{migrations.database} differs from the model: {'; '.join(found.drift[:3])}",
            "mainstay db plan",
        )
    if found.held:
        text = f"{migrations.database} is at {found.current}, and holds back {', '.join(found.held)}"
        return "warning", text, "mainstay db migrate --phase contract, once no older version serves"
    return "fine", f"{migrations.database} is at {found.current}", ""


def _missing_file(settings: Settings, migrations: Migrations) -> tuple[Literal["warning", "wrong"], str, str] | None:
    """Return what is to be said of a database or of migrations that are not there."""
    folder = None if scheme_of(settings) != "sqlite" else sqlite_path(settings).parent
    own = folder == settings.state and not settings.is_production  # the first `mainstay run` makes it
    if folder is not None and not own and not folder.is_dir():
        return "wrong", f"{folder}: there is no such folder", f"mkdir -p {folder}"
    if not migrations.has_files():
        return "wrong", f"there is no migration in {migrations.directory}", "mainstay db plan"
    if folder is not None and not sqlite_path(settings).exists():
        state: Literal["warning", "wrong"] = "wrong" if settings.is_production else "warning"
        return state, f"{migrations.database} is not there yet", "mainstay db migrate"
    return None
