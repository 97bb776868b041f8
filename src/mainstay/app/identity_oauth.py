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
from mainstay.identity.oauth.rules import OAuthRules
from mainstay.kernel.providers import Resolver
from mainstay.ports.clock import Clock
from mainstay.ports.observer import Observer

if TYPE_CHECKING:
    from mainstay.adapters.oidc.login import OidcProvider
    from mainstay.identity.oauth.declaration import AuthorizationServer, Provider
    from mainstay.identity.sessions.rules import SessionRules
    from mainstay.model.values import Secret
    from mainstay.ports.http import HttpClient
    from mainstay.ports.tokens import TokenVerifier

Known = Mapping[Any, Resolver]
Companions = list[Callable[[], AbstractAsyncContextManager[None]]]


def oauth_dependencies(
    identity: Identity,
    settings: Settings,
    known: Known,
    sessions: SessionRules,
    clock: Clock,
    observer: Observer,
    companions: Companions,
) -> dict[Any, Resolver]:
    """Return what the doors of OAuth ask for beside what there is for sessions.

    ``known`` are the parts beside them; to ``companions`` is added what lives beside the application. Raises
    ``SettingsRefused`` for what is not said in the settings, ``Refusal`` for what is missing.
    """
    _check_installed()
    found: dict[Any, Resolver] = {}
    if identity.server is not None:
        rules = rules_of(identity, identity.server, settings, sessions)
        found[OAuthRules] = Resolver(make=lambda _scope: rules, shared=True)
    if identity.providers:
        found |= _providers(identity, settings, known, clock, observer, companions)
    return found


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("authlib") is None:
        raise Refusal("OAuth needs a package that is not installed", "pip install 'mainstay[oauth]'")


def rules_of(identity: Identity, server: AuthorizationServer, settings: Settings, sessions: SessionRules) -> OAuthRules:
    """Return what the declaration and the settings of a provider for others come to. Raises ``SettingsRefused``."""
    page = settings.oauth.page or ("" if settings.is_production else f"{sessions.issuer}/authorize")
    faults = _faults(settings.sessions.issuer if settings.is_production else sessions.issuer, page, settings)
    if faults:
        raise SettingsRefused(faults, settings.profile)
    return OAuthRules(
        issuer=sessions.issuer,
        path=identity.path,
        page=page,
        audience=sessions.audience,
        scopes=server.all_scopes(),
        code_seconds=server.code_seconds,
        access_seconds=identity.access_seconds,
        refresh_seconds=server.refresh_seconds,
        grant_seconds=server.grant_seconds,
    )


def _faults(issuer: str, page: str, settings: Settings) -> list[SettingFault]:
    from mainstay.adapters.oidc.metadata import issuer_fault

    loopback = not settings.is_production
    remedy = "give the URL as others see it, for example https://shop.example"
    return [
        SettingFault(name, settings.source(name), fault if url else "it is not set", remedy)
        for name, url in (("sessions.issuer", issuer), ("oauth.page", page))
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
    from mainstay.identity.oauth.joining import OutsideRules
    from mainstay.ports.outside_login import OutsideProviders

    named = {one.name: one for one in identity.providers}
    if len(named) != len(identity.providers):
        raise Refusal("two providers have the same name", "give each its own")
    http = http_client(known)
    made = {name: _provider(one, settings, http, clock, observer) for name, one in named.items()}
    rules = OutsideRules(providers=named, sign_up=identity.sign_up)
    providers = OidcProviders(made, http, clock, observer)
    companions.append(providers.living)
    return {
        OutsideRules: Resolver(make=lambda _scope: rules, shared=True),
        OutsideProviders: Resolver(make=lambda _scope: providers, outside=True, tasks=True, shared=True),
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
