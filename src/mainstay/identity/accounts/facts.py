"""What is told of an account: never its hash, nor what its codes are made from."""

from __future__ import annotations

from mainstay.identity.accounts.entities import Account, RoleGrant, SecondFactor
from mainstay.identity.accounts.inputs import OwnAccount
from mainstay.identity.accounts.looking import found
from mainstay.ports.repository import Repository


class AccountFacts:
    """Put together what is told of accounts."""

    def __init__(self, grants: Repository[RoleGrant], factors: Repository[SecondFactor]) -> None:
        self._grants = grants
        self._factors = factors

    async def of(self, account: Account) -> OwnAccount:
        """Return what is told of an account."""
        roles = sorted([grant.role async for grant in self._grants.stream(account_id=account.id)])
        factor = await found(self._factors.one(account_id=account.id))
        return OwnAccount(
            id=account.id,
            email=account.email,
            name=account.name,
            tenant=account.tenant,
            roles=roles,
            second_factor=factor is not None and factor.confirmed_at is not None,
            created_at=account.created_at,
            verified_at=account.verified_at,
            locked_at=account.locked_at,
            deletion_requested_at=account.deletion_requested_at,
        )
