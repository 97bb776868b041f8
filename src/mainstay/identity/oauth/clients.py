"""Clients: registered by administrators and operators, each with a secret that is shown once."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from mainstay.identity.oauth.entities import CODE, MACHINE, REFRESH, RegisteredClient
from mainstay.identity.oauth.granting import Grants
from mainstay.identity.oauth.opaque import digest_of, new_secret
from mainstay.identity.oauth.redirects import redirect_fault
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.model.fields import field
from mainstay.model.inputs import Find, Page
from mainstay.model.problem import Fault, Invalid, NotFound
from mainstay.model.structs import Dto
from mainstay.ports.clock import Clock
from mainstay.ports.ids import Ids
from mainstay.ports.repository import Repository
from mainstay.ports.security_log import SecurityEvent, SecurityLog

GRANTS = (CODE, REFRESH, MACHINE)
MAX_LISTED = 20


class NewClient(Dto):
    """A client to be. ``confidential`` says that it can keep a secret: a server can, an app or a page cannot.

    ``grants`` are those of RFC 6749: ``authorization_code`` (with ``redirect_uris``), ``refresh_token`` beside it, and
    ``client_credentials``. ``introspects`` lets it ask about the tokens of other clients.
    """

    name: str = field(min_length=1, max_length=200)
    redirect_uris: list[str] = field(default_factory=list, max_length=MAX_LISTED)
    grants: list[str] = field(default_factory=lambda: [CODE, REFRESH], max_length=len(GRANTS))
    scopes: list[str] = field(default_factory=list, max_length=100)
    confidential: bool = True
    introspects: bool = False


class ClientMade(Dto):
    """A new client. The secret is shown this once."""

    client_id: UUID
    client_secret: str | None


def faults_of(new: NewClient, rules: OAuthRules) -> list[Fault]:
    """Return everything that is wrong with a client to be."""
    faults = [
        Fault("invalid", f"nobody can be redirected there: {fault}", pointer=f"/redirect_uris/{index}")
        for index, url in enumerate(new.redirect_uris)
        if (fault := redirect_fault(url)) is not None
    ]
    faults += _unknown("grants", new.grants, GRANTS)
    faults += _unknown("scopes", new.scopes, tuple(rules.scopes))
    if (CODE in new.grants) != bool(new.redirect_uris):
        faults.append(Fault("invalid", f"they go together with the grant {CODE}", pointer="/redirect_uris"))
    if not new.grants or (REFRESH in new.grants and CODE not in new.grants):
        faults.append(Fault("invalid", f"{REFRESH} stands beside {CODE}", pointer="/grants"))
    if not new.confidential and (MACHINE in new.grants or new.introspects):
        faults.append(Fault("invalid", "it takes a secret to act in its own name", pointer="/confidential"))
    return faults


def _unknown(name: str, given: Sequence[str], known: Sequence[str]) -> list[Fault]:
    told = f"is one of {', '.join(known)}"
    return [Fault("invalid", told, pointer=f"/{name}/{i}") for i, one in enumerate(given) if one not in known]


async def create_client(
    new: NewClient, clients: Repository[RegisteredClient], ids: Ids, rules: OAuthRules, log: SecurityLog
) -> ClientMade:
    """Register a client. The secret is shown this once, and cannot be looked up later."""
    faults = faults_of(new, rules)
    if faults:
        raise Invalid(faults=faults)
    secret = new_secret(ids) if new.confidential else None
    client = await clients.add(
        RegisteredClient(
            name=new.name,
            confidential=new.confidential,
            secret=None if secret is None else digest_of(secret),
            redirect_uris=new.redirect_uris,
            grants=new.grants,
            scopes=new.scopes,
            introspects=new.introspects,
        )
    )
    log.note(SecurityEvent(kind="oauth.client_created", facts={"client": str(client.id), "name": new.name}))
    return ClientMade(client_id=client.id, client_secret=secret)


async def list_clients(find: Find[RegisteredClient], clients: Repository[RegisteredClient]) -> Page[RegisteredClient]:
    """List the clients, those that were revoked as well."""
    return await clients.page(find)


async def revoke_client(
    client_id: UUID, clients: Repository[RegisteredClient], grants: Grants, clock: Clock, log: SecurityLog
) -> None:
    """Have a client count no more. What accounts have let it do ends, with all of its tokens."""
    client = await clients.get(client_id)
    if client.revoked_at is not None:
        raise NotFound
    await clients.update(client, revoked_at=clock.now())
    await grants.end_all(client=client.id, reason="client_revoked")
    await grants.end_machine(client.id)
    log.note(SecurityEvent(kind="oauth.client_revoked", facts={"client": str(client.id), "name": client.name}))
