"""What ``postgresql://`` URLs need: the store, the target of migrations, backups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mainstay.adapters.sql.postgres_store import PostgresStore
from mainstay.app.database_urls import current_urls
from mainstay.app.refusal import Refusal
from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.store import Store, Table

if TYPE_CHECKING:
    from mainstay.adapters.sql.backups.postgres import PostgresBackups
    from mainstay.adapters.sql.migrations import Target

_COMMIT: Mapping[str, str] = MappingProxyType({"full": "on", "normal": "off", "off": "off"})


def make(settings: Settings, clock: Clock) -> Store:
    """Rows in a PostgreSQL database."""
    database = settings.database
    if "," in urlsplit(database.replica_url.reveal()).netloc.rpartition("@")[2]:
        raise Refusal(
            f"database.replica_url ({settings.source('database.replica_url')}) names several hosts",
            "name the one whose progress is to be followed",
        )
    return PostgresStore(
        database.url.reveal(),
        create=database.create,
        clock=clock.monotonic,
        replica_url=database.replica_url.reveal() or None,
        replica_seconds=database.replica_seconds,
        direct_url=database.direct_url.reveal() or None,
        synchronous=_COMMIT[database.synchronous],
        pool=database.pool,
        pooler=database.pooler,
        schema=database.schema or None,
        wait_seconds=database.busy_seconds,
        idle_seconds=database.turn_seconds,
        current=current_urls(settings),
    )


def target(settings: Settings, _tables: Sequence[Table]) -> Target:
    """Return the database that migrations are run on: the server itself, where a pooler stands before it."""
    from mainstay.adapters.sql.migrations.postgres_target import PostgresTarget

    database = settings.database
    pooled = database.pooler and not database.direct_url.reveal()
    return PostgresTarget(_direct(settings), database.schema or None, pooled=pooled)


def backups(settings: Settings) -> PostgresBackups:
    """Return the backups of the database."""
    from mainstay.adapters.sql.backups.postgres import PostgresBackups

    return PostgresBackups(_direct(settings), settings.database.schema or None)


def _direct(settings: Settings) -> str:
    return settings.database.direct_url.reveal() or settings.database.url.reveal()
