"""Backups of the database that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings import Settings
from mainstay.app.stores import scheme_of, sqlite_path

if TYPE_CHECKING:
    from mainstay.adapters.sql.backups import Contents


def back_up(settings: Settings, file: Path) -> Contents:
    """Copy the database into a new file, and return what is in it. Raises ``Refusal``."""
    if scheme_of(settings) == "sqlite":
        from mainstay.adapters.sql.backups import sqlite

        return _told(lambda: sqlite.backup(sqlite_path(settings), file))
    return _told(lambda: _backups(settings).backup(file))


def restore(settings: Settings, file: Path, *, replace: bool) -> Contents:
    """Make the database what a backup holds, and return that. Raises ``Refusal``."""
    if scheme_of(settings) == "sqlite":
        from mainstay.adapters.sql.backups import sqlite

        return _told(lambda: sqlite.restore(file, sqlite_path(settings), replace=replace))
    return _told(lambda: _backups(settings).restore(file, replace=replace))


def _backups(settings: Settings) -> Any:
    scheme = scheme_of(settings)
    if scheme not in ("postgresql", "mysql", "mariadb"):
        raise Refusal(f"there is no backup of a {scheme} database", "use the tools of its vendor")
    return find("backups", scheme)(settings)


def _told(work: Callable[[], Contents]) -> Contents:
    from mainstay.adapters.sql.backups import BackupFault
    from mainstay.adapters.sql.migrations import MigrationFault

    try:
        return work()
    except (BackupFault, MigrationFault) as fault:
        raise Refusal(str(fault)) from fault
