"""The second factor of an account: set up, confirmed, removed, and what stands in for it."""

from __future__ import annotations

from uuid import UUID

from mainstay.identity.accounts import totp
from mainstay.identity.accounts.challenges import Challenges
from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.entry import Entry
from mainstay.identity.accounts.events import LetterDue
from mainstay.identity.accounts.factors import SecondFactors
from mainstay.identity.accounts.inputs import (
    Confirmation,
    Confirmed,
    Generator,
    Needed,
    RecoveryCodes,
    Removal,
    SetUp,
)
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.problems import SecondFactorKept, SecondFactorPresent, SecondStepRefused
from mainstay.identity.accounts.proof import BEARER, PasswordProof
from mainstay.identity.accounts.rules import AccountRules
from mainstay.identity.book import SessionBook
from mainstay.model.principal import Principal
from mainstay.model.problem import Unauthenticated
from mainstay.model.values import Secret
from mainstay.ports.events import Events
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.security_log import Outcome, SecurityEvent, SecurityLog


class Setting:
    """Whoever sets a second factor up: a caller that is logged in, or a log-in that must do so first."""

    def __init__(self, who: Principal, challenges: Challenges, ahead: ReadAhead[Account], proof: PasswordProof) -> None:
        self._who = who
        self._challenges = challenges
        self._ahead = ahead
        self._proof = proof

    async def account(self, challenge: str | None, password: Secret[str] | None = None) -> Account:
        """Return the account, ahead of the transaction; ``password`` is asked of a caller that begins.

        Raises ``ChallengeRefused``, ``PasswordWrong``, or ``Unauthenticated`` where there is neither.
        """
        if challenge is not None:
            account_id = self._challenges.account(challenge, Needed.SET_UP)
            account = await found(self._ahead.get(account_id))
            return self._challenges.check(challenge, Needed.SET_UP, account)
        if not self._who.authenticated:
            raise Unauthenticated("log in, or give the challenge of a log-in", headers=BEARER)
        return await (self._proof.own(self._who) if password is None else self._proof.of_caller(self._who, password))


async def set_up_second_factor(
    wanted: SetUp, setting: Setting, factors: SecondFactors, rules: AccountRules
) -> Generator:
    """Begin to set a generator of codes up (RFC 6238). It counts once a code of it was given."""
    password = wanted.password or Secret("")  # a caller that gives none gives a wrong one
    account = await setting.account(wanted.challenge, None if wanted.challenge is not None else password)
    if await factors.of(account.id) is not None:
        raise SecondFactorPresent
    secret = await factors.prepare(account.id)
    uri = totp.key_uri(secret, issuer=rules.service, account=account.email)
    return Generator(secret=totp.base32(secret), uri=uri)


async def confirm_second_factor(
    wanted: Confirmed,
    setting: Setting,
    factors: SecondFactors,
    entry: Entry,
    book: SessionBook,
    events: Events,
    log: SecurityLog,
) -> RecoveryCodes:
    """Let the second factor count, with a first code of it. Returns recovery codes, and ends a log-in that asked."""
    account = await setting.account(wanted.challenge)
    await factors.brake(account)
    if not await factors.confirm(account.id, wanted.code):
        log.note(_event("second_factor.added", account.id, outcome="failure"))
        raise SecondStepRefused(headers=BEARER)
    codes = await factors.new_codes(account.id)
    log.note(_event("second_factor.added", account.id))
    events.emit(LetterDue(to=account.email, kind="second_factor_changed"))
    session = None
    if wanted.challenge is not None:
        session = await entry.behind_set_up(account, wanted.challenge, wanted.means)
    else:
        await book.renew()
    return RecoveryCodes(recovery_codes=list(codes), session=session)


async def remove_second_factor(
    wanted: Removal,
    who: Principal,
    proof: PasswordProof,
    factors: SecondFactors,
    rules: AccountRules,
    events: Events,
    log: SecurityLog,
) -> None:
    """Take the caller's second factor away, where the service does not ask one of every account."""
    account = await proof.of_caller(who, wanted.password)
    await factors.brake(account)
    if rules.second_factor == "required":
        raise SecondFactorKept
    factor = await factors.present(account.id)
    if await factors.accept(factor, wanted.code) is None:
        log.note(_event("second_factor.removed", account.id, outcome="failure"))
        raise SecondStepRefused(headers=BEARER)
    await factors.remove(await factors.present(account.id))
    log.note(_event("second_factor.removed", account.id))
    events.emit(LetterDue(to=account.email, kind="second_factor_changed"))


async def new_recovery_codes(
    wanted: Confirmation,
    who: Principal,
    proof: PasswordProof,
    factors: SecondFactors,
    events: Events,
    log: SecurityLog,
) -> RecoveryCodes:
    """Make new recovery codes for the caller; those before them are good no more."""
    account = await proof.of_caller(who, wanted.password)
    await factors.present(account.id)
    codes = await factors.new_codes(account.id)
    log.note(_event("second_factor.recovery_codes", account.id))
    events.emit(LetterDue(to=account.email, kind="second_factor_changed"))
    return RecoveryCodes(recovery_codes=list(codes))


def _event(kind: str, account: UUID, *, outcome: Outcome = "success") -> SecurityEvent:
    return SecurityEvent(kind=kind, outcome=outcome, subject=account, actor=account)
