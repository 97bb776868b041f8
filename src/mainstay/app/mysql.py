"""What ``mysql://`` and ``mariadb://`` URLs need: the store, the target of migrations, backups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.app.database_urls import current_urls
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.store import Store, Table

if TYPE_CHECKING:
    from mainstay.adapters.sql.backups.mysql import MysqlBackups
    from mainstay.adapters.sql.migrations import Target


def make(settings: Settings, clock: Clock) -> Store:
    """Rows in a MariaDB or MySQL database."""
    database = settings.database
    if database.pooler or database.schema:
        raise Refusal(
            "database.pooler and database.schema are for PostgreSQL, and database.url names another server",
            "leave them out: the database is named in the URL, and connections are direct ones",
        )
    try:
        return MysqlStore(
            database.url.reveal(),
            create=database.create,
            clock=clock.monotonic,
            replica_url=database.replica_url.reveal() or None,
            replica_seconds=database.replica_seconds,
            pool=database.pool,
            durable=database.synchronous == "full",
            wait_seconds=database.busy_seconds,
            idle_seconds=database.turn_seconds,
            current=current_urls(settings),
        )
    except ValueError as error:
        raise _no_address(settings, error) from None


def target(settings: Settings, tables: Sequence[Table]) -> Target:
    """Return the database that migrations are run on."""
    from mainstay.adapters.sql.migrations.mysql_target import MysqlTarget

    try:
        return MysqlTarget(settings.database.url.reveal(), tables)
    except ValueError as error:
        raise _no_address(settings, error) from None


def backups(settings: Settings) -> MysqlBackups:
    """Return the backups of the database."""
    from mainstay.adapters.sql.backups.mysql import MysqlBackups

    try:
        return MysqlBackups(settings.database.url.reveal())
    except ValueError as error:
        raise _no_address(settings, error) from None


def _no_address(settings: Settings, error: ValueError) -> Refusal:
    return Refusal(
        f"database.url ({settings.source('database.url')}): {error}", "mysql://user:password@host:3306/database"
    )
