"""How long what holds, and in whose name it is signed: what identity's declaration and the settings say together."""

from __future__ import annotations

from datetime import timedelta

import msgspec

MARGIN = timedelta(minutes=2)
"""By how much what is kept of revocations outlives the last token that they could concern."""

_LEAST = timedelta(hours=1)


class SessionRules(msgspec.Struct, frozen=True, kw_only=True):
    """The rules. Times are in seconds.

    ``grace`` is how long a refresh token that was used may be sent again by a client to which the answer was lost.
    """

    issuer: str
    audience: str
    access: int
    refresh: int
    session: int
    idle: int
    grace: int
    key_scopes: tuple[str, ...] = ()

    @property
    def retention(self) -> timedelta:
        """How long what was raised is of use: until the last token from before has ended."""
        return max(timedelta(seconds=self.access), _LEAST) + MARGIN

    @property
    def life(self) -> timedelta:
        """How long a token may be checked with a key after the key has signed for the last time."""
        return timedelta(seconds=self.access) + MARGIN
