"""An account as its owner has it."""

from __future__ import annotations

from mainstay.identity.accounts.entities import Account
from mainstay.identity.accounts.events import DeletionRequested
from mainstay.identity.accounts.facts import AccountFacts
from mainstay.identity.accounts.inputs import AccountChange, Confirmation, OwnAccount
from mainstay.identity.accounts.proof import PasswordProof
from mainstay.identity.book import SessionBook
from mainstay.model.principal import Principal
from mainstay.ports.clock import Clock
from mainstay.ports.events import Events
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog


async def get_own_account(who: Principal, accounts: Repository[Account], facts: AccountFacts) -> OwnAccount:
    """Return the caller's account."""
    return await facts.of(await accounts.get(who.id))


async def change_own_account(
    wanted: AccountChange, who: Principal, accounts: Repository[Account], facts: AccountFacts, log: SecurityLog
) -> OwnAccount:
    """Change the caller's account."""
    account = await accounts.update(await accounts.get(who.id), name=wanted.name)
    log.note(SecurityEvent(kind="account.changed", subject=account.id, actor=who.id))
    return await facts.of(account)


async def request_deletion(
    wanted: Confirmation,
    who: Principal,
    proof: PasswordProof,
    accounts: Repository[Account],
    book: SessionBook,
    events: Events,
    log: SecurityLog,
    clock: Clock,
) -> None:
    """Ask for the caller's account to be deleted, with all that is kept of its owner. Its sessions end.

    Whoever runs the service erases it; until then the owner may log in and withdraw this.
    """
    before = await proof.of_caller(who, wanted.password)
    account = await accounts.get(before.id)
    await accounts.update(account, deletion_requested_at=clock.now())
    await book.end_all(account.id, reason="deletion_requested")
    events.emit(DeletionRequested(account_id=account.id))
    log.note(SecurityEvent(kind="account.deletion_requested", subject=account.id, actor=who.id))


async def withdraw_deletion(who: Principal, accounts: Repository[Account], log: SecurityLog) -> None:
    """Keep the caller's account after all."""
    account = await accounts.get(who.id)
    await accounts.update(account, deletion_requested_at=None)
    log.note(SecurityEvent(kind="account.deletion_withdrawn", subject=account.id, actor=who.id))
