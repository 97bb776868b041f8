"""Brakes on guessing: what may be tried how often, counted by the limiter, which all workers share.

A log-in is counted by the pair of account and address, and by the account as a whole. From an address that the account
has logged in from, only the pair counts, so that strangers who guess elsewhere do not keep its owner out; and the pair
begins anew with each log-in that succeeds, so that only failures in a row add up. Where the account as a whole is used
up, a log-in from a new address is looked at only if it brings the code of the second factor along, and is refused in
the same words whichever of the two is wrong: strangers learn nothing more of the password, and the owner comes in.
What is counted is counted before the work is done, so that a hundred tries at once are a hundred.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from uuid import UUID

from mainstay.identity.accounts.looking import digest_of
from mainstay.model.limits import Limit
from mainstay.model.problem import TooMany
from mainstay.ports.limiter import Limiter, Verdict
from mainstay.ports.origin import Origin

PAIR = Limit(name="log-in-pair", quota=10, window=600, burst=10)
"""Failures in a row of one account from one address."""

ACCOUNT = Limit(name="log-in-account", quota=50, window=3600, burst=50)
"""Log-ins tried on one account from addresses that it does not know."""

ADDRESS = Limit(name="log-in-address", quota=100, window=3600, burst=100)
"""Failures of one address, on whatever accounts."""

STEP_PAIR = Limit(name="second-step-pair", quota=5, window=300, burst=5)
"""Codes tried of one account from one address."""

STEP_ACCOUNT = Limit(name="second-step-account", quota=20, window=3600, burst=20)
"""Codes tried of one account from addresses that it does not know: of a million codes three count at a time."""

CONFIRMATION = Limit(name="password-confirmation", quota=10, window=600, burst=10)
"""Passwords tried by a caller that is logged in."""

LETTERS = Limit(name="account-letters", quota=5, window=3600, burst=5)
"""Letters that strangers can have sent to one address."""


class Brakes:
    """The brakes for the caller of this call."""

    def __init__(self, limiter: Limiter, origin: Origin) -> None:
        self._limiter = limiter
        self._address = origin.address

    def place(self, email: str) -> str:
        """Return the digest of an account's address and the caller's: by it the two are known together."""
        return digest_of(email, self._address)

    async def log_in(self, email: str, known: int | None) -> bool:
        """Count a log-in; ``known`` is how often it succeeded from here (None: never).

        Returns whether the account as a whole is used up, so that the second factor must come along. Raises
        ``TooMany``.
        """
        await self._charge(PAIR, f"{self.place(email)}:{known or 0}")
        judged = self._limiter.peek([(ADDRESS, f"{ADDRESS.name}:{self._address}")])
        _judge((await _told(judged))[0])
        if known is not None:
            return False
        verdict = await self._counted(ACCOUNT, digest_of(email))
        return not verdict.allowed

    async def failed(self) -> None:
        """Count a failure of the caller's address."""
        await self._counted(ADDRESS, self._address)

    async def second_step(self, account: UUID, email: str, known: int | None) -> None:
        """Count a code of the second factor. Raises ``TooMany``."""
        await self._charge(STEP_PAIR, f"{self.place(email)}:{known or 0}")
        if known is None:
            await self._charge(STEP_ACCOUNT, str(account))

    async def confirmation(self, account: UUID) -> None:
        """Count a password that confirms a change. Raises ``TooMany``."""
        await self._charge(CONFIRMATION, f"{account}:{self._address}")

    async def letter(self, email: str) -> bool:
        """Count a letter, and say whether it may be sent."""
        return (await self._counted(LETTERS, digest_of(email))).allowed

    async def _charge(self, limit: Limit, key: str) -> None:
        _judge(await self._counted(limit, key))

    async def _counted(self, limit: Limit, key: str) -> Verdict:
        return (await _told(self._limiter.charge([(limit, f"{limit.name}:{key}")])))[0]


async def _told(verdicts: Sequence[Verdict] | Awaitable[Sequence[Verdict]]) -> Sequence[Verdict]:
    return await verdicts if isinstance(verdicts, Awaitable) else verdicts


def _judge(verdict: Verdict) -> None:
    if not verdict.allowed:
        raise TooMany("too many tries", retry_after=verdict.retry_after)
