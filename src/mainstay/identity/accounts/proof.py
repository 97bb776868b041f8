"""Proving a password, without an open transaction: the hash takes as long as a hundred other commands.

Whoever asks is told one thing only, whether all was right. An account that there is not, a wrong password, one that
was never set, a locked account and one whose address is not confirmed cost the same (one hash), and end in one answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, NoReturn
from uuid import UUID

from mainstay.identity.accounts.brakes import Brakes
from mainstay.identity.accounts.entities import Account, KnownPlace
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.problems import LogInRefused, PasswordRefused, PasswordWrong
from mainstay.identity.accounts.rules import AccountRules
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Forbidden, TooMany
from mainstay.model.values import Secret
from mainstay.ports.passwords import PasswordHasher, PasswordRules
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.security_log import SecurityEvent, SecurityLog

BEARER: Mapping[str, str] = MappingProxyType({"www-authenticate": "Bearer"})


class Proven(NamedTuple):
    """A password that was right, of the account as it was when it was read.

    ``rehashed`` is a new hash of it, where the parameters have risen; ``strict`` says that the account is being guessed
    at, so that nothing but the second factor in the same call lets a new address in.
    """

    account: Account
    rehashed: str | None = None
    strict: bool = False


class PasswordProof:
    """Look at passwords for the caller of this call."""

    def __init__(
        self,
        accounts: ReadAhead[Account],
        places: ReadAhead[KnownPlace],
        hasher: PasswordHasher,
        chosen: PasswordRules,
        brakes: Brakes,
        log: SecurityLog,
        rules: AccountRules,
    ) -> None:
        self._accounts = accounts
        self._places = places
        self._hasher = hasher
        self._chosen = chosen
        self._brakes = brakes
        self._log = log
        self._rules = rules

    async def of_log_in(self, email: str, password: Secret[str], *, complete: bool) -> Proven:
        """Prove the password of a log-in; ``complete`` says that the code of the second factor came along.

        Raises ``LogInRefused`` and ``TooMany``.
        """
        account = await found(self._accounts.one(email=email))
        subject = None if account is None else account.id
        strict = await self._braked(email, subject, complete=complete)
        right = await self._hasher.verify(None if account is None else account.password, password.reveal())
        if account is None or not right:
            await self.refuse(subject, "password" if account is not None else "address", strict=strict)
        if account.locked_at is not None:
            await self.refuse(subject, "locked", strict=strict)
        if self._rules.verify_email and account.verified_at is None:
            await self.refuse(subject, "unverified", strict=strict)
        hashed = account.password or ""
        rehashed = await self._hasher.hash(password.reveal()) if self._hasher.outdated(hashed) else None
        return Proven(account, rehashed, strict)

    async def _braked(self, email: str, subject: UUID | None, *, complete: bool) -> bool:
        place = await found(self._places.one(digest=self._brakes.place(email)))
        try:
            strict = await self._brakes.log_in(email, None if place is None else place.version)
            if strict and not complete:
                raise too_many()
        except TooMany:
            self._log.note(SecurityEvent(kind="log_in.braked", outcome="denied", subject=subject))
            raise
        return strict

    async def refuse(self, subject: UUID | None, reason: str, *, strict: bool) -> NoReturn:
        """Refuse a log-in: the reason is for the record, and not for the caller.

        Raises ``LogInRefused``, or ``TooMany`` where the account is guessed at: a right password with a wrong code is
        refused in the same words there.
        """
        await self._brakes.failed()
        facts = {"reason": reason}
        self._log.note(SecurityEvent(kind="log_in.password", outcome="failure", subject=subject, facts=facts))
        raise too_many() if strict else LogInRefused(headers=BEARER)

    async def of_caller(self, who: Principal, password: Secret[str]) -> Account:
        """Prove the present password of a caller that is logged in. Raises ``PasswordWrong`` and ``TooMany``."""
        account = await self.own(who)
        await self._brakes.confirmation(account.id)
        if not await self._hasher.verify(account.password, password.reveal()):
            event = SecurityEvent(kind="password.confirmed", outcome="failure", subject=account.id, actor=who.id)
            self._log.note(event)
            raise PasswordWrong
        return account

    async def own(self, who: Principal) -> Account:
        """Return the account of a caller, ahead. Raises ``Forbidden`` where its credentials are of no account."""
        account = await found(self._accounts.get(who.id))
        if account is None or account.locked_at is not None:
            raise Forbidden("these credentials are not of an account of this service")
        return account

    async def chosen(self, password: Secret[str], *about: str) -> str:
        """Return the hash of a password that may be chosen. Raises ``PasswordRefused`` with the reason."""
        refusal = await self._chosen.refusal(password.reveal(), about)
        if refusal is not None:
            raise PasswordRefused(faults=[Fault("password", refusal, pointer="/password")])
        return await self._hasher.hash(password.reveal())


def too_many() -> TooMany:
    """Return the answer to who guesses at an account that is guessed at."""
    return TooMany("too many tries", retry_after=60.0)
