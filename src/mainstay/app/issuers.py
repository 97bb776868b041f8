"""Issuers that are trusted by their URL: from settings to a verifier whose keys keep themselves fresh."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mainstay.app.settings import Settings
from mainstay.kernel.providers import Resolver
from mainstay.ports.clock import Clock
from mainstay.ports.http import HttpClient
from mainstay.ports.observer import Observer
from mainstay.ports.tokens import TokenVerifier

if TYPE_CHECKING:
    from mainstay.adapters.oidc.verifier import IssuersVerifier, TrustedIssuer
    from mainstay.app.settings.model import Issuer
    from mainstay.model.principal import Principal


class NoKeys(TokenVerifier):
    """Where issuers are trusted and no key is given: a token of nobody whom we know."""

    def verify(self, token: bytes) -> Principal:  # noqa: ARG002 - whatever it says
        """Refuse the token."""
        from mainstay.ports.refused_tokens import TokenWrongIssuer

        raise TokenWrongIssuer


def http_client(known: Mapping[Any, Resolver]) -> HttpClient:
    """Return what calls to the outside are made with, beside calls of the service."""
    make: Any = known[HttpClient].make  # what is shared looks at no call
    client: HttpClient = make(None)
    return client


def trusting(
    settings: Settings, others: TokenVerifier | None, http: HttpClient, clock: Clock, observer: Observer
) -> IssuersVerifier:
    """Return the verifier of the issuers of the settings; ``others`` verifies what none of them has made."""
    from mainstay.adapters.oidc.verifier import IssuersVerifier

    issuers = [_trusted(one, settings, http, clock, observer) for one in settings.auth.issuers]
    return IssuersVerifier(issuers, others or NoKeys(), cache_size=settings.auth.cache_size)


def _trusted(one: Issuer, settings: Settings, http: HttpClient, clock: Clock, observer: Observer) -> TrustedIssuer:
    from mainstay.adapters.oidc.keys import IssuerKeys
    from mainstay.adapters.oidc.verifier import TrustedIssuer
    from mainstay.ports.refused_tokens import TokenUnknownKey

    keys = IssuerKeys(
        http,
        one.url,
        partial(_verifier, one, settings, clock),
        unknown=TokenUnknownKey,
        clock=clock,
        observer=observer,
        loopback=not settings.is_production,
        stale=one.stale_seconds,
    )
    return TrustedIssuer(keys=keys, types=frozenset(one.types), parties=frozenset(one.clients))


def _verifier(one: Issuer, settings: Settings, clock: Clock, document: bytes) -> TokenVerifier:
    """Return what verifies an issuer's tokens by a JWK set of its. Raises ``KeyRefused``, which is a ``ValueError``."""
    from mainstay.adapters.jose.published import load_published
    from mainstay.adapters.jose.verifier import JwtVerifier

    auth = settings.auth
    return JwtVerifier(
        load_published(document),
        issuer=one.url,
        audience=one.audience or auth.audience,
        clock=clock,
        leeway=auth.leeway,
        roles_claim=one.roles_claim,
        tenant_claim=one.tenant_claim,
        cache_size=auth.cache_size,
    )
