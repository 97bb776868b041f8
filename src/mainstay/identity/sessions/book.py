"""The book of sessions: where a log-in that was proven becomes something that a client can call with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from mainstay.identity.accounts.entities import Account
from mainstay.model.fields import field
from mainstay.model.structs import Dto

Means = Literal["tokens", "cookie"]
"""What a client wants to call with: an access and a refresh token, or a session cookie."""


class Opened(Dto):
    """A session, as its client is told of it. For a cookie the tokens are left out: it travels by itself.

    ``csrf_token`` goes with a cookie: a client that sends neither ``Sec-Fetch-Site`` nor ``Origin`` sends it as
    ``X-CSRF-Token`` with whatever changes something.
    """

    session_id: UUID
    token_type: str = "Bearer"  # noqa: S105 - RFC 6750's word, no secret
    expires_in: int = 0  # seconds, of the access token
    access_token: str | None = field(default=None)
    refresh_token: str | None = field(default=None)
    csrf_token: str | None = field(default=None)


class SessionBook(ABC):
    """Open and end the sessions of accounts, in the transaction of the command that asks."""

    @abstractmethod
    async def open(self, account: Account, *, roles: Sequence[str], proofs: Sequence[str], means: Means) -> Opened:
        """Open a session for an account whose log-in was proven; ``proofs`` are RFC 8176's (``pwd``, ``otp``).

        A session that the caller comes with by a cookie ends: none is carried over a log-in. Where ``roles`` are fewer
        than those that the account was granted, the session never has more than these; else it has what was granted.
        """

    @abstractmethod
    async def end_all(self, account_id: UUID, *, reason: str, but: UUID | None = None) -> int:
        """End all sessions and refresh tokens of an account, ``but`` one, within a second on every replica.

        Access tokens that were issued before this moment hold no more. Returns how many sessions ended.
        """

    @abstractmethod
    async def outdate(self, account_id: UUID) -> None:
        """Have what the account may do take effect within a second on every replica: its roles were changed.

        Its sessions go on, with the roles of now; its access tokens hold no more, and are refreshed.
        """

    @abstractmethod
    async def renew(self) -> None:
        """Give the caller's browser session a new secret: after more was proven, or a password was changed.

        What the caller came with holds no more. Does nothing for a caller that came with a token.
        """
