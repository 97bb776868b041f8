"""What the doors of OAuth stand on, from the declaration, the settings, and the parts beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any

from mainstay.app.issuers import http_client
from mainstay.app.refusal import Refusal
from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.identity.declaration import Identity
from mainstay.kernel.providers import Resolver
from mainstay.model.service import Service
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

if TYPE_CHECKING:
    from mainstay.adapters.oidc.login import OidcProvider
    from mainstay.identity.oauth.contracts import OAuthRules
    from mainstay.identity.oauth.declaration import AuthorizationServer, Provider
    from mainstay.identity.oauth.granting import Grants
    from mainstay.kernel.scope import Scope
    from mainstay.model.values import Secret
    from mainstay.ports.http import HttpClient
    from mainstay.ports.tokens import TokenVerifier

Known = Mapping[Any, Resolver]
Companions = list[Callable[[], AbstractAsyncContextManager[None]]]


def oauth_dependencies(
    service: Service, settings: Settings, known: Known, clock: Clock, observer: Observer, companions: Companions
) -> dict[Any, Resolver]:
    """Return what the doors of OAuth ask for: nothing where a service has none of them.

    ``known`` are the parts beside them; to ``companions`` is added what lives beside the application. Raises
    ``SettingsRefused`` for what is not said in the settings, ``Refusal`` for what is missing.
    """
    identity = service.identity
    if not isinstance(identity, Identity):
        return {}
    found: dict[Any, Resolver] = {}
    if identity.server is not None or identity.providers:
        _check_installed()
    if identity.server is not None:
        found |= _server(identity, identity.server, settings, known)
    if identity.providers:
        found |= _providers(identity, settings, known, clock, observer, companions)
    return found


def oauth_types(service: Service) -> dict[Any, Resolver]:
    """Return how the parts would be asked for, without any of them: for who looks at a service and runs nothing."""
    identity = service.identity
    if not isinstance(identity, Identity):
        return {}
    types: list[Any] = []
    if identity.server is not None:
        from mainstay.identity.oauth.contracts import OAuthRules, TokenMint
        from mainstay.identity.oauth.granting import Grants
        from mainstay.ports.security_log import SecurityLog

        types += [OAuthRules, TokenMint, Grants, SecurityLog]
    if identity.providers:
        from mainstay.identity.book import SessionBook
        from mainstay.identity.oauth.joining import Joining, OutsideRules
        from mainstay.ports.outside_login import OutsideProviders
        from mainstay.ports.sealer import Sealer
        from mainstay.ports.security_log import SecurityLog

        types += [OutsideRules, OutsideProviders, Joining, Sealer, SessionBook, SecurityLog]
    return {type_: Resolver(make=_never) for type_ in types}


def _never(_scope: Scope) -> Any:
    raise RuntimeError("nothing is run here")


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("authlib") is None:
        raise Refusal("OAuth needs a package that is not installed", "pip install 'mainstay[oauth]'")


def _server(identity: Identity, server: AuthorizationServer, settings: Settings, known: Known) -> dict[Any, Resolver]:
    from mainstay.identity.oauth.contracts import OAuthRules, TokenMint
    from mainstay.identity.oauth.granting import Grants
    from mainstay.ports.security_log import SecurityLog

    rules = rules_of(identity, server, settings)

    def grants(scope: Scope) -> Grants:
        mint, log = _made(known[TokenMint], scope), _made(known[SecurityLog], scope)
        return Grants(scope.unit, scope.unit.frame.ids, mint, rules, log)

    return {OAuthRules: Resolver(make=lambda _scope: rules, shared=True), Grants: Resolver(make=grants)}


def _made(resolver: Resolver, scope: Scope) -> Any:
    assert resolver.make is not None  # a part of ours that does not wait
    return resolver.make(scope)


def rules_of(identity: Identity, server: AuthorizationServer, settings: Settings) -> OAuthRules:
    """Return what the declaration and the settings of a provider for others come to. Raises ``SettingsRefused``."""
    from mainstay.identity.oauth.contracts import OAuthRules

    issuer = settings.oauth.issuer
    if not issuer and not settings.is_production:
        issuer = f"http://{settings.http.host}:{settings.http.port}"
    page = settings.oauth.page or ("" if settings.is_production else f"{issuer}/authorize")
    faults = _faults(issuer, page, settings)
    if faults:
        raise SettingsRefused(faults, settings.profile)
    return OAuthRules(
        issuer=issuer,
        path=identity.path,
        page=page,
        audience=settings.auth.audience[0] if settings.auth.audience else issuer,
        scopes=server.all_scopes(),
        code_seconds=server.code_seconds,
        access_seconds=identity.access_seconds,
        refresh_seconds=server.refresh_seconds,
    )


def _faults(issuer: str, page: str, settings: Settings) -> list[SettingFault]:
    from mainstay.adapters.oidc.metadata import issuer_fault

    loopback = not settings.is_production
    remedy = "give the URL as others see it, for example https://shop.example"
    return [
        SettingFault(f"oauth.{name}", settings.source(f"oauth.{name}"), fault if url else "it is not set", remedy)
        for name, url in (("issuer", issuer), ("page", page))
        if (fault := issuer_fault(url, loopback=loopback)) is not None
    ]


def _providers(
    identity: Identity,
    settings: Settings,
    known: Known,
    clock: Clock,
    observer: Observer,
    companions: Companions,
) -> dict[Any, Resolver]:
    from mainstay.adapters.oidc.login import OidcProviders
    from mainstay.identity.oauth.joining import Joining, OutsideRules
    from mainstay.ports.outside_login import OutsideProviders

    named = {one.name: one for one in identity.providers}
    if len(named) != len(identity.providers):
        raise Refusal("two providers have the same name", "give each its own")
    http = http_client(known)
    made = {name: _provider(one, settings, http, clock, observer) for name, one in named.items()}
    rules = OutsideRules(providers=named, sign_up=identity.sign_up, default_roles=tuple(identity.default_roles))
    providers = OidcProviders(made, http, clock, observer)
    companions.append(providers.living)
    return {
        OutsideRules: Resolver(make=lambda _scope: rules, shared=True),
        OutsideProviders: Resolver(make=lambda _scope: providers, outside=True, tasks=True, shared=True),
        Joining: Resolver(make=lambda scope: Joining(scope.unit, rules)),
    }


def _provider(one: Provider, settings: Settings, http: HttpClient, clock: Clock, observer: Observer) -> OidcProvider:
    from mainstay.adapters.oidc.keys import IssuerKeys
    from mainstay.adapters.oidc.login import OidcProvider
    from mainstay.adapters.oidc.metadata import issuer_fault
    from mainstay.ports.refused_tokens import TokenUnknownKey

    fault = issuer_fault(one.issuer, loopback=not settings.is_production)
    if fault is not None:
        raise Refusal(
            f"the issuer of the provider {one.name} cannot be used: {fault}", "give its URL as it names itself"
        )
    keys = IssuerKeys(
        http,
        one.issuer,
        partial(_of_id_tokens, one, clock),
        unknown=TokenUnknownKey,
        clock=clock,
        observer=observer,
        loopback=not settings.is_production,
        stale=STALE_SECONDS,
    )
    return OidcProvider(keys=keys, client_id=one.client_id, secret=_secret(one, settings), scopes=tuple(one.scopes))


STALE_SECONDS = 21_600.0
"""For how long the last keys of a provider count while it is away: there is no log-in with it then, anyway."""


def _secret(one: Provider, settings: Settings) -> Secret[str] | None:
    if one.client_secret is None:
        return None
    found = settings.secrets.get(one.client_secret)
    if found is None or not found.reveal():
        key = f"secrets.{one.client_secret}"
        remedy = f"set MAINSTAY_SECRET_{one.client_secret.upper()}: it is the client's secret at {one.name}"
        raise SettingsRefused([SettingFault(key, settings.source(key), "it is not set", remedy)], settings.profile)
    return found


def _of_id_tokens(one: Provider, clock: Clock, document: bytes) -> TokenVerifier:
    """Return what verifies a provider's id tokens: they say who somebody is, and nothing that they may do here."""
    from mainstay.adapters.jose.published import load_published
    from mainstay.adapters.jose.verifier import JwtVerifier

    return JwtVerifier(
        load_published(document),
        issuer=one.issuer,
        audience=one.client_id,
        clock=clock,
        roles_claim=_NONE,
        scopes_claims=(),
        tenant_claim=_NONE,
        cache_size=0,
    )


_NONE = "mainstay:none"  # a claim that no token has
