"""How things stand with a session, a key and their account now: whether they hold, and what they may do."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from mainstay.identity.accounts.entities import RoleGrant
from mainstay.identity.sessions.entities import ApiKey, Session
from mainstay.identity.sessions.rules import SessionRules
from mainstay.kernel.records import rows_of
from mainstay.ports.unit_of_work import UnitOfWork


def is_live(session: Session, now: datetime, rules: SessionRules) -> bool:
    """Whether a session has neither ended nor been left alone for too long."""
    return session.ended_at is None and now < ends_at(session, rules)


def ends_at(session: Session, rules: SessionRules) -> datetime:
    """Return when a session ends, unless it is used before, or ended."""
    if session.means == "cookie":
        return min(session.expires_at, session.used_at + timedelta(seconds=rules.idle))
    return min(session.expires_at, session.rotated_at + timedelta(seconds=rules.refresh))


def is_good(key: ApiKey, now: datetime) -> bool:
    """Whether a key counts."""
    return key.revoked_at is None and (key.expires_at is None or now < key.expires_at)


def present_roles(session: Session, granted: set[str]) -> set[str]:
    """Return the roles of a session: what the account was granted, where its log-in gave it all of that."""
    return granted if session.whole else granted & set(session.roles)


async def granted_roles(unit: UnitOfWork, account_id: UUID) -> set[str]:
    """Return the roles that an account has now."""
    return {grant.role async for grant in rows_of(unit, RoleGrant).stream(account_id=account_id)}
