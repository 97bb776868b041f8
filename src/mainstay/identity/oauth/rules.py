"""What the doors of OAuth go by: what the service is called outside, what clients may have, and for how long."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class OAuthRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the declaration and the settings say together. Times are in seconds.

    ``issuer`` is the URL that the service is reached by from outside, and its name in tokens; ``path`` is where the
    doors begin below it. ``page`` is where accounts are asked for their consent. ``audience`` is the service itself in
    tokens. ``scopes`` are those that clients may be given, each with what it lets them do, in words for people.
    """

    issuer: str
    path: str
    page: str
    audience: str
    scopes: Mapping[str, str]
    code_seconds: int = 60
    access_seconds: int = 600
    refresh_seconds: int = 14 * 86_400
    grant_seconds: int = 180 * 86_400

    def url(self, place: str) -> str:
        """Return the URL of a door."""
        return f"{self.issuer.rstrip('/')}{self.path}/oauth/{place}"
