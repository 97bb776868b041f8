"""URLs of databases whose user and password may change while the service runs, and nothing else of them."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from mainstay.app.settings import Settings


def current_urls(settings: Settings) -> Callable[[str], str]:
    """Return what gives, for a URL of the start, the one of now. One of another server is passed over.

    A store of another server would be another store: that takes a new start.
    """
    database = settings.database
    of_start = {secret.reveal(): secret for secret in (database.url, database.replica_url, database.direct_url)}

    def current(url: str) -> str:
        secret = of_start.get(url)
        now = url if secret is None else secret.reveal()
        return now if now == url or same_server(now, url) else url

    return current


def same_server(one: str, other: str) -> bool:
    """Whether two URLs differ in user and password only."""
    try:
        first, second = urlsplit(one), urlsplit(other)
    except ValueError:
        return False
    bare = (first._replace(netloc=""), first.netloc.rpartition("@")[2])
    return bare == (second._replace(netloc=""), second.netloc.rpartition("@")[2])
