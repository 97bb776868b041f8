"""Whom an account is at outside providers, for the account itself to see and to end."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.entities import OutsideLink
from mainstay.model.principal import Principal
from mainstay.model.problem import Conflict
from mainstay.model.structs import Dto
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog


class Linked(Dto):
    """Somebody at a provider, who is this account."""

    id: UUID
    issuer: str
    subject: str
    linked_at: datetime
    used_at: datetime


class LastWayIn(Conflict, hint="Set a password first."):
    """The account has no other way to log in."""


async def list_outside_links(who: Principal, links: Repository[OutsideLink]) -> list[Linked]:
    """List whom the account is at outside providers."""
    return [
        Linked(id=row.id, issuer=row.issuer, subject=row.subject, linked_at=row.created_at, used_at=row.used_at)
        async for row in links.stream(account_id=who.id)
    ]


async def remove_outside_link(
    id: UUID, who: Principal, links: Repository[OutsideLink], accounts: Repository[Account], log: SecurityLog
) -> None:
    """Log in with this person at the provider no more. The last way to log in stays."""
    link = await links.one(id=id, account_id=who.id)
    account = await accounts.get(who.id)
    if account.password is None and await links.count(account_id=who.id) < 2:
        raise LastWayIn
    await links.delete(link)
    facts = {"issuer": link.issuer}
    log.note(SecurityEvent(kind="outside.unlinked", subject=account.id, actor=account.id, facts=facts))
