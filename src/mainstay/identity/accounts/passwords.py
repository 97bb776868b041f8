"""Changing a password, and setting a new one where it was forgotten."""

from __future__ import annotations

from mainstay.identity.accounts.brakes import Brakes
from mainstay.identity.accounts.codes import CodeBook
from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.entry import Entry
from mainstay.identity.accounts.events import CodeAsked, LetterDue
from mainstay.identity.accounts.inputs import Address, NewPassword, PasswordChange
from mainstay.identity.accounts.looking import session_of
from mainstay.identity.accounts.problems import CodeRefused, PasswordWrong
from mainstay.identity.accounts.proof import PasswordProof
from mainstay.identity.book import SessionBook
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock
from mainstay.ports.events import Events
from mainstay.ports.read_ahead import ReadAhead
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog


async def change_password(
    wanted: PasswordChange,
    who: Principal,
    proof: PasswordProof,
    accounts: Repository[Account],
    book: SessionBook,
    events: Events,
    log: SecurityLog,
) -> None:
    """Change the caller's password. Its other sessions end."""
    before = await proof.of_caller(who, wanted.present)
    hashed = await proof.chosen(wanted.password, before.email, before.name)
    account = await accounts.get(before.id)
    if account.password != before.password:
        raise PasswordWrong  # it was changed while it was looked at
    await accounts.update(account, password=hashed)
    await book.end_all(account.id, reason="password_changed", but=session_of(who))
    await book.renew()
    events.emit(LetterDue(to=account.email, kind="password_changed"))
    log.note(SecurityEvent(kind="password.changed", subject=account.id, actor=who.id))


async def forget_password(asked: Address, brakes: Brakes, events: Events, log: SecurityLog) -> None:
    """Have a letter sent with which a new password can be set. The answer is the same for one without an account."""
    email = asked.email.lower()
    if await brakes.letter(email):
        events.emit(CodeAsked(email=email, purpose="reset"))
    log.note(SecurityEvent(kind="password.reset_asked"))


async def reset_password(
    wanted: NewPassword,
    codes: CodeBook,
    ahead: ReadAhead[Account],
    proof: PasswordProof,
    accounts: Repository[Account],
    entry: Entry,
    book: SessionBook,
    events: Events,
    log: SecurityLog,
    clock: Clock,
) -> None:
    """Set a new password with the code of a letter. All sessions of the account end; its second factor stays.

    The caller's address is known to the account from then on, so that an owner who was guessed at can log in.
    """
    before = await ahead.get((await codes.peek(wanted.code, "reset")).account_id)
    hashed = await proof.chosen(wanted.password, before.email, before.name)
    code = await codes.take(wanted.code, "reset")
    account = await accounts.get(code.account_id)
    if account.locked_at is not None:
        raise CodeRefused("the code is wrong, was used before, or its time is over")
    verified = account.verified_at or clock.now()  # only who reads the letters of the address has the code
    await accounts.update(account, password=hashed, verified_at=verified)
    await codes.drop(account, "verify")
    await entry.know(account)
    await book.end_all(account.id, reason="password_reset")
    events.emit(LetterDue(to=account.email, kind="password_changed"))
    log.note(SecurityEvent(kind="password.reset", subject=account.id))
