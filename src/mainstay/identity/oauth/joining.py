"""Whose account somebody from outside has, and when they get a new one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from uuid import UUID

import msgspec

from mainstay.identity.accounts.entities import Account, RoleGrant
from mainstay.identity.accounts.looking import found
from mainstay.identity.accounts.problems import AddressTaken
from mainstay.identity.accounts.rules import AccountRules
from mainstay.identity.oauth.declaration import Provider
from mainstay.identity.oauth.entities import OutsideLink
from mainstay.identity.oauth.opaque import digest_of
from mainstay.model.principal import Principal
from mainstay.model.problem import Conflict, Forbidden
from mainstay.model.values import Email
from mainstay.ports.clock import Clock
from mainstay.ports.outside_login import OutsidePerson
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog


class OutsideRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the declaration says of outside providers and of who may come by them."""

    providers: Mapping[str, Provider]
    sign_up: Literal["open", "closed"] = "open"


class AddressMissing(Forbidden):
    """The provider tells no address that an account could have."""


class AddressUnproven(Forbidden, hint="Sign up, confirm your address, and link the provider then."):
    """It is not certain that the address that the provider tells is theirs, and this service asks for that."""


class NoAccount(Forbidden):
    """There is no account for this person, and none is made."""


class AccountLocked(Forbidden):
    """This account cannot be logged in to."""


class LinkedElsewhere(Conflict):
    """This person at the provider has another account here."""


class Joining:
    """Finds and makes the accounts of people from outside, in the transaction of the command that asks."""

    def __init__(
        self,
        accounts: Repository[Account],
        grants: Repository[RoleGrant],
        links: Repository[OutsideLink],
        rules: OutsideRules,
        of_accounts: AccountRules,
        log: SecurityLog,
        clock: Clock,
    ) -> None:
        self._accounts = accounts
        self._grants = grants
        self._links = links
        self._rules = rules
        self._of_accounts = of_accounts
        self._log = log
        self._clock = clock

    async def account(self, provider: Provider, person: OutsidePerson) -> Account:
        """Return the account of somebody who has logged in outside, made now where there is none.

        Raises ``AddressTaken`` where an account has their address and it is not certain that it is theirs. One that
        never showed it is never joined: whoever made it may have waited for the owner of the address to come by.
        """
        linked = await self._linked(person)
        if linked is not None:
            account = await self._accounts.get(linked.account_id)
            await self._links.update(linked, used_at=self._clock.now())
        else:
            account = await self._by_address(provider, person)
            await self.link(account, person)
        if account.locked_at is not None:
            raise AccountLocked
        return account

    async def _linked(self, person: OutsidePerson) -> OutsideLink | None:
        return await found(self._links.one(key=_key(person)))

    async def _by_address(self, provider: Provider, person: OutsidePerson) -> Account:
        email = _address(person)
        proven = provider.trust_email and person.email_verified
        there = await found(self._accounts.one(email=email))
        if there is None:
            return await self._made(email, person, provider, proven=proven)
        if not proven or there.verified_at is None:
            raise AddressTaken("log in to the account that has this address, and link the provider there")
        return there

    async def _made(self, email: str, person: OutsidePerson, provider: Provider, *, proven: bool) -> Account:
        """Make an account.

        Where addresses are confirmed, none is made with one that is not certain: its owner would confirm it, or set a
        password by a letter, and whoever made it would be in by the link.
        """
        if self._rules.sign_up == "closed":
            raise NoAccount
        if not proven and self._of_accounts.verify_email:
            raise AddressUnproven
        verified_at = self._clock.now() if proven else None
        account = await self._accounts.add(Account(email=email, name=person.name, verified_at=verified_at))
        for role in self._of_accounts.default_roles:
            await self._grants.add(RoleGrant(account_id=account.id, role=role, granted_by=Principal.system.id))
        facts = {"provider": provider.name}
        self._log.note(SecurityEvent(kind="account.signed_up", subject=account.id, facts=facts))
        return account

    async def own(self, account_id: UUID) -> Account | None:
        """Return an account that is in good order."""
        account = await found(self._accounts.get(account_id))
        return account if account is not None and account.locked_at is None else None

    async def link(self, account: Account, person: OutsidePerson) -> None:
        """Have a person from outside be an account here. Raises ``LinkedElsewhere`` where they are another one."""
        linked = await self._linked(person)
        if linked is not None:
            if linked.account_id != account.id:
                raise LinkedElsewhere
            return
        await self._links.add(
            OutsideLink(
                key=_key(person),
                issuer=person.issuer,
                subject=person.subject,
                account_id=account.id,
                used_at=self._clock.now(),
            )
        )


def _key(person: OutsidePerson) -> str:
    return digest_of(f"{len(person.issuer)}:{person.issuer}{person.subject}")


def _address(person: OutsidePerson) -> str:
    try:
        return msgspec.convert((person.email or "").lower(), Email)
    except msgspec.ValidationError:
        raise AddressMissing from None
