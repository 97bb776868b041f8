"""One-time codes: made for an account and a purpose, sent by letter, good once and for a while, kept as digests."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from mainstay.identity.accounts.entities import Account, OneTimeCode
from mainstay.identity.accounts.events import LetterDue
from mainstay.identity.accounts.looking import digest_of, found
from mainstay.identity.accounts.problems import CodeRefused
from mainstay.identity.accounts.rules import AccountRules
from mainstay.ports.clock import Clock
from mainstay.ports.events import Events
from mainstay.ports.ids import Ids
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.repository import Repository
from mainstay.ports.sealer import Sealer

Purpose = Literal["verify", "reset"]
LETTER_CONTEXT = b"identity.letter"
_KEPT = 200  # codes of an account that are looked at: there is one of a purpose at a time


class CodeBook:
    """The codes of accounts. A code has 132 random bits, and is of one purpose."""

    def __init__(
        self,
        codes: Repository[OneTimeCode],
        ahead: ReadAhead[OneTimeCode],
        ids: Ids,
        clock: Clock,
        sealer: Sealer,
        events: Events,
        rules: AccountRules,
    ) -> None:
        self._codes = codes
        self._ahead = ahead
        self._ids = ids
        self._clock = clock
        self._sealer = sealer
        self._events = events
        self._rules = rules

    async def send(self, account: Account, purpose: Purpose, *, letter: str | None = None) -> None:
        """Make a code, have it sent in a letter (named after the purpose unless given), and drop those before it."""
        await self.drop(account, purpose)
        code = self._ids.token()
        seconds = self._rules.verify_seconds if purpose == "verify" else self._rules.reset_seconds
        await self._codes.add(
            OneTimeCode(
                account_id=account.id,
                purpose=purpose,
                digest=digest_of(purpose, code),
                expires_at=self._clock.now() + timedelta(seconds=seconds),
            )
        )
        sealed = self._sealer.seal(code.encode(), LETTER_CONTEXT)
        self._events.emit(LetterDue(to=account.email, kind=letter or purpose, sealed=sealed))

    async def peek(self, code: str, purpose: Purpose) -> OneTimeCode:
        """Return the row of a code that is good, ahead of the transaction. Raises ``CodeRefused``."""
        return self._good(await found(self._ahead.one(digest=digest_of(purpose, code))))

    async def take(self, code: str, purpose: Purpose) -> OneTimeCode:
        """Use a code up. Raises ``CodeRefused``."""
        row = self._good(await found(self._codes.one(digest=digest_of(purpose, code))))
        await self._codes.delete(row)
        return row

    async def drop(self, account: Account, purpose: Purpose) -> None:
        """Make every code of an account for a purpose good for nothing."""
        page = await self._codes.page(account_id=account.id, purpose=purpose, limit=_KEPT)
        for row in page.items:
            await self._codes.delete(row)

    def _good(self, row: OneTimeCode | None) -> OneTimeCode:
        if row is None or row.expires_at <= self._clock.now():
            raise CodeRefused("the code is wrong, was used before, or its time is over")
        return row
