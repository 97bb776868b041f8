"""Administering accounts: made, locked, given roles, and what was done to them looked through.

An administrator that belongs to a tenant has the accounts of that tenant, and no others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from uuid import UUID

from mainstay.identity.accounts.codes import CodeBook
from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.identity.accounts.events import AccountLocked
from mainstay.identity.accounts.facts import AccountFacts
from mainstay.identity.accounts.inputs import ROLE_PATTERN, Ended, NewAccount, OwnAccount, Reason, Role
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.problems import AddressTaken, RolePresent
from mainstay.identity.accounts.proof import PasswordProof
from mainstay.identity.book import SessionBook
from mainstay.model.conditions import TRUE, Compare, Condition
from mainstay.model.inputs import Find, Page
from mainstay.model.principal import Principal
from mainstay.model.problem import Fault, Invalid, NotFound
from mainstay.ports.clock import Clock
from mainstay.ports.events import Events
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog, SecurityRecord


async def list_accounts(find: Find[Account], who: Principal, accounts: Repository[Account]) -> Page[Account]:
    """List accounts."""
    return await accounts.page(find, _reach(who))


async def get_account(
    account_id: UUID, who: Principal, accounts: Repository[Account], facts: AccountFacts
) -> OwnAccount:
    """Return an account with its roles."""
    return await facts.of(await accounts.one(_reach(who), id=account_id))


async def create_account(
    wanted: NewAccount,
    who: Principal,
    proof: PasswordProof,
    accounts: Repository[Account],
    grants: Repository[RoleGrant],
    codes: CodeBook,
    facts: AccountFacts,
    log: SecurityLog,
    clock: Clock,
) -> OwnAccount:
    """Make an account whose address is taken to be right. Without a password its owner gets a letter to set one."""
    email, roles = wanted.email.lower(), _plain(wanted.roles)
    hashed = None if wanted.password is None else await proof.chosen(wanted.password, email, wanted.name)
    if await found(accounts.one(email=email)) is not None:
        raise AddressTaken
    account = await accounts.add(
        Account(email=email, name=wanted.name, tenant=who.tenant, password=hashed, verified_at=clock.now())
    )
    for role in roles:
        await grants.add(RoleGrant(account_id=account.id, role=role, granted_by=who.id))
        log.note(_event("role.granted", account, who, role=role))
    if hashed is None:
        await codes.send(account, "reset", letter="invited")
    log.note(_event("account.created", account, who))
    return await facts.of(account)


async def grant_role(
    account_id: UUID,
    wanted: Role,
    who: Principal,
    accounts: Repository[Account],
    grants: Repository[RoleGrant],
    facts: AccountFacts,
    book: SessionBook,
    log: SecurityLog,
) -> OwnAccount:
    """Give an account a role. Its sessions go on, with the roles of now."""
    account = await accounts.one(_reach(who), id=account_id)
    if await grants.count(account_id=account.id, role=wanted.role):
        raise RolePresent
    await grants.add(RoleGrant(account_id=account.id, role=wanted.role, granted_by=who.id))
    await book.outdate(account.id)
    log.note(_event("role.granted", account, who, role=wanted.role))
    return await facts.of(account)


async def revoke_role(
    account_id: UUID,
    role: str,
    who: Principal,
    accounts: Repository[Account],
    grants: Repository[RoleGrant],
    book: SessionBook,
    log: SecurityLog,
) -> None:
    """Take a role from an account. Its sessions go on without it, within a second on every replica."""
    account = await accounts.one(_reach(who), id=account_id)
    page = await grants.page(account_id=account.id, role=role)
    if not page.items:
        raise NotFound("the account does not have this role")
    for grant in page.items:
        await grants.delete(grant)
    await book.outdate(account.id)
    log.note(_event("role.revoked", account, who, role=role))


async def lock_account(
    account_id: UUID,
    wanted: Reason,
    who: Principal,
    accounts: Repository[Account],
    book: SessionBook,
    events: Events,
    log: SecurityLog,
    clock: Clock,
) -> None:
    """Lock an account: it can log in no more, and its sessions end."""
    account = await accounts.one(_reach(who), id=account_id)
    await accounts.update(account, locked_at=account.locked_at or clock.now(), lock_reason=wanted.reason or None)
    await book.end_all(account.id, reason="locked")
    events.emit(AccountLocked(account_id=account.id))
    log.note(_event("account.locked", account, who, reason=wanted.reason))


async def unlock_account(account_id: UUID, who: Principal, accounts: Repository[Account], log: SecurityLog) -> None:
    """Let a locked account log in again."""
    account = await accounts.one(_reach(who), id=account_id)
    await accounts.update(account, locked_at=None, lock_reason=None)
    log.note(_event("account.unlocked", account, who))


async def end_sessions(
    account_id: UUID, who: Principal, accounts: Repository[Account], book: SessionBook, log: SecurityLog
) -> Ended:
    """End all sessions of an account."""
    account = await accounts.one(_reach(who), id=account_id)
    ended = await book.end_all(account.id, reason="administrator")
    log.note(_event("session.ended_all", account, who, sessions=str(ended)))
    return Ended(sessions=ended)


async def list_security_events(
    find: Find[SecurityRecord], who: Principal, records: Repository[SecurityRecord]
) -> Page[SecurityRecord]:
    """Look through what concerned security, the latest last unless told otherwise."""
    return await records.page(find, _reach(who))


def _plain(roles: Sequence[str]) -> list[str]:
    """Return roles, each once. Raises ``Invalid`` for one that is no plain word."""
    wrong = [place for place, role in enumerate(roles) if re.fullmatch(ROLE_PATTERN, role, re.ASCII) is None]
    if wrong:
        raise Invalid(faults=[Fault("pattern", "is no plain word", pointer=f"/roles/{place}") for place in wrong])
    return list(dict.fromkeys(roles))


def _reach(who: Principal) -> Condition:
    return TRUE if who.tenant is None else Compare("tenant", "eq", who.tenant)


def _event(kind: str, account: Account, who: Principal, **facts: str) -> SecurityEvent:
    given = {name: value for name, value in facts.items() if value}
    return SecurityEvent(kind=kind, subject=account.id, actor=who.id, facts=given)
