"""Stores from settings: the URL of the database says which, and where."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from urllib.parse import unquote, urlsplit

from mainstay.app.devkey import ensure_state
from mainstay.app.refusal import Refusal
from mainstay.app.registry import find
from mainstay.app.settings import Settings
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer
from mainstay.ports.store import Store

_ALIASES: Mapping[str, str] = MappingProxyType({"postgres": "postgresql"})  # as many a host hands it out


def scheme_of(settings: Settings) -> str:
    """Return which store the URL names. Raises ``Refusal``."""
    scheme, colon, _ = settings.database.url.reveal().partition(":")
    if not colon:
        raise Refusal(
            f"database.url ({settings.source('database.url')}) is no URL",
            "for example sqlite:///shop.sqlite, or memory:",
        )
    return _ALIASES.get(scheme, scheme)


def sqlite_path(settings: Settings) -> Path:
    """Return the file of ``sqlite:///relative`` or ``sqlite:////absolute``. Raises ``Refusal``."""
    parts = urlsplit(settings.database.url.reveal())
    path = unquote(parts.path)[1:]
    if parts.netloc or not path or parts.query or parts.fragment:
        raise Refusal(
            f"database.url ({settings.source('database.url')}) names no file",
            "sqlite:///shop.sqlite is beside mainstay.toml, sqlite:////var/lib/shop.sqlite is absolute",
        )
    return settings.root / path


def make_store(settings: Settings, clock: Clock) -> Store:
    """Return the store that the settings name. Raises ``Refusal``."""
    made: Store = find("store", scheme_of(settings))(settings, clock)
    return made


def watched_store(settings: Settings, clock: Clock, observer: Observer) -> Store:
    """Return the store that the settings name; in development one that tells ``observer`` of repeated reads."""
    store = make_store(settings, clock)
    if settings.profile != "development":
        return store
    from mainstay.adapters.observe.statements import RepeatedReads, WatchedStore

    return WatchedStore(store, RepeatedReads(observer))


def memory(settings: Settings, clock: Clock) -> Store:  # noqa: ARG001 - the form of a factory
    """Rows that end with the process."""
    from mainstay.adapters.memory.store import MemoryStore

    if settings.http.workers > 1:
        raise Refusal(
            f"the memory store belongs to one process, and http.workers is {settings.http.workers}",
            "use one worker, or a database",
        )
    return MemoryStore()


def sqlite(settings: Settings, clock: Clock) -> Store:
    """Rows in a file."""
    from mainstay.adapters.sql.sqlite_store import SqliteStore

    database = settings.database
    path = sqlite_path(settings)
    if path.is_relative_to(settings.state):
        ensure_state(settings.state)
    if not path.parent.is_dir():
        raise Refusal(f"database.url: {path.parent}: there is no such folder", f"mkdir -p {path.parent}")
    return SqliteStore(
        path,
        create=database.create,
        clock=clock.monotonic,
        synchronous=database.synchronous,
        readers=database.readers,
        busy_seconds=database.busy_seconds,
        turn_seconds=database.turn_seconds,
    )
