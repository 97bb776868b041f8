"""Who a broker is asked as: the user and password that its URL has now, for they may change while the service runs."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote, urlsplit

from mainstay.app.database_urls import same_server

Credentials = tuple[str | None, str | None]
"""A user and a password; None for what is not given."""


def current_credentials(text: str, current: Callable[[], str]) -> Callable[[], Credentials]:
    """Return what gives the credentials of the URL of now, where that is of the server of ``text``; else those of it.

    Another server would be another broker: that takes a new start.
    """

    def credentials() -> Credentials:
        now = current()
        who = urlsplit(now if same_server(now, text) else text).netloc.rpartition("@")[0]
        user, _, password = who.partition(":")
        return unquote(user) or None, unquote(password) or None

    return credentials
