"""What the doors of OAuth stand on, from the declaration, the settings, and the parts beside them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mainstay.app.settings import SettingFault, Settings, SettingsRefused
from mainstay.identity.declaration import Identity
from mainstay.kernel.providers import Resolver
from mainstay.model.service import Service

if TYPE_CHECKING:
    from mainstay.identity.oauth.contracts import OAuthRules
    from mainstay.identity.oauth.declaration import AuthorizationServer
    from mainstay.identity.oauth.granting import Grants
    from mainstay.kernel.scope import Scope


def oauth_dependencies(service: Service, settings: Settings, known: Mapping[Any, Resolver]) -> dict[Any, Resolver]:
    """Return what the doors of a service that is a provider ask for; nothing for one that is none.

    ``known`` are the parts beside them. Raises ``SettingsRefused`` where it is not said what the service is called.
    """
    identity = service.identity
    if not isinstance(identity, Identity) or identity.server is None:
        return {}
    from mainstay.identity.oauth.contracts import OAuthRules, TokenMint
    from mainstay.identity.oauth.granting import Grants
    from mainstay.ports.security_log import SecurityLog

    rules = rules_of(identity, identity.server, settings)

    def grants(scope: Scope) -> Grants:
        frame = scope.unit.frame
        mint, log = known[TokenMint], known[SecurityLog]
        return Grants(scope.unit, frame.ids, _made(mint, scope), rules, _made(log, scope))

    return {OAuthRules: Resolver(make=lambda _scope: rules, shared=True), Grants: Resolver(make=grants)}


def _made(resolver: Resolver, scope: Scope) -> Any:
    assert resolver.make is not None  # a part of ours that does not wait
    return resolver.make(scope)


def rules_of(identity: Identity, server: AuthorizationServer, settings: Settings) -> OAuthRules:
    """Return what the declaration and the settings come to. Raises ``SettingsRefused``."""
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
    from mainstay.adapters.oidc.metadata import issuer_fault, url_fault

    loopback = not settings.is_production
    wrong = {
        "oauth.issuer": issuer_fault(issuer, loopback=loopback),
        "oauth.page": url_fault(page, loopback=loopback) or ("it has a query" if "?" in page else None),
    }
    remedy = "give the URL as others see it, for example https://shop.example"
    return [
        SettingFault(key, settings.source(key), fault if getattr(settings.oauth, key[6:]) else "it is not set", remedy)
        for key, fault in wrong.items()
        if fault is not None
    ]
