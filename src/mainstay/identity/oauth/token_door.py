"""The token endpoint (RFC 6749, section 3.2), and what clients do with tokens beside: give back, ask about."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec

from mainstay.identity.accounts.entities import Account
from mainstay.identity.oauth.entities import CODE, MACHINE, REFRESH, ClientGrant, RegisteredClient
from mainstay.identity.oauth.forms import client_of, fields_of
from mainstay.identity.oauth.granting import Grants, TokenAnswer
from mainstay.identity.oauth.opaque import is_secret
from mainstay.identity.oauth.pkce import fits
from mainstay.identity.oauth.problems import (
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedTokenType,
)
from mainstay.identity.oauth.requests import client_with, scopes_of
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.identity.sessions.issuing import DELEGATED
from mainstay.identity.sessions.verifier import IdentityVerifier
from mainstay.model.fields import field, header
from mainstay.model.inputs import RawForm
from mainstay.model.problem import NotFound
from mainstay.model.structs import Dto
from mainstay.ports.repository import Repository

Authorization = Annotated[str | None, header("Authorization")]
Form = Mapping[str, str]


async def client_of_call(
    authorization: str | None, form: Form, clients: Repository[RegisteredClient], grants: Grants, *, public: bool = True
) -> RegisteredClient:
    """Return the client that calls. Raises ``InvalidClient`` where it is not known, or does not prove itself.

    One without a secret is ``public``, and taken by its word where that may be: its codes are bound to a verifier.
    """
    id_, secret = client_of(authorization, form)
    client = await client_with(clients, id_)
    if client is None:
        raise InvalidClient
    given, known = secret or "", client.secret
    if not (public and not given if known is None else is_secret(given, known)):
        grants.refused(client)
        raise InvalidClient
    return client


async def issue_token(
    body: RawForm,
    clients: Repository[RegisteredClient],
    grants: Grants,
    rules: OAuthRules,
    authorization: Authorization = None,
) -> TokenAnswer:
    """Give a client tokens, for a code, for a refresh token, or for itself.

    A form with ``grant_type`` and what goes with it: ``code``, ``redirect_uri`` and ``code_verifier``; or
    ``refresh_token``, and ``scope`` for less; or ``scope``. The client proves itself by HTTP Basic or by ``client_id``
    and ``client_secret``; a public one says its ``client_id``.
    """
    form = fields_of(body)
    client = await client_of_call(authorization, form, clients, grants)
    kind = form.get("grant_type")
    if kind is None:
        raise InvalidRequest("grant_type is missing")
    redeem = _KINDS.get(kind)
    if redeem is None:
        raise UnsupportedGrantType
    if kind not in client.grants:
        raise UnauthorizedClient
    if form.get("resource", rules.audience) not in (rules.audience, rules.issuer):
        raise InvalidTarget
    return await redeem(form, client, grants, rules)


async def _by_code(form: Form, client: RegisteredClient, grants: Grants, rules: OAuthRules) -> TokenAnswer:  # noqa: ARG001
    code, grant = await grants.code(_needed(form, "code"), client)
    if _needed(form, "redirect_uri") != code.redirect_uri:
        raise InvalidGrant
    if not fits(_needed(form, "code_verifier"), code.challenge):
        raise InvalidGrant
    answer = await grants.tokens(client, grant, grant.scopes)
    if "openid" not in grant.scopes:
        return answer
    return msgspec.structs.replace(answer, identity=await grants.id_token(client, grant, code))


async def _by_refresh(form: Form, client: RegisteredClient, grants: Grants, rules: OAuthRules) -> TokenAnswer:
    grant = await grants.refreshed(_needed(form, "refresh_token"), client)
    scopes = tuple(form["scope"].split()) if "scope" in form else tuple(grant.scopes)
    if not set(scopes) <= set(grant.scopes):
        raise InvalidScope
    known = [scope for scope in scopes if scope in client.scopes and scope in rules.scopes]
    return await grants.tokens(client, grant, known)


async def _by_itself(form: Form, client: RegisteredClient, grants: Grants, rules: OAuthRules) -> TokenAnswer:
    if client.secret is None:
        raise UnauthorizedClient
    own = [scope for scope in scopes_of(form.get("scope"), client, rules) if scope not in _OF_PEOPLE]
    if not own and client.scopes:
        raise InvalidScope
    return await grants.machine(client, own)


_KINDS: Mapping[str, Callable[[Form, RegisteredClient, Grants, OAuthRules], Awaitable[TokenAnswer]]] = {
    CODE: _by_code,
    REFRESH: _by_refresh,
    MACHINE: _by_itself,
}
_OF_PEOPLE = frozenset({"openid", "email", "profile", "offline_access"})


def _needed(form: Form, name: str) -> str:
    value = form.get(name)
    if value is None:
        raise InvalidRequest(f"{name} is missing")
    return value


async def revoke_token(
    body: RawForm,
    clients: Repository[RegisteredClient],
    grants: Grants,
    verifier: IdentityVerifier,
    authorization: Authorization = None,
) -> dict[str, Any]:
    """Give a token back (RFC 7009): what the account has let the client do by it ends, with all of its tokens.

    A form with ``token``. A token that is not known, or has ended, is as good as revoked: the answer is 200 and empty.
    """
    form = fields_of(body)
    client = await client_of_call(authorization, form, clients, grants)
    text = _needed(form, "token")
    found = await grants.of_refresh(text)
    grant = found[1] if found is not None else await _grant_of(text, client, grants, verifier)
    if grant is None:
        return {}
    if grant.client_id != client.id:
        raise UnauthorizedClient
    await grants.end(grant, "revoked")
    return {}


async def _grant_of(
    text: str, client: RegisteredClient, grants: Grants, verifier: IdentityVerifier
) -> ClientGrant | None:
    """Return the grant of an access token. Raises ``UnsupportedTokenType`` for one of a client's own name."""
    who = await verifier.own(text.encode())
    if who is None:
        return None
    if who.id == client.id:
        raise UnsupportedTokenType
    return await grants.of_session(who.claims["sid"]) if who.claims.get(DELEGATED) is True else None


