"""Whose account somebody from outside has, and when they get a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar
from uuid import UUID

import msgspec

from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.identity.oauth.declaration import Provider
from mainstay.identity.oauth.entities import OutsideLink
from mainstay.identity.oauth.opaque import digest_of
from mainstay.model.problem import Conflict, Forbidden, NotFound
from mainstay.model.structs import Entity
from mainstay.model.values import Email
from mainstay.ports.outside_login import OutsidePerson
from mainstay.ports.repository import Repository
from mainstay.ports.unit_of_work import UnitOfWork

E = TypeVar("E", bound=Entity)


class OutsideRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the declaration says of outside providers and of the accounts that they bring."""

    providers: Mapping[str, Provider]
    sign_up: Literal["open", "closed"] = "open"
    default_roles: Sequence[str] = ()


class AddressTaken(Conflict, hint="Log in to that account and link the provider there."):
    """There is an account with this address already."""


class AddressMissing(Forbidden):
    """The provider tells no address that an account could have."""


class NoAccount(Forbidden):
    """There is no account for this person, and none is made."""


class AccountLocked(Forbidden):
    """This account cannot be logged in to."""


class LinkedElsewhere(Conflict):
    """This person at the provider has another account here."""


class Joining:
    """Finds and makes the accounts of people from outside, in the transaction of the command that asks."""

    def __init__(self, unit: UnitOfWork, rules: OutsideRules) -> None:
        self._unit = unit
        self._rules = rules

    def _rows(self, entity: type[E]) -> Repository[E]:
        plan: Any = self._unit.frame.plans[entity]
        return Repository(self._unit, plan)

    async def account(self, provider: Provider, person: OutsidePerson) -> Account:
        """Return the account of somebody who has logged in outside, made now where there is none.

        Raises ``AddressTaken`` where an account has their address and it is not certain that it is theirs. One that
        never showed it is never joined: whoever made it may have waited for the owner of the address to come by.
        """
        linked = await self._linked(person)
        if linked is not None:
            found = await self._rows(Account).get(linked.account_id)
            await self._rows(OutsideLink).update(linked, used_at=self._unit.frame.clock.now())
        else:
            found = await self._by_address(provider, person)
            await self.link(found, person)
        if found.locked_at is not None:
            raise AccountLocked
        return found

    async def _linked(self, person: OutsidePerson) -> OutsideLink | None:
        try:
            return await self._rows(OutsideLink).one(key=_key(person))
        except NotFound:
            return None

    async def _by_address(self, provider: Provider, person: OutsidePerson) -> Account:
        email = _address(person)
        proven = provider.trust_email and person.email_verified
        try:
            there = await self._rows(Account).one(email=email)
        except NotFound:
            return await self._made(email, person, proven=proven)
        if not proven or there.verified_at is None:
            raise AddressTaken
        return there

    async def _made(self, email: str, person: OutsidePerson, *, proven: bool) -> Account:
        if self._rules.sign_up == "closed":
            raise NoAccount
        now = self._unit.frame.clock.now()
        new = Account(email=email, name=person.name, verified_at=now if proven else None)
        account = await self._rows(Account).add(new)
        for role in self._rules.default_roles:
            await self._rows(RoleGrant).add(RoleGrant(account_id=account.id, role=role, granted_by=account.id))
        return account

    async def own(self, account_id: UUID) -> Account | None:
        """Return an account that is in good order."""
        try:
            account = await self._rows(Account).get(account_id)
        except NotFound:
            return None
        return account if account.locked_at is None else None

    async def link(self, account: Account, person: OutsidePerson) -> None:
        """Have a person from outside be an account here. Raises ``LinkedElsewhere`` where they are another one."""
        linked = await self._linked(person)
        if linked is not None:
            if linked.account_id != account.id:
                raise LinkedElsewhere
            return
        await self._rows(OutsideLink).add(
            OutsideLink(
                key=_key(person),
                issuer=person.issuer,
                subject=person.subject,
                account_id=account.id,
                used_at=self._unit.frame.clock.now(),
            )
        )

    async def roles(self, account: Account) -> list[str]:
        """Return the roles that an account has been given."""
        return sorted([grant.role async for grant in self._rows(RoleGrant).stream(account_id=account.id)])


def _key(person: OutsidePerson) -> str:
    return digest_of(f"{len(person.issuer)}:{person.issuer}{person.subject}")


def _address(person: OutsidePerson) -> str:
    try:
        return msgspec.convert((person.email or "").lower(), Email)
    except msgspec.ValidationError:
        raise AddressMissing from None
