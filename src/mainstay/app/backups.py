"""Backups of the database that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.app.stores import scheme_of, sqlite_path

if TYPE_CHECKING:
    from mainstay.adapters.sql.backups import Contents


def back_up(settings: Settings, file: Path) -> Contents:
    """Copy the database into a new file, and return what is in it. Raises ``Refusal``."""
    if scheme_of(settings) == "sqlite":
        from mainstay.adapters.sql.backups import sqlite

        return _told(lambda: sqlite.backup(sqlite_path(settings), file))
    return _told(lambda: _postgres(settings)[0](file))


def restore(settings: Settings, file: Path, *, replace: bool) -> Contents:
    """Make the database what a backup holds, and return that. Raises ``Refusal``."""
    if scheme_of(settings) == "sqlite":
        from mainstay.adapters.sql.backups import sqlite

        return _told(lambda: sqlite.restore(file, sqlite_path(settings), replace=replace))
    return _told(lambda: _postgres(settings)[1](file, replace=replace))


def _postgres(settings: Settings) -> tuple[Callable[..., Contents], Callable[..., Contents]]:
    if scheme_of(settings) != "postgresql":
        raise Refusal(f"there is no backup of a {scheme_of(settings)} database", "use the tools of its vendor")
    from mainstay.adapters.sql.backups.postgres import PostgresBackups

    database = settings.database
    made = PostgresBackups(database.direct_url.reveal() or database.url.reveal(), database.schema or None)
    return made.backup, made.restore


def _told(work: Callable[[], Contents]) -> Contents:
    from mainstay.adapters.sql.backups import BackupFault
    from mainstay.adapters.sql.migrations import MigrationFault

    try:
        return work()
    except (BackupFault, MigrationFault) as fault:
        raise Refusal(str(fault)) from fault
