"""Asking accounts for their consent: doors for the team's own page, which is the authorization endpoint.

A client sends a person's browser to the page, with its request in the query. The page has the person log in, hands the
query over as it is, shows who wants what, and goes to the ``location`` that it is answered. It decides nothing: which
client it is, where an answer goes and what it may have is found out here, anew for each call.
"""

from __future__ import annotations

from uuid import UUID

from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.entities import ClientGrant, RegisteredClient
from mainstay.identity.oauth.granting import Grants
from mainstay.identity.oauth.problems import (
    AccessDenied,
    AccountsOnly,
    ConsentRequired,
    LogInAgain,
    LoginRequired,
    OAuthProblem,
)
from mainstay.identity.oauth.requests import Addressed, AuthorizationRequest, addressed, checked
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.model.fields import field
from mainstay.model.principal import Principal
from mainstay.model.problem import NotFound
from mainstay.model.structs import Dto
from mainstay.ports.clock import Clock
from mainstay.ports.repository import Repository


class AskedScope(Dto):
    """A scope, and what it lets a client do, in words for people."""

    name: str
    text: str


class Asked(Dto):
    """What a page shows. With a ``location`` there is nothing to show: the browser goes there."""

    client: str = ""
    client_id: UUID | None = field(default=None)
    scopes: list[AskedScope] = field(default_factory=list)
    consented: bool = False  # to all of it, before
    location: str | None = field(default=None)


class Decision(Dto):
    """What the account has said. ``request`` is the query that the client sent its browser with."""

    request: str = field(max_length=8000)
    approve: bool


class Location(Dto):
    """Where the browser goes now."""

    location: str


class Consent(Dto):
    """A client that may act for the account."""

    client_id: UUID
    client: str
    scopes: list[str]


async def describe_authorization(
    request: str,
    who: Principal,
    clients: Repository[RegisteredClient],
    grants: Repository[ClientGrant],
    rules: OAuthRules,
) -> Asked:
    """Say who asks an account for what.

    ``request`` is the query that the client sent its browser with, as it is. What is wrong with the client or its
    redirect_uri is told here, and to nobody else; all else is told to the client, by the location.
    """
    asked = await addressed(request, clients)
    try:
        wanted = checked(asked, rules)
        consented = False
        if who.authenticated:
            found = grants.stream(account_id=who.id, client_id=asked.client.id, ended_at=None)
            consented = {scope async for grant in found for scope in grant.scopes}.issuperset(wanted.scopes)
        if "none" in wanted.prompts and not consented:
            raise ConsentRequired if who.authenticated else LoginRequired
    except OAuthProblem as problem:
        return Asked(location=asked.refusal(rules, problem))
    return Asked(
        client=asked.client.name,
        client_id=asked.client.id,
        scopes=[AskedScope(name=name, text=rules.scopes[name]) for name in wanted.scopes],
        consented=consented and "consent" not in wanted.prompts,
    )


async def decide_authorization(
    decision: Decision,
    who: Principal,
    accounts: Repository[Account],
    clients: Repository[RegisteredClient],
    grants: Grants,
    rules: OAuthRules,
    clock: Clock,
) -> Location:
    """Let a client do what it asks for, or not.

    The page goes to the location, which tells the client: with a code that is good once, for a minute, for this client
    and its verifier; or with an error.
    """
    asked = await addressed(decision.request, clients)
    account = await _account(who, accounts)
    try:
        wanted = checked(asked, rules)
        if not decision.approve:
            raise ConsentRequired if "none" in wanted.prompts else AccessDenied
    except OAuthProblem as problem:
        return Location(location=asked.refusal(rules, problem))
    return await _approved(account, asked, wanted, _authenticated_at(who, wanted, clock), grants, rules)


async def _account(who: Principal, accounts: Repository[Account]) -> Account:
    """Return the account of a caller. Raises ``AccountsOnly`` for machines, and for tokens that others have made."""
    try:
        account = await accounts.get(who.id)
    except NotFound:
        raise AccountsOnly from None
    if account.locked_at is not None:
        raise AccountsOnly
    return account


def _authenticated_at(who: Principal, wanted: AuthorizationRequest, clock: Clock) -> int | None:
    """Return when the caller has logged in, where that is known. Raises ``LogInAgain`` where it is too long ago."""
    told = who.claims.get("auth_time")
    since = told if isinstance(told, int) and not isinstance(told, bool) else None
    if wanted.max_age is not None and (since is None or clock.time() - since > wanted.max_age):
        raise LogInAgain
    return since


async def _approved(
    account: Account,
    asked: Addressed,
    wanted: AuthorizationRequest,
    authenticated_at: int | None,
    grants: Grants,
    rules: OAuthRules,
) -> Location:
    code = await grants.begin(account, asked, wanted, authenticated_at)
    return Location(location=asked.answer(rules, code=code))


async def list_consents(
    who: Principal, grants: Repository[ClientGrant], clients: Repository[RegisteredClient]
) -> list[Consent]:
    """List the clients that may act for the account, and within which scopes."""
    scopes: dict[UUID, set[str]] = {}
    async for grant in grants.stream(account_id=who.id, ended_at=None):
        scopes.setdefault(grant.client_id, set()).update(grant.scopes)
    return [await _consent(id_, found, clients) for id_, found in scopes.items()]


async def _consent(id_: UUID, scopes: set[str], clients: Repository[RegisteredClient]) -> Consent:
    return Consent(client_id=id_, client=(await clients.get(id_)).name, scopes=sorted(scopes))


async def withdraw_consent(client_id: UUID, who: Principal, grants: Grants) -> None:
    """Let a client act for the account no more: its tokens hold no more."""
    if not await grants.end_all(client=client_id, account=who.id, reason="withdrawn"):
        raise NotFound
