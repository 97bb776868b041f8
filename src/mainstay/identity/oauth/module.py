"""The doors of OAuth, declared in the module of identity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mainstay.identity.accounts.problems import AddressTaken
from mainstay.identity.oauth import authorization, clients, discovery, links, outside, token_door, userinfo
from mainstay.identity.oauth.entities import AuthorizationCode, ClientGrant, OutsideLink, RefreshToken, RegisteredClient
from mainstay.identity.oauth.granting import Grants
from mainstay.identity.oauth.joining import (
    AccountLocked,
    AddressMissing,
    AddressUnproven,
    Joining,
    LinkedElsewhere,
    NoAccount,
)
from mainstay.identity.oauth.problems import (
    AccountsOnly,
    InvalidClient,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    LogInAgain,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedTokenType,
)
from mainstay.model.caching import cache
from mainstay.model.limits import limit
from mainstay.model.module import Module
from mainstay.model.operation import self_authenticated
from mainstay.model.policy import Policy, anyone, authenticated, role, scope
from mainstay.model.problem import Invalid, NotFound, Problem
from mainstay.ports.outside_login import OutsideRefused

PER_ADDRESS = limit("600/minute", by="address", name="oauth")
"""How often one address may come with credentials of clients, right or wrong: a server has many accounts behind it."""

KEPT_SECONDS = 120
"""How long the keys and the document may be kept: a new key is shown for longer than that before it signs."""

SERVER_PARTS: Sequence[type[Any]] = (Grants,)
PROVIDER_PARTS: Sequence[type[Any]] = (Joining,)
"""What use cases are put together from, anew for each call."""

_ANSWERED: Sequence[type[Problem]] = (InvalidRequest, InvalidClient, UnauthorizedClient)


def declare_server(module: Module, path: str, administrator: str) -> None:
    """Declare what makes the service a provider for others, with its doors below ``path``."""
    module.entity(RegisteredClient, ClientGrant, AuthorizationCode, RefreshToken)
    _declare_clients(module, f"{path}/oauth/clients", role(administrator))
    _declare_consent(module, f"{path}/oauth")
    _declare_tokens(module, f"{path}/oauth")
    _declare_documents(module, f"{path}/oauth")


def _declare_clients(module: Module, path: str, allow: Policy) -> None:
    # A secret is shown once: nothing of it is kept for a retry with the same key.
    module.command(f"POST {path}", status=201, allow=allow, idempotency="none", name="create_oauth_client")(
        clients.create_client
    )
    module.query(f"GET {path}", allow=allow, name="list_oauth_clients")(clients.list_clients)
    module.command(f"DELETE {path}/{{client_id}}", allow=allow, raises=[NotFound], name="revoke_oauth_client")(
        clients.revoke_client
    )


def _declare_consent(module: Module, path: str) -> None:
    told = (InvalidRequest, InvalidClient)
    module.query(f"GET {path}/authorizations", allow=anyone, raises=told)(authorization.describe_authorization)
    module.command(
        f"POST {path}/authorizations",
        allow=authenticated,
        idempotency="none",
        raises=[*told, AccountsOnly, LogInAgain],
        limits=[limit("60/minute")],
    )(authorization.decide_authorization)
    module.query(f"GET {path}/consents", allow=authenticated)(authorization.list_consents)
    module.command(f"DELETE {path}/consents/{{client_id}}", allow=authenticated, raises=[NotFound])(
        authorization.withdraw_consent
    )


def _declare_tokens(module: Module, path: str) -> None:
    def door(place: str, *raises: type[Problem]) -> Callable[[Any], Any]:
        return module.command(
            f"POST {path}/{place}",
            allow=self_authenticated,
            idempotency="none",
            raises=[*_ANSWERED, *raises],
            limits=[PER_ADDRESS],
        )

    refusals = (InvalidGrant, InvalidScope, InvalidTarget, UnsupportedGrantType)
    door("token", *refusals)(token_door.issue_token)
    door("revoke", UnsupportedTokenType)(token_door.revoke_token)
    door("introspect")(token_door.introspect_token)
    reads = scope("openid")
    module.query(f"GET {path}/userinfo", allow=reads, raises=[AccountsOnly])(userinfo.show_userinfo)
    module.command(f"POST {path}/userinfo", allow=reads, idempotency="none", raises=[AccountsOnly])(
        userinfo.post_userinfo
    )


def _declare_documents(module: Module, path: str) -> None:
    kept = cache(KEPT_SECONDS, shared=True)
    module.query(f"GET {path}/jwks", allow=anyone, cache=kept, name="show_oauth_keys")(discovery.show_keys)
    module.query("GET /.well-known/openid-configuration", allow=anyone, cache=kept)(discovery.show_openid_configuration)
    module.query("GET /.well-known/oauth-authorization-server", allow=anyone, cache=kept)(
        discovery.show_authorization_server
    )


def declare_providers(module: Module, path: str) -> None:
    """Declare what lets accounts log in with outside providers, with its doors below ``path``."""
    module.entity(OutsideLink)
    one = f"{path}/outside/{{provider}}"
    few, told = [limit("30/minute", by="address", name="outside")], (NotFound, Invalid)
    # A log-in shows secrets once: nothing of it is kept for a retry with the same key.
    module.command(f"POST {one}/begin", allow=anyone, external=True, idempotency="none", limits=few, raises=told)(
        outside.begin_outside_login
    )
    module.command(
        f"POST {one}/log-in",
        allow=anyone,
        external=True,
        idempotency="none",
        limits=few,
        raises=[
            outside.StateRefused,
            OutsideRefused,
            NotFound,
            AddressTaken,
            AddressMissing,
            AddressUnproven,
            NoAccount,
            AccountLocked,
        ],
    )(outside.log_in_outside)
    module.command(
        f"POST {one}/begin-link", allow=authenticated, external=True, idempotency="none", limits=few, raises=told
    )(outside.begin_outside_link)
    module.command(
        f"POST {one}/link",
        allow=authenticated,
        external=True,
        idempotency="none",
        limits=few,
        raises=[outside.StateRefused, OutsideRefused, NotFound, AccountsOnly, LinkedElsewhere],
    )(outside.link_outside)
    module.query(f"GET {path}/outside-links", allow=authenticated)(links.list_outside_links)
    module.command(f"DELETE {path}/outside-links/{{id}}", allow=authenticated, raises=[NotFound, links.LastWayIn])(
        links.remove_outside_link
    )
