"""The store of ``mysql://`` and ``mariadb://`` URLs."""

from __future__ import annotations

from mainstay.adapters.sql.mysql_store import MysqlStore
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.store import Store


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
        )
    except ValueError as error:
        raise Refusal(
            f"database.url ({settings.source('database.url')}): {error}", "mysql://user:password@host:3306/database"
        ) from None
