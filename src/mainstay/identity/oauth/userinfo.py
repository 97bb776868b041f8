"""Who the account behind a token is (OpenID Connect Core, section 5.3), as far as the client may know."""

from __future__ import annotations

from typing import Any

from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.problems import AccountsOnly
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound
from mainstay.ports.repository import Repository


async def show_userinfo(who: Principal, accounts: Repository[Account]) -> dict[str, Any]:
    """Say who the account is: its id, and of the rest what the scopes of the token let the client know."""
    return await _claims(who, accounts)


async def post_userinfo(who: Principal, accounts: Repository[Account]) -> dict[str, Any]:
    """Say who the account is, to clients that ask by POST."""
    return await _claims(who, accounts)


async def _claims(who: Principal, accounts: Repository[Account]) -> dict[str, Any]:
    try:
        account = await accounts.get(who.id)
    except NotFound:
        raise AccountsOnly from None
    claims: dict[str, Any] = {"sub": str(account.id)}
    if "profile" in who.scopes and account.name:
        claims["name"] = account.name
    if "email" in who.scopes:
        claims.update(email=account.email, email_verified=account.verified_at is not None)
    return claims