class Introspection(Dto, omit_defaults=True, rename={"client": "client_id", "kind": "token_type"}):
    """What is known of a token (RFC 7662, section 2.2): of one that is not good, that it is not, and nothing else."""

    active: bool
    scope: str | None = field(default=None)
    client: str | None = field(default=None)
    kind: str | None = field(default=None)
    sub: str | None = field(default=None)
    aud: str | None = field(default=None)
    iss: str | None = field(default=None)
    exp: int | None = field(default=None)
    iat: int | None = field(default=None)
    jti: str | None = field(default=None)


async def introspect_token(
    body: RawForm,
    clients: Repository[RegisteredClient],
    grants: Grants,
    verifier: IdentityVerifier,
    accounts: Repository[Account],
    rules: OAuthRules,
    authorization: Authorization = None,
) -> Introspection:
    """Ask about a token (RFC 7662). A client may ask about its own, a resource server about all.

    A form with ``token``. A token of another client is answered as one that there is not.
    """
    form = fields_of(body)
    client = await client_of_call(authorization, form, clients, grants, public=False)
    text = _needed(form, "token")
    found = await _of_access(text, verifier) or await _of_refresh(text, grants, accounts, rules)
    if found is None or not (client.introspects or found.client == str(client.id)):
        return Introspection(active=False)
    return found


async def _of_access(text: str, verifier: IdentityVerifier) -> Introspection | None:
    """Return what is known of an access token that the doors of this service would take now."""
    who = await verifier.own(text.encode())
    if who is None:
        return None
    told = {name: who.claims.get(name) for name in ("scope", "sub", "aud", "iss", "exp", "iat", "jti")}
    return Introspection(active=True, kind="Bearer", client=who.claims["client_id"], **told)


async def _is_usable(account_id: Any, accounts: Repository[Account]) -> bool:
    try:
        return (await accounts.get(account_id)).locked_at is None
    except NotFound:
        return False


async def _of_refresh(
    text: str, grants: Grants, accounts: Repository[Account], rules: OAuthRules
) -> Introspection | None:
    found = await grants.of_refresh(text)
    if found is None:
        return None
    token, grant = found
    over = token.spent_at is not None or grant.ended_at is not None or grants.is_past(token.expires_at)
    if over or not await _is_usable(grant.account_id, accounts):
        return None
    return Introspection(
        active=True,
        scope=" ".join(grant.scopes),
        client=str(grant.client_id),
        sub=str(grant.account_id),
        iss=rules.issuer,
        exp=int(token.expires_at.timestamp()),
        iat=int(token.created_at.timestamp()),
    )
